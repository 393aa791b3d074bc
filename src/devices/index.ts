export {
  type DataSheet,
  type DataSheetCapability,
  type DataSheetFunction,
  dataSheetJsonSchema,
  dataSheetSchema,
} from './data-sheet.ts'
export { defaultVfImage, type VirtualMsiX } from './default-vf-image.ts'
export {
  DmaEngine,
  type DmaOptions,
  type DmaPart,
  type DmaResult,
  type InterruptResult,
} from './dma-engine.ts'
export { definitionFromDataSheet, definitionsFromDataSheet } from './function-images.ts'
export { ImageWriter } from './image-writer.ts'
export { dataSheetNames, loadDataSheet } from './load-data-sheet.ts'
export {
  enableTimeSchema,
  registerOverrides,
  registerOverridesSchema,
  resetTimeSchema,
} from './register-overrides.ts'
