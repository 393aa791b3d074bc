/** Accesses to memory that a program makes on its own: loads, stores, fetches, by physical and by linear address. */
import { complete } from './completion.ts'
import type { Core } from './core.ts'
import { accessFailed, raise } from './exceptions.ts'
import { CR4, EXCEPTION } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf, Word64 } from './formats/operations.ts'
import { REGISTER, SEGMENTS } from './registers.ts'
import { isCanonical } from './values.ts'

const DS_LIMIT = SEGMENTS.find(({ name }) => name === 'Ds')!.limit

type PhysicalOperation = OperationOf<'read'> | OperationOf<'write'> | OperationOf<'fetch'>
type LinearOperation = OperationOf<'readLinear'> | OperationOf<'writeLinear'> | OperationOf<'fetchLinear'>

export function physicalAccess(core: Core, operation: PhysicalOperation): void {
  const { access } = core
  switch (operation.op) {
    case 'read':
      if (access.read(operation.address, operation.width)) yieldValue(core, LENGTH.read)
      else accessFailed(core)
      break
    case 'write':
      access.value[0] = operation.value[0]
      access.value[1] = operation.value[1]
      if (access.write(operation.address, operation.width)) complete(core, LENGTH.write)
      else accessFailed(core)
      break
    default:
      if (access.fetch(operation.address)) complete(core, LENGTH.fetch)
      else accessFailed(core)
  }
}

function yieldValue(core: Core, length: number): void {
  core.result.setValue(core.access.value[0]! | 0, core.access.value[1]! | 0)
  complete(core, length)
}

/** In 64-bit mode an address must be canonical; elsewhere it has 32 bits. */
export function isLegalAddress(core: Core, address: Word64, width = 1): boolean {
  if (core.code64 ? isCanonicalIn(core, address[1] | 0) : withinLimit(core, address, width)) return true
  raise(core, EXCEPTION.GP, 0)
  return false
}

function isCanonicalIn({ registers }: Core, high: number): boolean {
  if ((registers[REGISTER.cr4]! & CR4.LA57) === 0) return isCanonical(high)
  const sign = high >> 24
  return sign === 0 || sign === -1
}

/** "Limit Checking" of DS, whose base is 0 here. 64-bit mode has no limits. */
function withinLimit({ registers }: Core, address: Word64, width: number): boolean {
  return address[1] === 0 && address[0] + width - 1 <= registers[DS_LIMIT]!
}

export function linearAccess(core: Core, operation: LinearOperation): void {
  const { access } = core
  const { address } = operation
  if (!isLegalAddress(core, address, operation.op === 'fetchLinear' ? 1 : operation.width)) return
  switch (operation.op) {
    case 'readLinear':
      if (access.readLinear(address[0], address[1], operation.width, access.accessor)) {
        yieldValue(core, LENGTH.readLinear)
      } else accessFailed(core)
      break
    case 'writeLinear':
      access.value[0] = operation.value[0]
      access.value[1] = operation.value[1]
      if (access.writeLinear(address[0], address[1], operation.width, access.accessor)) {
        complete(core, LENGTH.writeLinear)
      } else accessFailed(core)
      break
    default:
      if (access.fetchLinear(address[0], address[1], access.accessor)) complete(core, LENGTH.fetchLinear)
      else accessFailed(core)
  }
}
