/** What requests ask for and what translations grant, as bits: the terms in which walks, caches and checks speak. */

/** What a request asks for. Read and write are the bits of second-stage entries. */
export const ACCESS = {
  read: 1,
  write: 2,
  execute: 4,
  privileged: 8,
  /** A zero-length read on a unit with CAP.ZLR: either right will do. */
  either: 16,
  /** A translation request: rights are not demanded but reported. */
  report: 32,
} as const

/** What a translation grants: attributes of cached translations. */
export const GRANT = {
  /** By the second stage; all three if there is none. */
  read: 1,
  write: 2,
  execute: 4,
  /** By the first stage; all three if there is none. User: U/S at every level. */
  firstExecute: 8,
  user: 16,
  firstWrite: 32,
  /** A write needs no update in memory: D is set wherever it is kept. */
  dirty: 64,
  /** Accesses to the page are snooped (SNP or PGSNP). */
  snoop: 128,
  global: 256,
  /** Of entries that point to a first-stage table in guest memory: the second stage lets A and D be set there … */
  tableWritable: 512,
  /** … and keeps no D of its own that would have to be set for it. */
  tableDirty: 1024,
} as const

export const SECOND_STAGE_GRANTS = GRANT.read | GRANT.write | GRANT.execute
export const FIRST_STAGE_GRANTS = GRANT.firstExecute | GRANT.user | GRANT.firstWrite
