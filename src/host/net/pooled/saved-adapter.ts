/** What is saved of an adapter in the hands of its driver; its registers and rings are the machine's. */
import type { EswitchMode } from '../adapter.ts'
import type { SavedQueuePair } from './queue-pair.ts'
import type { SavedReceiveAddresses } from './receive-addresses.ts'
import type { SavedVirtualFunction } from './virtual-function.ts'
import type { SavedVlanFilters } from './vlan-filters.ts'

export type SavedAdapter = {
  readonly version: 1
  readonly address: string
  readonly mac: Uint8Array
  readonly ringEntries: number | null
  readonly interruptIntervalMicroseconds: number
  readonly promiscuous: boolean
  readonly eswitch: EswitchMode
  readonly heard: readonly number[]
  readonly interrupts: number
  readonly functions: readonly SavedVirtualFunction[]
  readonly vlans: SavedVlanFilters
  readonly addresses: SavedReceiveAddresses
  /** The host's own is the first. */
  readonly pairs: readonly SavedQueuePair[]
}
