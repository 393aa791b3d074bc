/** What a replay needs of the machine that it acts on: a unit with memory around it, wherever it is. */
import type { UnitState } from './carry-on.ts'
import type { RegisterReader } from './fault-state.ts'
import type { ByteChange } from './memory-watch.ts'
import type { Observation } from './observation.ts'
import type { StepOf, VectorFunction } from './vtd-vectors.ts'

/** Memory that knows what changed in it, to the byte. */
export interface ReplayMemory {
  /** False where there is no memory. */
  read(address: number, target: Uint8Array): boolean
  write(address: number, bytes: Uint8Array): boolean
  readDword(address: number): number | undefined
  /** What changed since the last call of {@link accept} or {@link settle}, by ascending page and address. */
  changes(): ByteChange[]
  /** Takes what memory holds now as the state to compare with. */
  accept(): void
  /** Undoes every change, and makes these instead. */
  settle(changes: readonly ByteChange[]): void
  /** What a byte held when memory was last looked at. */
  before(address: number): number
}

/** A step that makes the hardware do something. */
export type ActingStep = StepOf<'reg.write' | 'dma' | 'msi'>

export interface ReplayMachine extends RegisterReader {
  readonly memory: ReplayMemory
  readonly state: UnitState
  /** CAP.CM of the unit. */
  readonly cachingMode: boolean
  /** Offset of fault recording register 0. */
  readonly recordAt: number
  /** Bits of a guest address: CAP.MGAW + 1. */
  readonly guestAddressWidth: number
  /** Throws `notFound` for a name that the program does not declare. */
  describedFunction(name: string): VectorFunction
  /** Carries a step out and looks at everything that may have changed. */
  observe(step: ActingStep): Observation
}
