export type { DmaPart, DmaReport, InterruptReport } from './reports.ts'
export { type PowerAction, SimulatedPlatform, type SimulatedPlatformOptions } from './simulated-platform.ts'
