export { connectionOptions, storeFailure } from './connect.ts'
export { PostgresDocuments } from './postgres-documents.ts'
export { PostgresStore } from './postgres-store.ts'
export { prepareDatabase } from './schema.ts'
