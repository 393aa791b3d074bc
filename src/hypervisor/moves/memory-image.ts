/** What the memory of a virtual machine holds, page by page: pages of zeros are left out. */
import { isAllZero, NorthbridgeError, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import { pause, type Software } from '../../engine/index.ts'
import type { GuestMemory } from '../guest-memory.ts'

export type MemoryImage = {
  /** Guest pages, ascending. */
  readonly pages: Float64Array
  /** Their bytes, one page after the other. */
  readonly bytes: Uint8Array
}

/** Pages between two pauses. */
const SLICE = 4096

export function* readMemoryImage(memory: GuestMemory): Software<MemoryImage> {
  const pages: number[] = []
  const contents: Uint8Array[] = []
  const buffer = new Uint8Array(PAGE_SIZE)
  const words = new Uint32Array(buffer.buffer)
  let seen = 0
  for (const page of pagesOf(memory)) {
    if (++seen % SLICE === 0) yield* pause()
    memory.readInto(page * PAGE_SIZE, buffer, 0, PAGE_SIZE)
    if (isAllZero(words)) continue
    pages.push(page)
    contents.push(buffer.slice())
  }
  const bytes = new Uint8Array(contents.length * PAGE_SIZE)
  for (const [i, content] of contents.entries()) bytes.set(content, i * PAGE_SIZE)
  return { pages: Float64Array.from(pages), bytes }
}

/** Into memory that is all zeros. */
export function* writeMemoryImage(memory: GuestMemory, { pages, bytes }: MemoryImage): Software {
  checkImage(memory, { pages, bytes })
  for (const [i, page] of pages.entries()) {
    if (i % SLICE === SLICE - 1) yield* pause()
    memory.writeFrom(page * PAGE_SIZE, bytes, i * PAGE_SIZE, PAGE_SIZE)
  }
}

/** Throws `invalidDocument` for pages that the memory does not have, and for bytes that are not theirs. */
function checkImage(memory: GuestMemory, { pages, bytes }: MemoryImage): void {
  const fits = pages.every(page => Number.isInteger(page) && memory.contains(page * PAGE_SIZE, PAGE_SIZE))
  if (fits && bytes.length === pages.length * PAGE_SIZE) return
  throw new NorthbridgeError('invalidDocument', 'the image of memory is not one of a machine of this size')
}

/** Guest pages that are memory, ascending. */
export function* pagesOf(memory: GuestMemory): Generator<PageNumber> {
  for (const { base, size } of memory.ranges) {
    for (let page = base / PAGE_SIZE; page < (base + size) / PAGE_SIZE; page++) yield page
  }
}
