export { type OwnPolicy, parseOwnPolicy, policyJsonSchema } from './document.ts'
export { ownPolicy } from './policy.ts'
