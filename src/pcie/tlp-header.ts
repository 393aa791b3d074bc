/** Headers of transaction layer packets as the Header Log shows them: first dword first, Fmt in its top bits. */
import { type MemoryRequest, STATUS } from './request.ts'

/** "Fmt and Type": bits 31:24 of the first dword. */
const FORMAT = { write: 0x4000_0000, fourDwords: 0x2000_0000, poisoned: 0x4000 } as const
const TYPE = {
  memory: 0,
  configuration0: 0x0400_0000,
  completion: 0x0a00_0000,
  fetchAdd: 0x0c00_0000,
} as const
/** Addresses from 4 GiB up take four dwords. */
const PAGES_BELOW_4_GIB = 0x10_0000

const header = new Uint32Array(4)

/** The header of a memory request; a reused record. */
export function headerOf(request: MemoryRequest): Uint32Array {
  const { page, offset, length, write, atomic, addressType, poisoned, requesterId, relaxedOrdering } = request
  const wide = page >= PAGES_BELOW_4_GIB
  const first = offset & 3
  const dwords = Math.max(1, (first + length + 3) >>> 2)
  const last = (first + length) & 3
  const firstLanes = (0xf << first) & (dwords === 1 && last !== 0 ? 0xf >>> (4 - last) : 0xf)
  const lastLanes = dwords === 1 ? 0 : last === 0 ? 0xf : 0xf >>> (4 - last)
  header[0] =
    (write || atomic ? FORMAT.write : 0) |
    (wide ? FORMAT.fourDwords : 0) |
    (atomic ? TYPE.fetchAdd : TYPE.memory) |
    (poisoned ? FORMAT.poisoned : 0) |
    (relaxedOrdering ? 0x2000 : 0) |
    (addressType << 10) |
    (dwords & 0x3ff)
  header[1] = (requesterId << 16) | (lastLanes << 4) | firstLanes
  const low = ((page << 12) | (offset & 0xffc)) >>> 0
  header[2] = wide ? Math.floor(page / PAGES_BELOW_4_GIB) : low
  header[3] = wide ? low : 0
  return header
}

/** The header of the completion with the data of a read; a reused record. The root complex completes as function 0. */
export function completionHeaderOf(
  { requesterId, offset, length }: MemoryRequest,
  poisoned: boolean,
): Uint32Array {
  const dwords = Math.max(1, ((offset & 3) + length + 3) >>> 2)
  header[0] = (FORMAT.write | TYPE.completion | (poisoned ? FORMAT.poisoned : 0) | (dwords & 0x3ff)) >>> 0
  header[1] = length & 0xfff
  header[2] = ((requesterId << 16) | (offset & 0x7f)) >>> 0
  header[3] = 0
  return header
}

/** Whether the requester waits for a completion: reads and AtomicOps; memory writes are posted. */
export const isNonPosted = ({ write, atomic }: MemoryRequest): boolean => !write || atomic

/** "Completion Status": what the completion of a request that ended with `status` carries. */
export function completionStatusOf(status: number): 'SC' | 'UR' | 'CA' | 'none' {
  switch (status) {
    case STATUS.successful:
      return 'SC'
    case STATUS.unsupportedRequest:
    case STATUS.remappingFault:
    case STATUS.bridgeBusMasterDisabled:
      return 'UR'
    case STATUS.completerAbort:
    case STATUS.acsBlocked:
      return 'CA'
    default:
      return 'none'
  }
}
