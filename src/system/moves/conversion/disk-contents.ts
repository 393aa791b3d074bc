/** What is on a disk, whoever serves it, read and written in large pieces: zeros are neither kept nor copied. */
import { isAllZero, NorthbridgeError, PAGE_SIZE } from '../../../core/index.ts'
import { pause, type Software } from '../../../engine/index.ts'
import type { NvmeNamespace } from '../../../host/index.ts'
import { NvmeBackend } from '../../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import { SECTOR } from '../../storage/index.ts'
import type { MediumImage } from '../medium.ts'

const PIECE = 64 * 1024
const SECTORS_OF_PAGE = PAGE_SIZE / SECTOR

/** Reads sectors; false: the medium failed. */
export type SectorReader = (sector: number, target: Uint8Array) => Software<boolean>

/** Throws `unsupported` for a medium that fails. */
export function* readDisk(sectors: number, read: SectorReader): Software<MediumImage> {
  const pages: number[] = []
  const contents: Uint8Array[] = []
  const buffer = new Uint8Array(PIECE)
  for (let sector = 0; sector < sectors; sector += PIECE / SECTOR) {
    const length = Math.min(PIECE, (sectors - sector) * SECTOR)
    const piece = buffer.subarray(0, length)
    if (!(yield* read(sector, piece))) throw failed('read', sector)
    for (let at = 0; at < length; at += PAGE_SIZE) {
      const size = Math.min(PAGE_SIZE, length - at)
      if (isAllZero(new Uint32Array(buffer.buffer, at, size / 4))) continue
      const page = new Uint8Array(PAGE_SIZE)
      page.set(piece.subarray(at, at + size))
      pages.push(sector / SECTORS_OF_PAGE + at / PAGE_SIZE)
      contents.push(page)
    }
    yield* pause()
  }
  const bytes = new Uint8Array(contents.length * PAGE_SIZE)
  for (const [i, page] of contents.entries()) bytes.set(page, i * PAGE_SIZE)
  return { pages: Float64Array.from(pages), bytes }
}

/** Reads a namespace by the host's driver. Throws `outOfMemory`, `unsupported`, and what opening the controller does. */
export function* readNamespace(
  { disks }: SimulatedPlatform,
  address: string,
  namespace: NvmeNamespace,
): Software<MediumImage> {
  const backend = yield* NvmeBackend.open(yield* disks.hostDriver(address), namespace)
  try {
    return yield* readDisk(backend.sectors, (sector, target) =>
      backend.read(sector, target, 0, target.length),
    )
  } finally {
    yield* backend.close()
  }
}

/** Puts a disk onto a namespace in the place of what was on it. Throws as {@link readNamespace}. */
export function* writeNamespace(
  { disks }: SimulatedPlatform,
  address: string,
  namespace: NvmeNamespace,
  { pages, bytes }: MediumImage,
): Software {
  const backend = yield* NvmeBackend.open(yield* disks.hostDriver(address), namespace)
  try {
    if (!(yield* backend.discard(0, backend.sectors))) throw failed('cleared', 0)
    for (const [i, page] of pages.entries()) {
      const sector = page * SECTORS_OF_PAGE
      // The last page of a disk may be longer than the disk.
      const length = Math.min(PAGE_SIZE, (backend.sectors - sector) * SECTOR)
      if (!(yield* backend.write(sector, bytes, i * PAGE_SIZE, length))) throw failed('written', sector)
    }
    yield* backend.flush()
  } finally {
    yield* backend.close()
  }
}

const failed = (what: string, sector: number): NorthbridgeError =>
  new NorthbridgeError('unsupported', `the disk cannot be ${what} at sector ${sector}: its medium failed`)
