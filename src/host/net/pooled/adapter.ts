/**
 * A network adapter whose driver always works with pools, as Linux's igb and ixgbe do once they have virtual functions:
 * pools 0 to n − 1 are theirs, pool n is the host's, and pools above can be given to virtual machines (VMDq).
 */
import { NorthbridgeError, opened, type Saved } from '../../../core/index.ts'
import { ESWITCH_PORT } from '../../../devices/formats/nic/descriptors.ts'
import type { Software, Trace } from '../../../engine/index.ts'
import type { Frame } from '../../../net/formats/index.ts'
import type { DeviceAccess } from '../../device-access.ts'
import type {
  AdapterCounters,
  AdapterOptions,
  AdapterPool,
  EswitchMode,
  NetworkAdapter,
  VirtualFunctionSettings,
  VirtualFunctionState,
} from '../adapter.ts'
import { Eswitch } from './eswitch.ts'
import { CAUSE, type PooledPort } from './port.ts'
import { QueuePair } from './queue-pair.ts'
import { ReceiveAddresses } from './receive-addresses.ts'
import type { SavedAdapter } from './saved-adapter.ts'
import { VirtualFunctions } from './virtual-functions.ts'
import { VlanFilters } from './vlan-filters.ts'

export class PooledAdapter implements NetworkAdapter {
  readonly mac: Uint8Array
  receiver: ((frame: Frame) => void) | undefined = undefined
  transmitted: (() => void) | undefined = undefined
  linkChanged: (() => void) | undefined = undefined
  removed: (() => void) | undefined = undefined
  representedChanged: (() => void) | undefined = undefined
  functionReceiver: ((vf: number, frame: Frame) => void) | undefined = undefined
  readonly #port: PooledPort
  readonly #access: DeviceAccess
  readonly #options: AdapterOptions
  readonly #vlans: VlanFilters
  readonly #functions: VirtualFunctions
  readonly #eswitch: Eswitch
  /** By pool: queues of the host's. */
  readonly #pairs = new Map<number, QueuePair>()
  readonly #addresses: ReceiveAddresses
  /** VLANs that the host itself wants to hear. */
  readonly #heard = new Set<number>()
  #promiscuous = false
  #interrupts = 0

  private constructor(
    port: PooledPort,
    access: DeviceAccess,
    trace: Trace,
    options: AdapterOptions,
    mac: Uint8Array,
  ) {
    this.#port = port
    this.#access = access
    this.#options = options
    this.mac = mac
    this.#vlans = new VlanFilters(port)
    this.#addresses = new ReceiveAddresses(port)
    this.#eswitch = new Eswitch(port, access.function.address)
    this.#functions = new VirtualFunctions(port, this.#vlans, this.#addresses, trace, access.function.address)
  }

  /**
   * Probes the card and opens it. Throws `unsupported` for a card that is not what it should be, or got no message
   * interrupts; `outOfMemory`, `outOfResources`.
   */
  static *open(
    port: PooledPort,
    access: DeviceAccess,
    trace: Trace,
    options: AdapterOptions = {},
  ): Software<PooledAdapter> {
    if (access.interrupts === 0) {
      throw new NorthbridgeError(
        'unsupported',
        `${access.function.address}: ${port.driver} got no message-signalled interrupts`,
      )
    }
    const adapter = new PooledAdapter(port, access, trace, options, yield* port.probe())
    adapter.#functions.setCount(access.function.virtualFunctions.length)
    const own = adapter.#ownPool
    adapter.#pairs.set(own, yield* QueuePair.make(access, port, own, options.ringEntries))
    adapter.#attend()
    yield* adapter.#up()
    return adapter
  }

  /** The driver as it was when it was saved, of an adapter that is in the state of that moment. */
  static restore(port: PooledPort, access: DeviceAccess, trace: Trace, from: Saved): PooledAdapter {
    const saved = opened<SavedAdapter>(from, port.driver, 1)
    const { ringEntries, interruptIntervalMicroseconds } = saved
    const options = { interruptIntervalMicroseconds, ...(ringEntries !== null && { ringEntries }) }
    const adapter = new PooledAdapter(port, access, trace, options, saved.mac.slice())
    adapter.#promiscuous = saved.promiscuous
    adapter.#eswitch.mode = saved.eswitch
    adapter.#interrupts = saved.interrupts
    adapter.#functions.load(saved.functions)
    adapter.#vlans.load(saved.vlans, saved.promiscuous ? adapter.#ownPool : -1)
    for (const vlan of saved.heard) adapter.#heard.add(vlan)
    adapter.#addresses.load(saved.addresses)
    for (const pair of saved.pairs) adapter.#pairs.set(pair.pool, QueuePair.restore(access, port, pair))
    adapter.#attend()
    return adapter
  }

  #attend(): void {
    this.#own.receiver = frame => this.receiver?.(frame)
    this.#own.functionReceiver = (vf, frame) => this.functionReceiver?.(vf, frame)
    this.#access.serve({
      interrupt: index => this.#interrupt(index),
      virtualFunctionsChanged: count => this.#virtualFunctionsChanged(count),
      wasReset: () => this.#restart(),
      remove: () => this.#remove(),
    })
  }

  *#remove(): Software {
    yield* this.close()
    this.removed?.()
  }

  get address(): string {
    return this.#access.function.address
  }

  get driver(): string {
    return this.#port.driver
  }

  get carrier(): boolean {
    return this.#port.carrier
  }

  get speedMbps(): number {
    return this.#port.speedMbps
  }

  /** The host's pool: the first behind those of virtual functions. */
  get #ownPool(): number {
    return this.#functions.functions.length
  }

  get #own(): QueuePair {
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
      const pool = this.#ownPool + i
      // Pools of virtual machines that virtual functions need now fall back to the host's own.
      if (pool < this.#port.pools) {
        pair.moveTo(pool)
        this.#pairs.set(pool, pair)
      } else yield* pair.free()
    }
    yield* this.#restart()
    this.representedChanged?.()
  }

  *#restart(): Software {
    if (this.#port.gone) return
    yield* this.#port.reset()
    this.#port.initialize(this.mac)
    yield* this.#up()
  }

  *#up(): Software {
    const port = this.#port
    this.#vlans.clear()
    this.#addresses.clear()
    port.configure(this.#ownPool, this.#vectors, this.#options.interruptIntervalMicroseconds ?? 0)
    this.#eswitch.apply()
    this.#addresses.setOwn(this.mac, this.#ownPool)
    // Frames with a priority only.
    this.#vlans.add(0, this.#ownPool)
    for (const vlan of this.#heard) this.#vlans.add(vlan, this.#ownPool)
    this.#applyPromiscuity()
    for (const [pool, pair] of this.#pairs) {
      port.enablePool(pool, true)
      yield* pair.start()
      port.route(pool, this.#vectorOf(pool))
      if (pool !== this.#ownPool) this.#addPoolFilters(pair)
    }
    this.#functions.portWasReset()
    yield* port.enableReceiver()
    port.goLive(this.#vectors)
    this.#functions.ping()
  }

  #down(): void {
    this.#port.quiesce()
    for (const pair of this.#pairs.values()) pair.stop()
  }

  *close(): Software {
    if (!this.#port.gone) {
      this.#down()
      yield* this.#port.reset()
    }
    for (const pair of this.#pairs.values()) yield* pair.free()
    this.#pairs.clear()
    this.#access.serve(undefined)
  }

  setAddress(mac: Uint8Array): void {
    this.mac.set(mac)
    this.#addresses.setOwn(this.mac, this.#ownPool)
  }

  get vlans(): readonly number[] {
    return [...this.#heard].sort((a, b) => a - b)
  }

  setPromiscuous(on: boolean): void {
    this.#promiscuous = on
    this.#applyPromiscuity()
  }

  #applyPromiscuity(): void {
    const on = this.#promiscuous
    this.#port.setPromiscuous(on)
    this.#vlans.setCurious(on ? this.#ownPool : -1)
    this.#port.setPool(this.#ownPool, {
      untagged: true,
      multicastHash: true,
      allMulticast: on,
      unicastHash: on,
    })
  }

  hearVlan(vlan: number, on: boolean): boolean {
    if (on && !this.#vlans.add(vlan, this.#ownPool)) return false
    if (on) this.#heard.add(vlan)
    else if (this.#heard.delete(vlan)) this.#vlans.remove(vlan, this.#ownPool)
    return true
  }

  // Interrupts

  get #vectors(): number {
    return this.#access.interrupts
  }

  /** One vector has what is no queue's; queues share the rest, or that one too if there is no other. */
  #vectorOf(pool: number): number {
    const vectors = this.#vectors
    if (vectors === 1) return 0
    const other = this.#port.otherVector(vectors)
    const vector = pool % (vectors - 1)
    return vector < other ? vector : vector + 1
  }

  #interrupt(index: number): void {
    this.#interrupts++
    if (index === this.#port.otherVector(this.#vectors)) this.#other()
    for (const pair of this.#pairs.values()) {
      if (this.#vectorOf(pair.pool) !== index) continue
      pair.interrupts++
      pair.poll()
      if (pair === this.#own) this.transmitted?.()
    }
    // Masked when the message was sent ("Extended Interrupt Auto Mask").
    this.#port.unmask(index)
  }

  #other(): void {
    const causes = this.#port.takeCauses()
    if (causes & CAUSE.mailbox) this.#functions.serve()
    if (causes & CAUSE.spoofing) this.#functions.countSpoofing()
    if (causes & CAUSE.link) {
      // What came before the link went is no loss.
      this.#own.poll()
      this.linkChanged?.()
    }
  }

  // Sending

  send(frame: Frame): boolean {
    const destination = this.#eswitch.switchdev ? ESWITCH_PORT.wire : ESWITCH_PORT.none
    return this.carrier && this.#own.send(frame, destination)
  }

  sendTo(vf: number, frame: Frame): boolean {
    return vf < this.represented && this.#own.send(frame, ESWITCH_PORT.firstFunction + vf)
  }

  get counters(): AdapterCounters {
    const own = this.#own
    return { sent: own.sent, received: own.received, refused: own.refused, interrupts: this.#interrupts }
  }

  // Pools of virtual machines

  *openPool(mac: Uint8Array, vlan = 0): Software<AdapterPool> {
    this.#eswitch.checkSorting()
    const pool = this.#freePool()
    if (pool < 0) throw this.#without('pool')
    if (!this.#addresses.takes(pool)) throw this.#without('receive address')
    if (!this.#vlans.takes(vlan)) throw this.#without('VLAN filter')
    const pair = yield* QueuePair.make(this.#access, this.#port, pool, this.#options.ringEntries)
    pair.filter = { mac, vlan }
    this.#pairs.set(pool, pair)
    this.#port.enablePool(pool, true)
    yield* pair.start()
    this.#port.route(pool, this.#vectorOf(pool))
    this.#addPoolFilters(pair)
    return pair
  }

  #without(what: string): NorthbridgeError {
    return new NorthbridgeError('outOfResources', `${this.address} has no ${what} left`)
  }

  *closePool(pool: AdapterPool): Software {
    const pair = this.#pairs.get(pool.pool)
    if (pair === undefined || pair !== pool) return
    this.#addresses.removePool(pool.pool)
    this.#vlans.removePool(pool.pool)
    this.#port.enablePool(pool.pool, false)
    pair.stop()
    this.#pairs.delete(pool.pool)
    yield* pair.free()
  }

  #freePool(): number {
    for (let pool = this.#ownPool + 1; pool < this.#port.pools; pool++)
      if (!this.#pairs.has(pool)) return pool
    return -1
  }

  #addPoolFilters({ pool, filter }: QueuePair): void {
    if (filter === undefined) return
    const rules = { multicastHash: false, allMulticast: false, unicastHash: false }
    this.#port.setPool(pool, { ...rules, untagged: filter.vlan === 0 })
    this.#port.setPortVlan(pool, filter.vlan)
    this.#vlans.add(filter.vlan, pool)
    this.#addresses.add(pool, filter.mac)
  }

  pool(number: number): AdapterPool | undefined {
    return this.#pairs.get(number)
  }

  // Virtual functions

  get virtualFunctions(): readonly VirtualFunctionState[] {
    return this.#functions.states
  }

  configureVirtualFunction(index: number, settings: Partial<VirtualFunctionSettings>): void {
    this.#eswitch.checkSettings(settings)
    this.#functions.configure(index, settings)
  }

  get eswitch(): EswitchMode {
    return this.#eswitch.mode
  }

  setEswitch(mode: EswitchMode): void {
    this.#eswitch.set(mode, this.virtualFunctions, this.#pairs.size - 1)
    this.representedChanged?.()
  }

  get represented(): number {
    return this.#eswitch.switchdev ? this.#functions.functions.length : 0
  }

  save(): SavedAdapter {
    const { ringEntries = null, interruptIntervalMicroseconds = 0 } = this.#options
    return {
      version: 1,
      address: this.address,
      mac: this.mac.slice(),
      ringEntries,
      interruptIntervalMicroseconds,
      promiscuous: this.#promiscuous,
      eswitch: this.eswitch,
      heard: [...this.#heard].sort((a, b) => a - b),
      interrupts: this.#interrupts,
      functions: this.#functions.save(),
      vlans: this.#vlans.save(),
      addresses: this.#addresses.save(),
      pairs: [...this.#pairs.values()].map(pair => pair.save()),
    }
  }
}
