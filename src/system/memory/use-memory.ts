/** Has a guest use memory, as a program in it would. */
import { NorthbridgeError } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { DRIVER_MEMORY, GuestKernel, useWorkingSet, type WorkingSetContents } from '../../guest/index.ts'
import type { Hypervisor } from '../../hypervisor/index.ts'

const PAGE = 4096
const MIB_PAGES = 2 ** 20 / PAGE
/** Where programs may begin. */
export const FIRST_PROGRAM_MIB = (DRIVER_MEMORY.base + DRIVER_MEMORY.size) / 2 ** 20

export interface MemoryUse {
  readonly vm: string
  /** Counted through all of the guest's memory, without the hole for devices. */
  readonly firstMiB: number
  readonly mebibytes: number
  /** What is written; absent: it is read. */
  readonly contents?: WorkingSetContents
  /** The program ends: its memory is free for a balloon, as that of a file cache is. Default false. */
  readonly release?: boolean
}

export interface MemoryUsed {
  readonly pages: number
  /** Of those that were read: how many hold what an earlier use wrote. */
  readonly held: number
  /** VM exits that brought memory. */
  readonly faults: number
}

/** Throws `notFound`, `invalidArgument`, `unsupported`, `outOfMemory`. */
export function* useMemory(hypervisor: Hypervisor, use: MemoryUse): Software<MemoryUsed> {
  const { vm, firstMiB, mebibytes, contents, release = false } = use
  const { memoryMiB } = hypervisor.vm(vm)
  if (firstMiB < FIRST_PROGRAM_MIB || firstMiB + mebibytes > memoryMiB) {
    const rule = `programs use memory from MiB ${FIRST_PROGRAM_MIB} to the end of ${memoryMiB} MiB`
    throw new NorthbridgeError('invalidArgument', rule, { issues: [{ path: '/mebibytes', message: rule }] })
  }
  const first = firstMiB * MIB_PAGES
  const pages = mebibytes * MIB_PAGES
  const { result, exits } = yield* hypervisor.runGuest(vm, 0, function* (software) {
    if (!(software instanceof GuestKernel)) {
      throw new NorthbridgeError('unsupported', `the program of ${vm} is no kernel that runs others`)
    }
    yield* software.useMemory(first + pages)
    const held = yield* useWorkingSet(software.access, {
      first,
      pages,
      identity: identityOf(vm),
      ...(contents && { contents }),
    })
    if (release) software.releaseMemory(first)
    return held
  })
  const faults = exits.filter(({ handledBy }) => handledBy === 'memory').length
  return { pages, held: contents === undefined ? result : pages, faults }
}

/** A number by which contents of one machine differ from those of another: FNV-1a of its name. */
function identityOf(name: string): number {
  let hash = 0x811c_9dc5
  for (const letter of name) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x0100_0193)
  return hash >>> 0
}
