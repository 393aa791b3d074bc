export { refuseVfSetting, type SimulatedNic, type VfSetting } from './netdevsim.ts'
export { kernelRefusalOf, linuxVfioPolicy } from './policy.ts'
export { GroupUse, refuseGroup, refuseReservedMemory } from './vfio.ts'
