export {
  type PhysicalInterface,
  refuseBootDevice,
  refuseNetworks,
  refuseSriovCapacity,
  refuseSriovNetwork,
  refuseWithoutIommu,
  type SriovNetwork,
} from './network-sriov.ts'
export { type XapiConfiguration, xapiPolicy } from './policy.ts'
export { type PhysicalGpu, refuseVirtualGpu, remainingCapacity } from './virtual-gpus.ts'
