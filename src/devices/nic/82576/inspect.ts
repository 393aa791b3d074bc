/** What an 82576 shows of itself: read from its registers, without the side effects of reading them. */
import {
  BPRC,
  CRCERRS,
  DTXSWC,
  EICR,
  EIMS,
  GORCL,
  GOTCL,
  GPRC,
  GPTC,
  I82576_POOLS,
  I82576_VECTORS,
  MPC,
  MPRC,
  MRQC,
  MRQC_MODE,
  PVFGPRC,
  PVFGPRLBC,
  PVFGPTC,
  RNBC,
  RTTBCNRC,
  SSVPC,
  TSCTC,
  VFRE,
  VFTE,
  VMVIR,
} from '../../formats/nic/i82576-registers.ts'
import { fieldOf, type NicRegister } from '../../formats/nic/register.ts'
import {
  acceptedBy,
  macFilterViews,
  queueFilterViews,
  ringView,
  vlanFilterViews,
} from '../common/inspection.ts'
import type { NicInspection } from '../common/nic-model.ts'
import { rateFactor } from '../common/transmit-schedule.ts'
import type { Parts82576 } from './chip-parts.ts'

const SPEED = 1000
const MODES: Readonly<Record<number, string>> = {
  [MRQC_MODE.none]: 'single queue',
  [MRQC_MODE.rss]: 'RSS',
  [MRQC_MODE.vmdq]: 'VMDq',
  [MRQC_MODE.vmdqRss]: 'VMDq with RSS',
}
const COUNTERS = { GPRC, GPTC, BPRC, MPRC, CRCERRS, MPC, RNBC, TSCTC, SSVPC }

export function inspect(nic: Parts82576): NicInspection {
  const { space, function: fn, environment, drops, receivePath, interrupts } = nic
  const { words } = space
  const tables = nic.filters()
  const at = ({ offset, stride }: NicRegister, index = 0): number => words[(offset + index * stride) >>> 2]!
  const ownerOf = (pool: number): number => (pool < fn.virtualFunctions.length ? pool : -1)
  const wide = (register: NicRegister): number => at(register) + at(register, 1) * 2 ** 32
  const dtxswc = at(DTXSWC)
  return {
    model: nic.name,
    name: environment.name,
    link: { up: nic.linkUp, speedMbps: nic.linkUp ? SPEED : 0 },
    mode: MODES[at(MRQC) & MRQC.bits.ENABLE] ?? 'reserved',
    receive: nic.receiveRings.map(ring => ringView(ring, ring.queue % 8, ownerOf(ring.queue % 8))),
    transmit: nic.transmitRings.map(ring => ringView(ring, ring.queue % 8, ownerOf(ring.queue % 8))),
    pools: Array.from({ length: I82576_POOLS }, (_, pool) => ({
      pool,
      virtualFunction: ownerOf(pool),
      receiveEnabled: ((at(VFRE) >>> pool) & 1) !== 0,
      transmitEnabled: ((at(VFTE) >>> pool) & 1) !== 0,
      accepts: acceptedBy(pool, tables),
      macSpoofCheck: ((fieldOf(dtxswc, DTXSWC.bits.MACAS) >>> pool) & 1) !== 0,
      vlanSpoofCheck: ((fieldOf(dtxswc, DTXSWC.bits.VLANAS) >>> pool) & 1) !== 0,
      portVlan: at(VMVIR, pool) & VMVIR.bits.DEFAULT ? at(VMVIR, pool) & 0xfff : null,
      rateLimitMbps: rateOf(nic.rateOf(pool)),
      received: at(PVFGPRC, pool) + at(PVFGPRLBC, pool),
      sent: at(PVFGPTC, pool),
    })),
    macFilters: macFilterViews(tables),
    vlanFilters: vlanFilterViews(tables),
    queueFilters: queueFilterViews(nic.queueFilters),
    vectors: Array.from({ length: I82576_VECTORS }, (_, vector) => ({
      vector,
      virtualFunction: interrupts.ownerOf(vector),
      enabled: ((at(EIMS) >>> vector) & 1) !== 0,
      pending: ((at(EICR) >>> vector) & 1) !== 0,
      intervalNs: interrupts.intervalOf(vector),
    })),
    counters: {
      ...Object.fromEntries(Object.entries(COUNTERS).map(([name, register]) => [name, at(register)])),
      GORC: wide(GORCL),
      GOTC: wide(GOTCL),
    },
    drops: drops.named(),
    waiting: receivePath.buffer.count,
  }
}

const rateOf = (configuration: number): number | null => {
  const factor = rateFactor(RTTBCNRC, configuration)
  return factor > 0 ? SPEED / factor : null
}
