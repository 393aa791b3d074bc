export * from './client.ts'
export type * from './contract.ts'
