export {
  chooseHostPci,
  guestAddresses,
  type HostPci,
  MOST_HOSTPCI,
  parseMachine,
  resolveHostPci,
} from './hostpci.ts'
export { type MappedPath, type Mapping, parseMappedPath, parseMappings } from './mapping.ts'
export { type ProxmoxConfiguration, proxmoxPolicy } from './policy.ts'
