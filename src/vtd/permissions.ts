/** Permissions of scalable mode: what a translation grants against what a request asks for. */
import { ACCESS, GRANT } from './access.ts'
import { FAULT } from './formats/fault-codes.ts'
import { PASID_FLAG } from './pasid-entry.ts'

// Imported bindings are looked up at each use; a module's own constants are not.
const { read: READS, write: WRITES, execute: EXECUTES, privileged: PRIVILEGED, either: EITHER } = ACCESS
const { user: USER, read: READ, write: WRITE, execute: EXECUTE } = GRANT
const { firstWrite: FIRST_WRITE, firstExecute: FIRST_EXECUTE } = GRANT
const { SMEP, WPE } = PASID_FLAG

/** 0, or the reason why a request is denied: first the first stage's, then the second's. */
export function denied(attributes: number, access: number, flags: number): number {
  if ((access & PRIVILEGED) === 0 && (attributes & USER) === 0) return FAULT.userPermission
  if ((access & EXECUTES) !== 0 && !mayExecute(attributes, access, flags)) {
    return FAULT.executePermission
  }
  if ((access & WRITES) !== 0 && !mayWrite(attributes, access, flags)) {
    return FAULT.scalableWritePermission
  }
  const unreadable = (access & (READS | EITHER)) === READS && (attributes & READ) === 0
  return unreadable ? FAULT.scalableReadPermission : 0
}

/** What of a translation request is granted, as ACCESS bits. */
export function granted(attributes: number, access: number, flags: number): number {
  if ((access & PRIVILEGED) === 0 && (attributes & USER) === 0) return 0
  const rest = access & ~(READS | WRITES | EXECUTES)
  return (
    rest |
    (attributes & READ ? READS : 0) |
    ((access & WRITES) !== 0 && mayWrite(attributes, access, flags) ? WRITES : 0) |
    ((access & EXECUTES) !== 0 && mayExecute(attributes, access, flags) ? EXECUTES : 0)
  )
}

/** XD of the first stage, SMEP (privileged requests execute no user pages), X of the second. */
function mayExecute(attributes: number, access: number, flags: number): boolean {
  const smep = (access & PRIVILEGED) !== 0 && (flags & SMEP) !== 0
  return (
    (attributes & FIRST_EXECUTE) !== 0 && (attributes & EXECUTE) !== 0 && !(smep && (attributes & USER) !== 0)
  )
}

/** R/W of the first stage, which binds privileged requests with WPE only; W of the second. */
function mayWrite(attributes: number, access: number, flags: number): boolean {
  const bound = (access & PRIVILEGED) === 0 || (flags & WPE) !== 0
  return (attributes & WRITE) !== 0 && (!bound || (attributes & FIRST_WRITE) !== 0)
}
