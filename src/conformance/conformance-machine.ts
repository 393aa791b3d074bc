/**
 * A machine of one remapping unit, as small as it can be: memory, the unit's registers in the system address map, a
 * root complex, and functions that send requests. What replays a recording uses the doors that a driver and a device
 * use, and listens where messages arrive.
 */
import { DmaEngine, type DmaResult } from '../devices/index.ts'
import { Engine } from '../engine/index.ts'
import { ApicBus, InterruptMessage, type InterruptSink } from '../interrupts/index.ts'
import { type RamRange, SystemAddressMap } from '../memory/index.ts'
import { Fabric, type PcieFunction } from '../pcie/index.ts'
import { RootComplex } from '../platform/index.ts'
import { type CacheSizes, capabilitiesFromWords, type Quirks, RemappingUnit } from '../vtd/index.ts'
import { WatchedMemory } from './memory-watch.ts'

export interface MachineOptions {
  readonly ram: readonly RamRange[]
  /** Physical address of the register page. */
  readonly base: number
  readonly hostAddressWidth: number
  /** What CAP, ECAP and VER read. */
  readonly cap: bigint
  readonly ecap: bigint
  readonly version: number
  readonly quirks: Quirks
  /** As those of a server's unit, if nothing is said. */
  readonly caches?: Partial<CacheSizes>
}

/** Keeps what arrives. */
class Listener implements InterruptSink {
  messages: InterruptMessage[] = []

  deliver(message: InterruptMessage): number {
    const copy = new InterruptMessage()
    copy.copyFrom(message)
    this.messages.push(copy)
    return -1
  }
}

/** The interconnect of local APICs, of which there are none here. */
class ListeningApicBus extends ApicBus {
  readonly listener = new Listener()

  override deliver(message: InterruptMessage): number {
    return this.listener.deliver(message)
  }
}

const halves = (value: bigint): [low: number, high: number] => [
  Number(value & 0xffff_ffffn),
  Number(value >> 32n),
]

export class ConformanceMachine {
  readonly memory: WatchedMemory
  readonly map: SystemAddressMap
  readonly unit: RemappingUnit
  readonly fabric = new Fabric()
  readonly rootComplex: RootComplex
  readonly #base: number
  readonly #unitMessages = new Listener()
  readonly #apics = new ListeningApicBus()
  readonly #engines = new Map<PcieFunction, DmaEngine>()

  /** Throws what the unit throws for capabilities that cannot be. */
  constructor({ ram, base, hostAddressWidth, cap, ecap, version, quirks, caches = {} }: MachineOptions) {
    const capabilities = capabilitiesFromWords({ cap: halves(cap), ecap: halves(ecap), version })
    this.memory = new WatchedMemory(ram)
    this.map = new SystemAddressMap(this.memory)
    this.unit = new RemappingUnit(
      { id: 'unit', index: 0, hostAddressWidth, capabilities, quirks, caches },
      { memory: this.memory, interrupts: this.#unitMessages, engine: new Engine() },
    )
    this.#base = base
    this.map.add({ name: 'unit', base, size: this.unit.registerSize, target: this.unit })
    this.rootComplex = new RootComplex({ memory: this.memory, apics: this.#apics, fabric: this.fabric })
  }

  /** Lets the requests of a root-bus function pass the unit. */
  wire(entry: PcieFunction): void {
    this.rootComplex.wire(entry, this.unit)
  }

  /** A register, as a driver reads it: a 64-bit one as two dwords, low first. */
  readRegister(offset: number, width: 32 | 64): bigint {
    const low = BigInt(this.map.readDword(this.#base + offset))
    if (width === 32) return low
    return low | (BigInt(this.map.readDword(this.#base + offset + 4)) << 32n)
  }

  writeRegister(offset: number, width: 32 | 64, value: bigint): void {
    const [low, high] = halves(value)
    this.map.writeDword(this.#base + offset, low)
    if (width === 64) this.map.writeDword(this.#base + offset + 4, high)
  }

  dma(fn: PcieFunction, write: boolean, address: bigint, data: Uint8Array): DmaResult {
    let engine = this.#engines.get(fn)
    if (engine === undefined) this.#engines.set(fn, (engine = new DmaEngine(fn)))
    return engine.dma(write, Number(address >> 12n), Number(address & 0xfffn), data)
  }

  /** The messages that the unit itself has sent since this was last asked. */
  takeUnitMessages(): InterruptMessage[] {
    return take(this.#unitMessages)
  }

  /** The messages of functions that reached the local APICs since this was last asked. */
  takeInterrupts(): InterruptMessage[] {
    return take(this.#apics.listener)
  }
}

function take(listener: Listener): InterruptMessage[] {
  const { messages } = listener
  listener.messages = []
  return messages
}
