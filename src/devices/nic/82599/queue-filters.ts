/** Takes the filters that choose queues from the registers of the 82599. */
import { IP_PROTOCOL } from '../../../net/index.ts'
import { DAQF, ETQF, ETQS, FTQF, L34T_IMIR, SAQF, SDPQF, SYNQF } from '../../formats/nic/i82599-registers.ts'
import { fieldOf, type NicRegister } from '../../formats/nic/register.ts'
import { COMPARE, type FiveTuple, OTHER_PROTOCOL, type QueueFilters } from '../common/queue-filters.ts'

export const QUEUE_FILTER_REGISTERS: readonly NicRegister[] = [
  ETQF,
  ETQS,
  SYNQF,
  SAQF,
  DAQF,
  SDPQF,
  FTQF,
  L34T_IMIR,
]

/** By `FTQF.PROTOCOL`. */
const PROTOCOLS = [IP_PROTOCOL.tcp, IP_PROTOCOL.udp, IP_PROTOCOL.sctp, OTHER_PROTOCOL] as const

export function loadQueueFilters(words: Uint32Array, filters: QueueFilters): void {
  const at = ({ offset }: NicRegister, index = 0): number => words[(offset >>> 2) + index]!
  filters.clear()
  for (let i = 0; i < ETQF.count; i++) {
    const etqf = at(ETQF, i)
    const etqs = at(ETQS, i)
    if (!(etqf & ETQF.bits.ENABLE)) continue
    filters.etherType[i] = etqf & ETQF.bits.ETYPE
    if (etqf & ETQF.bits.POOL_EN) filters.etherTypePool[i] = fieldOf(etqf, ETQF.bits.POOL)
    if (etqs & ETQS.bits.QUEUE_EN) filters.etherTypeQueue[i] = fieldOf(etqs, ETQS.bits.QUEUE)
  }
  const synqf = at(SYNQF)
  if (synqf & SYNQF.bits.ENABLE) filters.synQueue = fieldOf(synqf, SYNQF.bits.QUEUE)
  filters.synFirst = (synqf & SYNQF.bits.SYNQFP) !== 0
  const tuples: FiveTuple[] = []
  for (let i = 0; i < FTQF.count; i++) {
    const ftqf = at(FTQF, i)
    if (!(ftqf & FTQF.bits.QUEUE_ENABLE)) continue
    const ports = at(SDPQF, i)
    tuples.push({
      priority: fieldOf(ftqf, FTQF.bits.PRIORITY),
      queue: fieldOf(at(L34T_IMIR, i), L34T_IMIR.bits.QUEUE),
      compare: compared(ftqf),
      source: at(SAQF, i),
      destination: at(DAQF, i),
      sourcePort: ports & SDPQF.bits.SOURCE,
      destinationPort: fieldOf(ports, SDPQF.bits.DESTINATION),
      protocol: PROTOCOLS[ftqf & FTQF.bits.PROTOCOL]!,
      pool: fieldOf(ftqf, FTQF.bits.POOL),
      flags: 0,
      shorterThan: 0,
    })
  }
  filters.tuples = tuples
}

function compared(ftqf: number): number {
  const { SOURCE_BP, DESTINATION_BP, SOURCE_PORT_BP, DESTINATION_PORT_BP, PROTOCOL_BP, POOL_BP } = FTQF.bits
  return (
    (ftqf & SOURCE_BP ? 0 : COMPARE.source) |
    (ftqf & DESTINATION_BP ? 0 : COMPARE.destination) |
    (ftqf & SOURCE_PORT_BP ? 0 : COMPARE.sourcePort) |
    (ftqf & DESTINATION_PORT_BP ? 0 : COMPARE.destinationPort) |
    (ftqf & PROTOCOL_BP ? 0 : COMPARE.protocol) |
    (ftqf & POOL_BP ? 0 : COMPARE.pool)
  )
}
