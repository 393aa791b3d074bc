/** Permissions of scalable mode: what a translation grants against what a request asks for. */
import { ACCESS, GRANT } from './access.ts'
import { FAULT } from './formats/fault-reasons.ts'
import { PASID_FLAG } from './pasid-entry.ts'

/** 0, or the reason why a request is denied: first the first stage's, then the second's. */
export function denied(attributes: number, access: number, flags: number): number {
  if ((access & ACCESS.privileged) === 0 && (attributes & GRANT.user) === 0) return FAULT.userPermission
  if ((access & ACCESS.execute) !== 0 && !mayExecute(attributes, access, flags)) {
    return FAULT.executePermission
  }
  if ((access & ACCESS.write) !== 0 && !mayWrite(attributes, access, flags)) {
    return FAULT.scalableWritePermission
  }
  const unreadable =
    (access & (ACCESS.read | ACCESS.either)) === ACCESS.read && (attributes & GRANT.read) === 0
  return unreadable ? FAULT.scalableReadPermission : 0
}

/** What of a translation request is granted, as ACCESS bits. */
export function granted(attributes: number, access: number, flags: number): number {
  if ((access & ACCESS.privileged) === 0 && (attributes & GRANT.user) === 0) return 0
  const rest = access & ~(ACCESS.read | ACCESS.write | ACCESS.execute)
  return (
    rest |
    (attributes & GRANT.read ? ACCESS.read : 0) |
    ((access & ACCESS.write) !== 0 && mayWrite(attributes, access, flags) ? ACCESS.write : 0) |
    ((access & ACCESS.execute) !== 0 && mayExecute(attributes, access, flags) ? ACCESS.execute : 0)
  )
}

/** XD of the first stage, SMEP (privileged requests execute no user pages), X of the second. */
function mayExecute(attributes: number, access: number, flags: number): boolean {
  const smep = (access & ACCESS.privileged) !== 0 && (flags & PASID_FLAG.SMEP) !== 0
  return (
    (attributes & GRANT.firstExecute) !== 0 &&
    (attributes & GRANT.execute) !== 0 &&
    !(smep && (attributes & GRANT.user) !== 0)
  )
}

/** R/W of the first stage, which binds privileged requests with WPE only; W of the second. */
function mayWrite(attributes: number, access: number, flags: number): boolean {
  const bound = (access & ACCESS.privileged) === 0 || (flags & PASID_FLAG.WPE) !== 0
  return (attributes & GRANT.write) !== 0 && (!bound || (attributes & GRANT.firstWrite) !== 0)
}
