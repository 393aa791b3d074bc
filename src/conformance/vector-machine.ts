/** The machine of a program: what its `unit` and `functions` describe, and how a step acts on it. */
import { NorthbridgeError, parsePhysical } from '../core/index.ts'
import type { InterruptMessage } from '../interrupts/index.ts'
import type { RamRange } from '../memory/index.ts'
import type { PcieFunction } from '../pcie/index.ts'
import type { CacheSizes, Quirks } from '../vtd/index.ts'
import { UnitState } from './carry-on.ts'
import { ConformanceMachine } from './conformance-machine.ts'
import { faultRecordOffset, faultState } from './fault-state.ts'
import type { Observation, SeenInterrupt, SeenPart } from './observation.ts'
import type { ActingStep, ReplayMachine } from './replay-machine.ts'
import { type PartSight, seenParts, transferBytes } from './transfer.ts'
import { VectorFabric } from './vector-functions.ts'
import type { StepOf, VectorFunction, VectorProgram } from './vtd-vectors.ts'

/** RAM of every program; everything else is no memory. */
export const RAM: readonly RamRange[] = [
  { base: 0, size: 0x8000_0000 },
  { base: 0x1_0000_0000, size: 0x4000_0000 },
]

/** Host addresses of our units have no more bits; there is no memory beyond them anyway. */
const WIDEST_HOST_ADDRESS = 52

const NO_PARTS: readonly SeenPart[] = []

/** The machine's memory is physical memory, and its unit is the one on the way. */
const AS_IT_IS: PartSight = { page: part => part.physicalPage, reason: part => part.faultReason }

export class VectorMachine extends ConformanceMachine implements ReplayMachine {
  readonly state: UnitState
  readonly cachingMode: boolean
  /** Offset of fault recording register 0. */
  readonly recordAt: number
  /** Bits of a guest address: CAP.MGAW + 1. */
  readonly guestAddressWidth: number
  readonly #functions = new Map<string, { readonly fn: PcieFunction; readonly described: VectorFunction }>()

  constructor({ unit, functions }: VectorProgram, quirks: Quirks, caches: Partial<CacheSizes>) {
    super({
      ram: RAM,
      base: parsePhysical(unit.base),
      hostAddressWidth: Math.min(unit.haw, WIDEST_HOST_ADDRESS),
      cap: BigInt(unit.cap),
      ecap: BigInt(unit.ecap),
      version: Number(unit.version),
      quirks,
      caches,
    })
    this.recordAt = faultRecordOffset(this)
    this.state = new UnitState(this.unit)
    this.cachingMode = this.unit.capabilities.CM !== 0
    this.guestAddressWidth = this.unit.capabilities.MGAW + 1
    const fabric = new VectorFabric(this.fabric, this.rootComplex)
    for (const described of functions) {
      this.#functions.set(described.name, { fn: fabric.add(described), described })
    }
    for (const entry of fabric.entries) this.wire(entry)
  }

  /** Throws `notFound` for a name that the program does not declare. */
  describedFunction(name: string): VectorFunction {
    return this.#function(name).described
  }

  #function(name: string) {
    const found = this.#functions.get(name)
    if (found === undefined)
      throw new NorthbridgeError('notFound', `the program declares no function ${name}`)
    return found
  }

  /** Carries a step out and looks at everything that may have changed. */
  observe(step: ActingStep): Observation {
    const before = faultState(this, this.recordAt)
    this.takeUnitMessages()
    this.takeInterrupts()
    let parts = NO_PARTS
    let interrupt: SeenInterrupt | undefined
    if (step.op === 'reg.write') {
      this.writeRegister(Number(step.offset), step.width, BigInt(step.value))
    } else if (step.op === 'dma') parts = this.#transfer(step)
    else interrupt = this.#message(step)
    return {
      parts,
      interrupt,
      changes: this.memory.changes(),
      before,
      after: faultState(this, this.recordAt),
      events: this.takeUnitMessages(),
    }
  }

  #transfer(step: StepOf<'dma'>): SeenPart[] {
    const { fn, described } = this.#function(step.fn)
    const bytes = transferBytes(step)
    const parts = this.dma(fn, step.dir === 'write', BigInt(step.addr), bytes)
    for (const { requesterId } of parts) requireRequester(requesterId, described)
    return seenParts(step, bytes, parts, AS_IT_IS)
  }

  #message({ fn: name, addr, data }: StepOf<'msi'>): SeenInterrupt | undefined {
    const { fn, described } = this.#function(name)
    const payload = Buffer.alloc(4)
    payload.writeUInt32LE(Number(data))
    const [part] = this.dma(fn, true, BigInt(addr), payload)
    requireRequester(part!.requesterId, described)
    const [message] = this.takeInterrupts()
    return message && seenInterrupt(message)
  }
}

export const seenInterrupt = (message: InterruptMessage): SeenInterrupt => ({
  destination: message.destination,
  destinationMode: message.logical ? 'logical' : 'physical',
  deliveryMode: message.deliveryMode,
  vector: message.vector,
  trigger: message.levelTriggered ? 'level' : 'edge',
})

function requireRequester(requesterId: number, { name, sourceId, path }: VectorFunction): void {
  if (requesterId !== sourceId) {
    throw new NorthbridgeError(
      'unsupported',
      `requests of ${name} at "${path}" carry requester id ${requesterId}, not ${sourceId}`,
    )
  }
}
