export * from './fault-reasons.ts'
export * from './invalidation-descriptors.ts'
export * from './registers.ts'
export * from './structures.ts'
