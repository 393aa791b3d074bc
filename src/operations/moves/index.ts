export { migrateVm } from './migration.ts'
export { pauseVm, resumeVm } from './pause.ts'
export {
  cloneVm,
  deleteSnapshot,
  exportSnapshot,
  importSnapshot,
  placeSnapshot,
  rewindVm,
  snapshot,
  snapshots,
  takeSnapshot,
} from './snapshots.ts'
