/** The one list of the 82576's registers, which its files fill. */
import { registerDeclarations } from './register.ts'

export const { declared, declare } = registerDeclarations()

export const I82576_QUEUES = 16
export const I82576_POOLS = 8
/** Interrupt causes of the extended registers; the physical function's and the virtual ones' vectors are among them. */
export const I82576_VECTORS = 25
export const I82576_VF_VECTORS = 3
