export { type MachineDefinition, type Protection, protect } from './protection.ts'
export { type Recovery, type RecoveryOptions, recover } from './recovery.ts'
