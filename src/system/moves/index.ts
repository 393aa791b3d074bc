export { type CloneOptions, cloneVm } from './clone.ts'
export { decodeText, encodeText } from './document-text.ts'
export { LiveMigration, type Meanwhile } from './live-migration.ts'
export {
  type GuestLoad,
  MIGRATION_DEFAULTS,
  type MigrationOptions,
  type MigrationReport,
  type MigrationRound,
  PAGE_BYTES,
  type PostCopyReport,
  ZERO_PAGE_BYTES,
} from './migration-options.ts'
export { TwoPlatforms } from './two-platforms.ts'
export {
  captureVm,
  checkVmDocument,
  obstaclesOf,
  type Placement,
  placeVm,
  type VmDocument,
} from './vm-document.ts'
