/** What the holder of a token may do. */
import { changes, type Operation } from '../operations/index.ts'

export const ROLES = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof ROLES)[number]

export const isRole = (text: string): text is Role => (ROLES as readonly string[]).includes(text)

/** A viewer asks, and changes nothing; whoever operates may do all that the table of operations offers. */
export const mayDo = (role: Role, row: Operation): boolean => role !== 'viewer' || !changes(row)

/** Who sends a request. */
export interface Principal {
  readonly role: Role
  /** The one that its requests are about; `undefined`: that of nobody in particular. */
  readonly namespace: string | undefined
  /** For logs: the identifier of its token. */
  readonly name: string
}

/** Whether somebody answers for the whole installation: for all namespaces, and for what is measured of the process. */
export const isInstallationAdmin = ({ role, namespace }: Principal): boolean =>
  role === 'admin' && namespace === undefined
