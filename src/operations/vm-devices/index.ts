export { containers, resources } from './holdings.ts'
export { holdDevice, requestRemoval } from './removal.ts'
export { hotResetMembers, resetDevice, setResetMethods } from './resets.ts'
