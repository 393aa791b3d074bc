/** "Queued Invalidation": a ring of descriptors in guest memory, each batch followed by a wait descriptor. */
import { type Fields, set } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  DESCRIPTOR_BYTES,
  DESCRIPTOR_TYPE,
  FSTS,
  INVALIDATION_WAIT,
  IQA,
  IQT,
} from '../../vtd/formats/index.ts'
import type { GuestAccess } from '../guest-access.ts'
import type { UnitAccess } from './unit-access.ts'

const RING_BYTES = 4096
const DONE = 1

/** A descriptor by its fields. */
export interface Descriptor {
  readonly fields: Fields
  readonly values: Readonly<Record<string, number>>
}

export class InvalidationRing {
  readonly #access: GuestAccess
  readonly #unit: UnitAccess
  /** Guest-physical addresses of the ring, and of the dword that wait descriptors write. */
  readonly #ring: number
  readonly #status: number
  /** Scalable mode takes descriptors of 256 bits. */
  readonly #bytes: number
  #tail: number

  constructor(access: GuestAccess, unit: UnitAccess, ring: number, status: number, wide: boolean, tail = 0) {
    this.#access = access
    this.#unit = unit
    this.#ring = ring
    this.#status = status
    this.#bytes = wide ? 2 * DESCRIPTOR_BYTES : DESCRIPTOR_BYTES
    this.#tail = tail
  }

  get tail(): number {
    return this.#tail
  }

  *enable(): Software {
    const wide = this.#bytes > DESCRIPTOR_BYTES ? IQA.f.DW.mask : 0
    yield* this.#unit.write64(IQA.offset, (this.#ring | wide) >>> 0, 0)
    yield* this.#unit.write64(IQT.offset, 0, 0)
    yield* this.#unit.command('QIE')
  }

  /** Returns when the unit has done all of it; false if it has stopped at an error. */
  *submit(descriptors: readonly Descriptor[]): Software<boolean> {
    yield* this.#access.write32(this.#status, 0)
    for (const descriptor of descriptors) yield* this.#append(descriptor)
    const { TYPE, SW, FN, STDATA, STADDR } = INVALIDATION_WAIT
    yield* this.#append({
      fields: { TYPE, SW, FN, STDATA, STADDR },
      values: { TYPE: DESCRIPTOR_TYPE.wait, SW: 1, FN: 1, STDATA: DONE, STADDR: this.#status / 4 },
    })
    yield* this.#unit.write64(IQT.offset, this.#tail, 0)
    while ((yield* this.#access.read32(this.#status)) !== DONE) {
      if (((yield* this.#unit.read(FSTS.offset)) & FSTS.f.IQE.mask) !== 0) return false
      yield
    }
    return true
  }

  *#append({ fields, values }: Descriptor): Software {
    const words = new Uint32Array(this.#bytes / 4)
    for (const [name, value] of Object.entries(values)) set(fields[name]!, words, value)
    for (let word = 0; word < words.length; word += 2)
      yield* this.#access.write64(this.#ring + this.#tail + word * 4, words[word]!, words[word + 1]!)
    this.#tail = (this.#tail + this.#bytes) % RING_BYTES
  }
}
