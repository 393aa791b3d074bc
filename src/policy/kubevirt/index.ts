export { type KubevirtRefusal, refuseAtAdmission, refuseAtController } from './admission.ts'
export {
  type KubevirtConfiguration,
  parseKubevirtConfiguration,
  parseVirtualMachineDevices,
} from './configuration.ts'
export { AddressPool, hostDevicesFor, isPhysicalFunction, offerOf } from './device-plugin.ts'
export { kubevirtPolicy } from './policy.ts'
