/**
 * What a driver that works with pools does to the registers of its chip. All else is the same for the 82576 and the 82599
 * and lies beside this file: whose a pool is, which filters are taken, what virtual functions may ask for.
 */
import type { NicRegister } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import type { MailboxMessages } from './messages.ts'
import type { NicRegisters } from './registers.ts'

/** 1,518 bytes with check sequence, and a tag. */
export const STANDARD_FRAME = 1522

/** What a pool accepts besides broadcast and its exact addresses. */
export interface PoolRules {
  readonly untagged: boolean
  /** Groups whose hash is in the multicast table; all groups; unicast whose hash is in the unicast table. */
  readonly multicastHash: boolean
  readonly allMulticast: boolean
  readonly unicastHash: boolean
}

/** Causes of the interrupt that is no queue's, as bits. */
export const CAUSE = { mailbox: 1, link: 2, spoofing: 4 } as const

/** Where a receive queue's registers are, and what its control register holds while it is enabled. */
export interface ReceiveQueue {
  readonly index: number
  readonly RDBAL: NicRegister
  readonly RDBAH: NicRegister
  readonly RDLEN: NicRegister
  readonly RDH: NicRegister
  readonly RDT: NicRegister
  readonly SRRCTL: NicRegister<'BSIZEPACKET' | 'DESCTYPE' | 'DROP_EN'>
  readonly RXDCTL: NicRegister<'ENABLE'>
  readonly control: number
}

export interface TransmitQueue {
  readonly index: number
  readonly TDBAL: NicRegister
  readonly TDBAH: NicRegister
  readonly TDLEN: NicRegister
  readonly TDH: NicRegister
  readonly TDT: NicRegister
  readonly TXDCTL: NicRegister<'ENABLE'>
  readonly control: number
}

export interface PooledPort {
  /** The driver's name. */
  readonly driver: string
  readonly registers: NicRegisters
  readonly pools: number
  /** Entries of the receive address table in the order in which they are given away. Entry 0 is the host's own. */
  readonly addressEntries: readonly number[]
  /** Entries of the VLAN pool filter. */
  readonly vlanEntries: number
  /** Bits by hash of a group address, and by VLAN: what passes the filters in front of the pools. */
  readonly multicastTable: NicRegister
  readonly vlanTable: NicRegister
  /** The lowest limit of a rate, in Mb/s. */
  readonly lowestRate: number
  /** Whether the hardware tells which pool it caught lying about its source. */
  readonly namesSpoofers: boolean
  readonly mailboxControl: NicRegister
  readonly mailboxMemory: NicRegister
  readonly messages: MailboxMessages

  /** "Surprise Removal": what is gone reads as all ones. */
  readonly gone: boolean
  readonly carrier: boolean
  readonly speedMbps: number

  // From reset to work, in this order.

  /** Reset, identity and initialization; returns the address. Throws `unsupported` if the card is not what it should be. */
  probe(): Software<Uint8Array>
  reset(): Software
  /** Empty filters but for the own address, link set up, driver loaded. */
  initialize(mac: Uint8Array): void
  /** Pools, VLAN filtering, interrupts, transmitter. `ownPool` gets what nobody else wants. */
  configure(ownPool: number, vectors: number, intervalMicroseconds: number): void
  enableReceiver(): Software
  /** Interrupts, and the word to virtual functions that the port is there again. */
  goLive(vectors: number): void
  /** Interrupts masked, receiver and transmitter off. */
  quiesce(): void

  // Interrupts

  /** The vector of what is no queue's. */
  otherVector(vectors: number): number
  /** Has both queues of a pool interrupt by a vector. */
  route(pool: number, vector: number): void
  unmask(vector: number): void
  /** Of {@link CAUSE}, acknowledged by being read. */
  takeCauses(): number

  // Queues of a pool that the host serves

  receiveQueue(pool: number): ReceiveQueue
  transmitQueue(pool: number): TransmitQueue

  // Pools and filters

  /** Whether a pool may receive and send. */
  enablePool(pool: number, on: boolean): void
  enableReceive(pool: number, on: boolean): void
  setPool(pool: number, rules: PoolRules): void
  /** "Port VLAN": every frame of the pool leaves with this tag; 0: as it is. */
  setPortVlan(pool: number, vlan: number): void
  setSpoofCheck(pool: number, on: boolean): void
  /** Limits each transmit queue of a pool to so many Mb/s; 0: no limit. */
  setRate(pool: number, megabits: number): void
  /** An entry of the receive address table; without an address it is invalid. */
  setReceiveAddress(entry: number, mac: Uint8Array | undefined, pool: number): void
  /** An entry of the VLAN pool filter: its pools as bits of two words; without pools it is invalid. */
  setVlan(entry: number, vlan: number, poolsLow: number, poolsHigh: number): void
  /** Whether single addresses of nobody and all groups pass the filters in front of the pools. */
  setPromiscuous(on: boolean): void

  /** Has the host's pool switch for all others ("switchdev"). Absent where the chip cannot. */
  setSwitchdev?(on: boolean): void

  // Virtual functions, 32 by 32

  /** What a virtual function's pool needs beyond {@link enablePool} when it has announced itself. */
  virtualFunctionReady(vf: number, portVlan: number): void
  /** Those that were reset, have a message, lied about their source since this was asked last. */
  takeResets(half: number): number
  takeRequests(half: number): number
  takeSpoofers(): number
}
