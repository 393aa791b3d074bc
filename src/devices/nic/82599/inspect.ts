/** What an 82599 shows of itself: read from its registers, without the side effects of reading them. */
import {
  BPRC,
  CRCERRS,
  EIMS_EX,
  GORCL,
  GOTCL,
  GPRC,
  GPTC,
  I82599_POOLS,
  I82599_VECTORS,
  MPC,
  MPRC,
  MRQC_MODE,
  PFVFSPOOF,
  PVFGPRC,
  PVFGPTC,
  PVTEICR,
  PVTEIMS,
  RNBC,
  RTTBCNRC,
  SSVPC,
  VFRE,
  VFTE,
  VMVIR,
} from '../../formats/nic/i82599-registers.ts'
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
import type { Parts82599 } from './chip-parts.ts'
import { VF_VECTORS } from './interrupts.ts'
import { isPooling, modeOf, queuesPerPool } from './pools.ts'

const SPEED = 10_000
const MODES: Readonly<Record<number, string>> = {
  [MRQC_MODE.none]: 'single queue',
  [MRQC_MODE.rss]: 'RSS',
  [MRQC_MODE.vmdq64]: 'VMDq, 64 pools',
  [MRQC_MODE.vmdqRss32]: 'VMDq with RSS, 32 pools',
  [MRQC_MODE.vmdqRss64]: 'VMDq with RSS, 64 pools',
  [MRQC_MODE.vmdq16Tc8]: 'VMDq, 16 pools of 8 traffic classes',
  [MRQC_MODE.vmdq32Tc4]: 'VMDq, 32 pools of 4 traffic classes',
}
const COUNTERS = { GPRC, GPTC, BPRC, MPRC, CRCERRS, MPC, RNBC, SSVPC }

export function inspect(nic: Parts82599): NicInspection {
  const { space, function: fn, environment, drops, receivePath, interrupts } = nic
  const { words } = space
  const tables = nic.filters()
  const at = ({ offset, stride }: NicRegister, index = 0): number => words[(offset + index * stride) >>> 2]!
  const bit = (register: NicRegister, index: number): boolean =>
    ((at(register, index >>> 5) >>> (index & 31)) & 1) !== 0
  const wide = (register: NicRegister): number => at(register) + at(register, 1) * 2 ** 32
  const queues = isPooling(words) ? queuesPerPool(words) : 0
  const poolOf = (queue: number): number => (queues === 0 ? 0 : Math.floor(queue / queues))
  const spoof = (mask: number, pool: number): boolean =>
    ((fieldOf(at(PFVFSPOOF, pool >>> 3), mask) >>> (pool & 7)) & 1) !== 0
  const vfs = fn.virtualFunctions.length
  return {
    model: '82599',
    name: environment.name,
    link: { up: nic.linkUp, speedMbps: nic.linkUp ? SPEED : 0 },
    mode: MODES[modeOf(words)] ?? 'traffic classes, not modelled',
    receive: nic.receiveRings.map(ring =>
      ringView(ring, poolOf(ring.queue), interrupts.ownerOfQueue(ring.queue)),
    ),
    transmit: nic.transmitRings.map(ring =>
      ringView(ring, poolOf(ring.queue), interrupts.ownerOfQueue(ring.queue)),
    ),
    pools: Array.from({ length: queues === 0 ? 0 : Math.min(I82599_POOLS, 128 / queues) }, (_, pool) => ({
      pool,
      virtualFunction: pool < vfs ? pool : -1,
      receiveEnabled: bit(VFRE, pool),
      transmitEnabled: bit(VFTE, pool),
      accepts: acceptedBy(pool, tables),
      macSpoofCheck: spoof(PFVFSPOOF.bits.MACAS, pool),
      vlanSpoofCheck: spoof(PFVFSPOOF.bits.VLANAS, pool),
      portVlan: at(VMVIR, pool) & VMVIR.bits.DEFAULT ? at(VMVIR, pool) & 0xfff : null,
      rateLimitMbps: rateOf(nic.rateOf(pool * queues)),
      received: at(PVFGPRC, pool),
      sent: at(PVFGPTC, pool),
    })),
    macFilters: macFilterViews(tables),
    vlanFilters: vlanFilterViews(tables),
    queueFilters: queueFilterViews(nic.queueFilters),
    vectors: [
      ...Array.from({ length: I82599_VECTORS }, (_, vector) => ({
        vector,
        virtualFunction: -1,
        enabled: bit(EIMS_EX, vector),
        pending: interrupts.pendingOf(vector),
        intervalNs: interrupts.intervalOf(vector),
      })),
      ...Array.from({ length: vfs * VF_VECTORS }, (_, index) => {
        const virtualFunction = Math.floor(index / VF_VECTORS)
        const vector = index % VF_VECTORS
        return {
          vector,
          virtualFunction,
          enabled: ((at(PVTEIMS, virtualFunction) >>> vector) & 1) !== 0,
          pending: ((at(PVTEICR, virtualFunction) >>> vector) & 1) !== 0,
          intervalNs: interrupts.intervalOf(I82599_VECTORS + index),
        }
      }),
    ],
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
