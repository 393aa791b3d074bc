export { Classifier, VERDICT } from './classifier.ts'
export { FilterTables, MIRROR_RULES, type MirrorRule, PoolSet } from './filter-tables.ts'
export * from './formats/index.ts'
export { frameCheckSequence } from './frame-check-sequence.ts'
export { type FrameListener, LinkPartner } from './link-partner.ts'
export { RSS_KEY_SIZE, ToeplitzHash } from './toeplitz.ts'
export {
  type FrameCarrier,
  type FrameSink,
  INTERPACKET_GAP,
  lineOccupancy,
  NetworkPort,
  PREAMBLE_SIZE,
  Wire,
} from './wire.ts'
