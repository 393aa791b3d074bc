export { describeReport, type FirmwareReport, runFirmware } from './firmware.ts'
export type { PlacedTable } from './tables.ts'
