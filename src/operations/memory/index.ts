export { balanceMemory, hostMemory, setSharing, sharePages } from './host.ts'
export { collapseMemory, setBalloon, setVmMemory, swapOut, useMemory, vmMemory } from './machine.ts'
