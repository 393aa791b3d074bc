/** The one list of the 82599's registers, which its files fill. */
import { registerDeclarations } from './register.ts'

export const { declared, declare } = registerDeclarations()

export const I82599_QUEUES = 128
export const I82599_POOLS = 64
export const I82599_VECTORS = 64
