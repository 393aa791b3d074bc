export { MemoryStore } from './memory-store.ts'
export type {
  CommandRecord,
  Commit,
  Kept,
  KeptAnswer,
  KeptDocument,
  KeptWorld,
  Snapshot,
  Sooner,
  Store,
  WorldMark,
} from './records.ts'
export type { SharedDocuments } from './shared-documents.ts'
export { SqliteDocuments } from './sqlite/shared-documents.ts'
export { SqliteStore } from './sqlite/sqlite-store.ts'
export { decodeState, encodeState, encodeStateNow } from './state-codec.ts'
