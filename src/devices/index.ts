export {
  type DataSheet,
  type DataSheetCapability,
  type DataSheetFunction,
  dataSheetJsonSchema,
  dataSheetSchema,
} from './data-sheet.ts'
export { defaultVfImage, type VirtualMsiX } from './default-vf-image.ts'
export type { DeviceEnvironment, DeviceModelEntry, NetworkModel } from './device-model.ts'
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
export { DEVICE_MODELS, hasRoom, modelFitting } from './models.ts'
export type { NicEvent, NicInspection, NicModel } from './nic/common/nic-model.ts'
export {
  enableTimeSchema,
  registerOverrides,
  registerOverridesSchema,
  resetTimeSchema,
} from './register-overrides.ts'
