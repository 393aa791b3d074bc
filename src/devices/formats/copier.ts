/**
 * Registers of the copier, a device invented for this project: it copies memory, a page at a time, and its whole state can be
 * taken out of it and put into another. The first page is for whoever uses it; the second, the migration window, for who
 * owns the machine.
 */

export const COPIER_IDS = { vendorId: 0x1b36, deviceId: 0xe510 } as const

/** Offsets in BAR 0. */
export const COPIER = {
  sourceLow: 0x00,
  sourceHigh: 0x04,
  destinationLow: 0x08,
  destinationHigh: 0x0c,
  length: 0x10,
  /** Writing 1 starts a copy. */
  control: 0x14,
  status: 0x18,
  /** Copies that have ended. */
  copies: 0x1c,
  /** 16 dwords without meaning. */
  scratch: 0x40,
  scratchDwords: 16,
} as const

export const COPIER_STATUS = { busy: 1, done: 2, failed: 4 } as const

/** Offset of the migration window in BAR 0; the offsets below are in it. */
export const MIGRATION_WINDOW = 0x1000
export const COPIER_REGISTER_BYTES = 0x2000

export const MIGRATION = {
  /** `MIGRATION_IDENTITY`. */
  identity: 0x00,
  /** Of the format of the state. */
  version: 0x04,
  /** 1: it works. 0: it stands still, in the middle of a copy if need be. */
  run: 0x08,
  /** Dwords of the state. */
  size: 0x0c,
  /** Dword of the state that `data` is; each access of `data` moves it on. */
  index: 0x10,
  data: 0x14,
  /** Writing 1 while it stands still makes what was written to `data` its state. Reads 1 if that was accepted. */
  commit: 0x18,
  /** 1: pages that it writes are logged. Writing empties the log. */
  log: 0x1c,
  /** Entries of the log. */
  logCount: 0x20,
  /** Page number of the oldest entry; reading the high half removes it. */
  logLow: 0x24,
  logHigh: 0x28,
  /** 1: pages were not logged for want of room. Writing 1 clears it. */
  logOverflow: 0x2c,
} as const

/** "NBMG" */
export const MIGRATION_IDENTITY = 0x474d_424e
export const MIGRATION_VERSION = 1
export const LOG_ENTRIES = 1024
