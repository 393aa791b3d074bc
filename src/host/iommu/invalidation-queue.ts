/** Queued invalidation: a ring of descriptors in memory, and a status word that says when they are done. */
import { assert, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import { type Software, until } from '../../engine/index.ts'
import { DESCRIPTOR_BYTES, FSTS, IQA, IQH, IQT } from '../../vtd/formats/index.ts'
import type { TableMemory } from '../table-memory.ts'
import { type Descriptor, describeInvalidation, type Invalidation, waitDescriptor } from './invalidation.ts'
import type { UnitRegisters } from './unit-registers.ts'

/** IQA.QS = 0: one page of 128-bit descriptors. */
const ENTRIES = PAGE_SIZE / DESCRIPTOR_BYTES
/** What a wait descriptor writes over {@link PENDING}. */
const DONE = 2
const PENDING = 1

export class InvalidationQueue {
  readonly #memory: TableMemory
  readonly #registers: UnitRegisters
  readonly #ring: PageNumber
  /** A status word for each slot of the ring. */
  readonly #status: PageNumber

  constructor(memory: TableMemory, registers: UnitRegisters) {
    this.#memory = memory
    this.#registers = registers
    this.#ring = memory.allocate()
    this.#status = memory.allocate()
  }

  *enable(): Software {
    this.#registers.write64(IQT, 0, 0)
    this.#registers.writePage(IQA, this.#ring)
    yield* this.#registers.command('QIE')
  }

  /** Returns when the unit has forgotten all that was asked. */
  *invalidate(requests: readonly Invalidation[]): Software {
    const batch = ENTRIES / 2
    for (let at = 0; at < requests.length; at += batch) {
      yield* this.#submit(requests.slice(at, at + batch).map(describeInvalidation))
    }
  }

  *#submit(descriptors: readonly Descriptor[]): Software {
    yield* until(() => this.#freeSlots() > descriptors.length + 1)
    let slot = this.#slot(IQT.offset)
    for (const descriptor of descriptors) {
      this.#memory.write(this.#ring, slot, descriptor)
      slot = (slot + 1) % ENTRIES
    }
    const status = this.#status * PAGE_SIZE + slot * 4
    this.#memory.machine.writeDword(status, PENDING)
    this.#memory.write(this.#ring, slot, waitDescriptor(status, DONE))
    this.#registers.write(IQT.offset, ((slot + 1) % ENTRIES) * DESCRIPTOR_BYTES)
    const failed = (): boolean => this.#registers.field(FSTS, FSTS.f.IQE) !== 0
    yield* until(() => this.#memory.machine.readDword(status) === DONE || failed())
    assert(!failed(), 'the unit accepts every descriptor that the driver writes')
    this.#memory.machine.writeDword(status, 0)
  }

  #slot(offset: number): number {
    return this.#registers.read(offset) / DESCRIPTOR_BYTES
  }

  #freeSlots(): number {
    return (this.#slot(IQH.offset) - this.#slot(IQT.offset) - 1 + ENTRIES) % ENTRIES
  }
}
