/**
 * The host's driver of an 82576 port. It always works with pools, as Linux's igb does once it has virtual functions:
 * pools 0 to n − 1 are theirs, pool n is the host's, and pools above can be given to virtual machines (VMDq).
 */
import { NorthbridgeError, type Saved } from '../../../core/index.ts'
import {
  CTRL_EXT,
  DTXCTL,
  DTXSWC,
  EIAC,
  EIAM,
  EIMC,
  EIMS,
  EITR,
  GPIE,
  I82576_POOLS,
  ICR,
  ICR_BIT,
  IMC,
  IMS,
  IVAR,
  IVAR_MISC,
  MBVFIMR,
  MRQC,
  MRQC_MODE,
  QDE,
  RCTL,
  RPLOLR,
  STATUS,
  TCTL,
  UTA,
  VFRE,
  VFTE,
  VT_CTL,
} from '../../../devices/formats/nic/i82576-registers.ts'
import { inField } from '../../../devices/formats/nic/register.ts'
import type { Engine, Software } from '../../../engine/index.ts'
import type { Frame } from '../../../net/formats/index.ts'
import type { DeviceAccess } from '../../device-access.ts'
import type {
  AdapterCounters,
  AdapterPool,
  NetworkAdapter,
  VirtualFunctionSettings,
  VirtualFunctionState,
} from '../adapter.ts'
import { STANDARD_FRAME, setPool, setPortVlan } from './pool-settings.ts'
import { initialize, probe, resetPort } from './probe.ts'
import { IgbQueuePair } from './queue-pair.ts'
import { ReceiveAddresses } from './receive-addresses.ts'
import { IgbRegisters } from './registers.ts'
import { IgbVirtualFunctions } from './virtual-functions.ts'
import { VlanFilters } from './vlan-filters.ts'

const ALL = 0xffff_ffff
const OTHER_VECTOR = 0
/** Mb/s by STATUS.SPEED. */
const SPEEDS = [10, 100, 1000, 1000] as const
const SPEED_SHIFT = 6
const HASH_WORDS = 128

export interface IgbOptions {
  /** Descriptors of each ring, a multiple of 8. Default 64. */
  readonly ringEntries?: number
  /** `InterruptThrottleRate` as an interval; default 0: every cause interrupts at once. */
  readonly interruptIntervalMicroseconds?: number
}

export class IgbAdapter implements NetworkAdapter {
  readonly driver = 'igb'
  readonly mac: Uint8Array
  receiver: ((frame: Frame) => void) | undefined = undefined
  linkChanged: (() => void) | undefined = undefined
  readonly #access: DeviceAccess
  readonly #registers: IgbRegisters
  readonly #options: IgbOptions
  readonly #vlans: VlanFilters
  readonly #functions: IgbVirtualFunctions
  /** By pool: queues of the host's. */
  readonly #pairs = new Map<number, IgbQueuePair>()
  readonly #addresses: ReceiveAddresses
  #promiscuous = false
  #interrupts = 0

  private constructor(
    access: DeviceAccess,
    engine: Engine,
    options: IgbOptions,
    registers: IgbRegisters,
    mac: Uint8Array,
  ) {
    this.#access = access
    this.#options = options
    this.#registers = registers
    this.mac = mac
    this.#vlans = new VlanFilters(registers)
    this.#addresses = new ReceiveAddresses(registers)
    const { address } = access.function
    this.#functions = new IgbVirtualFunctions(registers, this.#vlans, this.#addresses, engine.trace, address)
  }

  /**
   * Probes the card and opens it. Throws `unsupported` for a card that is not what it should be, or got no message
   * interrupts; `outOfMemory`, `outOfResources`.
   */
  static *open(access: DeviceAccess, engine: Engine, options: IgbOptions = {}): Software<IgbAdapter> {
    if (access.interrupts === 0) {
      throw new NorthbridgeError(
        'unsupported',
        `${access.function.address}: igb got no message-signalled interrupts`,
      )
    }
    const registers = new IgbRegisters(access, engine)
    const { mac } = yield* probe(registers)
    const adapter = new IgbAdapter(access, engine, options, registers, mac)
    access.onInterrupt(index => adapter.#interrupt(index))
    access.onVirtualFunctions(count => adapter.#virtualFunctionsChanged(count))
    adapter.#functions.setCount(access.function.virtualFunctions.length)
    adapter.#pairs.set(adapter.#ownPool, yield* IgbQueuePair.make(access, registers, options.ringEntries))
    yield* adapter.#up()
    return adapter
  }

  get address(): string {
    return this.#access.function.address
  }

  get carrier(): boolean {
    return (this.#registers.read(STATUS) & STATUS.bits.LU) !== 0
  }

  get speedMbps(): number {
    return SPEEDS[(this.#registers.read(STATUS) >>> SPEED_SHIFT) & 3]!
  }

  /** The host's pool: the first behind those of virtual functions. */
  get #ownPool(): number {
    return this.#functions.count
  }

  get #own(): IgbQueuePair {
    return this.#pairs.get(this.#ownPool)!
  }

  // Bringing up and down

  /** SR-IOV was switched: the host's own pools get other numbers, so the port starts anew. */
  *#virtualFunctionsChanged(count: number): Software {
    const pairs = [...this.#pairs.values()]
    this.#down()
    this.#functions.setCount(count)
    this.#pairs.clear()
    for (const [i, pair] of pairs.entries()) {
      // Pools of virtual machines that virtual functions need now fall back to the host's own.
      if (this.#ownPool + i < I82576_POOLS) this.#pairs.set(this.#ownPool + i, pair)
      else yield* pair.free()
    }
    yield* resetPort(this.#registers)
    initialize(this.#registers, this.mac)
    yield* this.#up()
  }

  *#up(): Software {
    const registers = this.#registers
    this.#vlans.clear()
    this.#addresses.clear()
    this.#configurePools()
    this.#configureInterrupts()
    registers.write(TCTL, TCTL.bits.EN | TCTL.bits.PSP | TCTL.bits.RTLC)
    registers.write(RCTL, this.#receiveControl())
    for (const [pool, pair] of this.#pairs) {
      yield* pair.start(pool)
      this.#route(pool)
      if (pool !== this.#ownPool) this.#addPoolFilters(pool, pair)
    }
    this.#functions.portWasReset()
    registers.write(IMS, ICR_BIT.LSC | ICR_BIT.VMMB | ICR_BIT.DOUTSYNC | ICR_BIT.DRSTA)
    registers.write(EIMS, this.#vectorMask)
    // Virtual functions wait for this after every reset of the port.
    registers.set(CTRL_EXT, CTRL_EXT.bits.PFRSTD)
    this.#functions.ping()
  }

  #down(): void {
    const registers = this.#registers
    registers.write(IMC, ALL)
    registers.write(EIMC, ALL)
    registers.write(RCTL, 0)
    registers.write(TCTL, TCTL.bits.PSP)
    for (const pair of this.#pairs.values()) pair.stop()
  }

  *close(): Software {
    this.#down()
    yield* resetPort(this.#registers)
    for (const pair of this.#pairs.values()) yield* pair.free()
    this.#pairs.clear()
    this.#access.onInterrupt(() => {})
    this.#access.onVirtualFunctions(undefined)
  }

  #receiveControl(): number {
    const { RXEN, SECRC, BAM, UPE, MPE } = RCTL.bits
    return RXEN | SECRC | BAM | (this.#promiscuous ? UPE | MPE : 0)
  }

  #configurePools(): void {
    const registers = this.#registers
    const own = this.#ownPool
    registers.write(MRQC, inField(MRQC.bits.ENABLE, MRQC_MODE.vmdq))
    registers.write(VT_CTL, inField(VT_CTL.bits.DEF_PL, own) | VT_CTL.bits.RPL_EN)
    registers.write(DTXSWC, DTXSWC.bits.LOOPBACK_EN)
    registers.set(DTXCTL, DTXCTL.bits.VLAN_ADDED | DTXCTL.bits.SPOOF_INT)
    registers.write(RPLOLR, RPLOLR.bits.STRVLAN | RPLOLR.bits.STRCRC)
    registers.write(QDE, ALL)
    const hostPools = [...this.#pairs.keys()].reduce((mask, pool) => mask | (1 << pool), 0)
    registers.write(VFRE, hostPools)
    registers.write(VFTE, hostPools)
    this.#addresses.setOwn(this.mac, own)
    this.#applyOwnPool()
  }

  #applyOwnPool(): void {
    setPool(this.#registers, this.#ownPool, {
      untagged: true,
      multicastHash: true,
      allMulticast: this.#promiscuous,
      unicastHash: this.#promiscuous,
      longestFrame: STANDARD_FRAME,
    })
  }

  setPromiscuous(on: boolean): void {
    this.#promiscuous = on
    const registers = this.#registers
    const { UPE, MPE } = RCTL.bits
    if (on) registers.set(RCTL, UPE | MPE)
    else registers.clear(RCTL, UPE | MPE)
    // With every bit of the unicast table set, every address that is nobody's reaches the host's pool.
    for (let i = 0; i < HASH_WORDS; i++) registers.write(UTA, on ? ALL : 0, i)
    this.#applyOwnPool()
  }

  // Interrupts

  get #vectors(): number {
    return this.#access.interrupts
  }

  get #vectorMask(): number {
    return (1 << this.#vectors) - 1
  }

  /** Vector 0 has what is no queue's; queues share the rest, or 0 too if there is no other. */
  #vectorOf(pool: number): number {
    return this.#vectors === 1 ? 0 : 1 + (pool % (this.#vectors - 1))
  }

  #configureInterrupts(): void {
    const registers = this.#registers
    const { MULTIPLE_MSIX, PBA, EIAME, NSICR } = GPIE.bits
    registers.write(GPIE, MULTIPLE_MSIX | PBA | EIAME | NSICR)
    registers.write(EIAC, this.#vectorMask)
    registers.write(EIAM, this.#vectorMask)
    const { VALID } = IVAR.bits
    // Byte 1: causes that are no queue's.
    registers.write(IVAR_MISC, (VALID | OTHER_VECTOR) << 8)
    const interval = this.#options.interruptIntervalMicroseconds ?? 0
    for (let vector = 0; vector < this.#vectors; vector++) {
      registers.write(EITR, inField(EITR.bits.INTERVAL, interval), vector)
    }
    registers.write(MBVFIMR, 0xff)
  }

  /** "Interrupt Vector Allocation": bytes 0 and 1 are the receive and transmit queue of the pool's number. */
  #route(pool: number): void {
    const entry = IVAR.bits.VALID | this.#vectorOf(pool)
    const kept = this.#registers.read(IVAR, pool) & 0xffff_0000
    this.#registers.write(IVAR, kept | entry | (entry << 8), pool)
  }

  #interrupt(index: number): void {
    this.#interrupts++
    if (index === OTHER_VECTOR) this.#other()
    for (const [pool, pair] of this.#pairs) {
      if (this.#vectorOf(pool) === index) pair.poll(frame => this.#receive(pool, pair, frame))
    }
    // Masked when the message was sent ("Extended Interrupt Auto Mask").
    this.#registers.write(EIMS, 1 << index)
  }

  #receive(pool: number, pair: IgbQueuePair, frame: Frame): void {
    if (pool === this.#ownPool) this.receiver?.(frame)
    else pair.receiver?.(frame)
  }

  #other(): void {
    const causes = this.#registers.read(ICR)
    if (causes & ICR_BIT.VMMB) this.#functions.serve()
    if (causes & ICR_BIT.DOUTSYNC) this.#functions.countSpoofing()
    if (causes & ICR_BIT.LSC) this.linkChanged?.()
  }

  // Sending

  send(frame: Frame): boolean {
    return this.carrier && this.#own.send(frame)
  }

  get counters(): AdapterCounters {
    const own = this.#own
    return { sent: own.sent, received: own.received, refused: own.refused, interrupts: this.#interrupts }
  }

  // Pools of virtual machines

  *openPool(mac: Uint8Array, vlan = 0): Software<AdapterPool> {
    const pool = this.#freePool()
    if (pool < 0 || this.#addresses.free < 0) {
      throw new NorthbridgeError(
        'outOfResources',
        `${this.address} has no ${pool < 0 ? 'pool' : 'receive address'} left`,
      )
    }
    const pair = yield* IgbQueuePair.make(this.#access, this.#registers, this.#options.ringEntries)
    pair.filter = { mac, vlan }
    this.#pairs.set(pool, pair)
    const registers = this.#registers
    registers.set(VFRE, 1 << pool)
    registers.set(VFTE, 1 << pool)
    yield* pair.start(pool)
    this.#route(pool)
    this.#addPoolFilters(pool, pair)
    return pair
  }

  *closePool(pool: AdapterPool): Software {
    const pair = this.#pairs.get(pool.pool)
    if (pair === undefined || pair !== pool) return
    this.#addresses.removePool(pool.pool)
    this.#vlans.removePool(pool.pool)
    this.#registers.clear(VFRE, 1 << pool.pool)
    this.#registers.clear(VFTE, 1 << pool.pool)
    pair.stop()
    this.#pairs.delete(pool.pool)
    yield* pair.free()
  }

  #freePool(): number {
    for (let pool = this.#ownPool + 1; pool < I82576_POOLS; pool++) if (!this.#pairs.has(pool)) return pool
    return -1
  }

  #addPoolFilters(pool: number, { filter }: IgbQueuePair): void {
    if (filter === undefined) return
    setPool(this.#registers, pool, {
      untagged: filter.vlan === 0,
      multicastHash: false,
      allMulticast: false,
      unicastHash: false,
      longestFrame: STANDARD_FRAME,
    })
    setPortVlan(this.#registers, pool, filter.vlan)
    if (filter.vlan !== 0) this.#vlans.add(filter.vlan, pool)
    this.#addresses.add(pool, filter.mac)
  }

  // Virtual functions

  get virtualFunctions(): readonly VirtualFunctionState[] {
    return this.#functions.states
  }

  configureVirtualFunction(index: number, settings: Partial<VirtualFunctionSettings>): void {
    this.#functions.configure(index, settings, this.speedMbps)
  }

  save(): Saved {
    return {
      version: 1,
      address: this.address,
      promiscuous: this.#promiscuous,
      interrupts: this.#interrupts,
      functions: this.#functions.save(),
      vlans: this.#vlans.save(),
      addresses: this.#addresses.save(),
      pairs: [...this.#pairs].map(([pool, pair]) => ({ pool, pair: pair.save() })),
    }
  }
}
