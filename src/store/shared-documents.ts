/** Documents of an installation for those who do not keep it: a command beside the running server. */
import type { KeptDocument } from './records.ts'

/**
 * Holds none of the server's locks, so it changes only kinds of documents that the server itself never writes. Throws
 * `storeFailed`.
 */
export interface SharedDocuments {
  /** By ascending key; those that are damaged are left out. */
  documents(kind: string): Promise<readonly KeptDocument[]>
  /** Durable once it resolves. A value of `undefined` takes the document away. */
  put(document: KeptDocument): Promise<void>
  close(): Promise<void>
}
