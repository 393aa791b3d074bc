export { Page, PhysicalMemory, type RamRange } from './physical-memory.ts'
export { type MmioTarget, type MmioWindow, SystemAddressMap } from './system-address-map.ts'
