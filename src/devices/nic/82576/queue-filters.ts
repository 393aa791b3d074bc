/** Takes the filters that choose queues from the registers of the 82576. */
import {
  DAQF,
  ETQF,
  FTQF,
  IMIR,
  IMIREXT,
  RFCTL,
  SAQF,
  SPQF,
  SYNQF,
} from '../../formats/nic/i82576-registers.ts'
import { fieldOf, type NicRegister } from '../../formats/nic/register.ts'
import { COMPARE, type FiveTuple, type QueueFilters } from '../common/queue-filters.ts'

export const QUEUE_FILTER_REGISTERS: readonly NicRegister[] = [
  ETQF,
  SYNQF,
  RFCTL,
  SAQF,
  DAQF,
  SPQF,
  FTQF,
  IMIR,
  IMIREXT,
]

export function loadQueueFilters(words: Uint32Array, filters: QueueFilters): void {
  const at = ({ offset }: NicRegister, index = 0): number => words[(offset >>> 2) + index]!
  filters.clear()
  for (let i = 0; i < ETQF.count; i++) {
    const etqf = at(ETQF, i)
    if (!(etqf & ETQF.bits.ENABLE)) continue
    filters.etherType[i] = etqf & ETQF.bits.ETYPE
    if (!(etqf & ETQF.bits.QUEUE_ENABLE)) continue
    // Queues 0 to 7 are the first of the pools.
    filters.etherTypeQueue[i] = fieldOf(etqf, ETQF.bits.QUEUE)
    filters.etherTypePool[i] = fieldOf(etqf, ETQF.bits.QUEUE)
  }
  const synqf = at(SYNQF)
  if (synqf & SYNQF.bits.ENABLE) filters.synQueue = fieldOf(synqf, SYNQF.bits.QUEUE)
  filters.synFirst = (at(RFCTL) & RFCTL.bits.SYNQFP) !== 0
  const tuples: FiveTuple[] = []
  for (let i = 0; i < FTQF.count; i++) {
    const ftqf = at(FTQF, i)
    if (!(ftqf & FTQF.bits.QUEUE_ENABLE)) continue
    const imir = at(IMIR, i)
    const extension = at(IMIREXT, i)
    const { SIZE, SIZE_BP, CTRL, CTRL_BP } = IMIREXT.bits
    tuples.push({
      priority: fieldOf(imir, IMIR.bits.PRIORITY),
      queue: fieldOf(ftqf, FTQF.bits.QUEUE),
      compare: compared(ftqf, imir),
      source: at(SAQF, i),
      destination: at(DAQF, i),
      sourcePort: at(SPQF, i) & 0xffff,
      destinationPort: imir & IMIR.bits.PORT,
      protocol: ftqf & FTQF.bits.PROTOCOL,
      pool: fieldOf(ftqf, FTQF.bits.VF),
      flags: extension & CTRL_BP ? 0 : tcpFlags(fieldOf(extension, CTRL)),
      shorterThan: extension & SIZE_BP ? 0 : extension & SIZE,
    })
  }
  filters.tuples = tuples
}

function compared(ftqf: number, imir: number): number {
  const { SOURCE_BP, DESTINATION_BP, SOURCE_PORT_BP, PROTOCOL_BP, VF_BP } = FTQF.bits
  return (
    (ftqf & SOURCE_BP ? 0 : COMPARE.source) |
    (ftqf & DESTINATION_BP ? 0 : COMPARE.destination) |
    (ftqf & SOURCE_PORT_BP ? 0 : COMPARE.sourcePort) |
    (imir & IMIR.bits.PORT_BP ? 0 : COMPARE.destinationPort) |
    (ftqf & PROTOCOL_BP ? 0 : COMPARE.protocol) |
    (ftqf & VF_BP ? 0 : COMPARE.pool)
  )
}

/** From URG, ACK, PSH, RST, SYN, FIN by bit to where the TCP header has them. */
function tcpFlags(bits: number): number {
  let flags = 0
  for (let bit = 0; bit < 6; bit++) if (bits & (1 << bit)) flags |= 0x20 >> bit
  return flags
}
