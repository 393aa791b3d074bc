/** What is on a disk in the host's memory, page by page: pages that were never written are left out. */
import { NorthbridgeError, PAGE_SIZE } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { MemoryBackend } from '../../hypervisor/index.ts'
import { SECTOR } from '../storage/index.ts'

export type MediumImage = {
  /** Pages of the disk, ascending. */
  readonly pages: Float64Array
  readonly bytes: Uint8Array
}

const SECTORS_OF_PAGE = PAGE_SIZE / SECTOR

export function* readMedium(medium: MemoryBackend): Software<MediumImage> {
  const { pages } = medium
  const bytes = new Uint8Array(pages.length * PAGE_SIZE)
  for (const [i, page] of pages.entries())
    yield* medium.read(page * SECTORS_OF_PAGE, bytes, i * PAGE_SIZE, PAGE_SIZE)
  return { pages: Float64Array.from(pages), bytes }
}

/** Onto an empty disk. Throws `outOfMemory`, `invalidDocument`. */
export function* writeMedium(medium: MemoryBackend, { pages, bytes }: MediumImage): Software {
  const fits = pages.every(
    page => Number.isInteger(page) && page >= 0 && (page + 1) * SECTORS_OF_PAGE <= medium.sectors,
  )
  if (!fits || bytes.length !== pages.length * PAGE_SIZE)
    throw new NorthbridgeError('invalidDocument', 'the image of the disk is not one of a disk of this size')
  for (const [i, page] of pages.entries()) yield* writePage(medium, page, bytes, i * PAGE_SIZE)
}

/** Throws `outOfMemory`. */
export function* writePage(medium: MemoryBackend, page: number, bytes: Uint8Array, start: number): Software {
  if (yield* medium.write(page * SECTORS_OF_PAGE, bytes, start, PAGE_SIZE)) return
  throw new NorthbridgeError('outOfMemory', 'the host has no memory left for the disk')
}

export function* readPage(medium: MemoryBackend, page: number, target: Uint8Array): Software {
  yield* medium.read(page * SECTORS_OF_PAGE, target, 0, PAGE_SIZE)
}
