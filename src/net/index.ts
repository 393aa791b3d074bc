export { Classifier, VERDICT } from './classifier.ts'
export { FilterTables, MIRROR_RULES, type MirrorRule, PoolSet } from './filter-tables.ts'
export * from './formats/index.ts'
export { type FrameListener, LinkPartner } from './link-partner.ts'
export { RSS_KEY_SIZE, ToeplitzHash } from './toeplitz.ts'
export {
  type FrameSink,
  NetworkPort,
  type SavedWire,
  Wire,
} from './wire.ts'
