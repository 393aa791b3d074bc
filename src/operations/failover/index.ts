export { failOver } from './fail-over.ts'
export { protections, protectVm, unprotectVm } from './protections.ts'
