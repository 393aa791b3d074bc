export { Guard } from './guard.ts'
export {
  DEFAULT_SERVER_LIMITS,
  type NamespaceLimits,
  parseLimits,
  type ServerLimits,
} from './limits-document.ts'
export { type Namespace, Namespaces } from './namespaces.ts'
export { openTokenBook } from './open-token-book.ts'
export { isInstallationAdmin, isRole, mayDo, type Principal, ROLES, type Role } from './roles.ts'
export { TokenBook } from './token-book.ts'
export { DEFAULT_NAMESPACE, type TokenRecord } from './tokens.ts'
