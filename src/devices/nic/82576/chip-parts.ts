/** The parts of an 82576 as its registers and its inspection reach them. */
import type { FilterTables } from '../../../net/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import type { DeviceEnvironment } from '../../device-model.ts'
import type { Mailbox } from '../common/mailbox.ts'
import type { DropCounts } from '../common/nic-model.ts'
import type { NonVolatileMemory } from '../common/non-volatile-memory.ts'
import type { Phy } from '../common/phy.ts'
import type { QueueFilters } from '../common/queue-filters.ts'
import type { ReceivePath } from '../common/receive-path.ts'
import type { ReceiveRing } from '../common/receive-ring.ts'
import type { RegisterSpace } from '../common/register-space.ts'
import type { ReceiveSideScaling } from '../common/rss.ts'
import type { TransmitPath } from '../common/transmit-path.ts'
import type { TransmitRing } from '../common/transmit-ring.ts'
import type { Interrupts82576 } from './interrupts.ts'

export interface Parts82576 {
  /** Of the controller. */
  readonly name: string
  readonly function: PcieFunction
  readonly environment: DeviceEnvironment
  readonly space: RegisterSpace
  readonly nvm: NonVolatileMemory
  readonly phy: Phy
  readonly mailbox: Mailbox
  readonly interrupts: Interrupts82576
  readonly rss: ReceiveSideScaling
  readonly queueFilters: QueueFilters
  readonly receiveRings: readonly ReceiveRing[]
  readonly transmitRings: readonly TransmitRing[]
  readonly receivePath: ReceivePath
  readonly transmitPath: TransmitPath
  readonly drops: DropCounts
  readonly linkUp: boolean
  filters(): FilterTables
  filtersWritten(): void
  virtualFunctionReset(index: number): void
  portReset(): void
  /** Rate-scheduler configuration of a queue. */
  rateOf(queue: number): number
}
