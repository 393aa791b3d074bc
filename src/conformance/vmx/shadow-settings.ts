/** Settings and operations of the rows on VMCS shadowing. */
import { SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import type { ProcessorCapabilities } from '../../vmx/index.ts'
import { AT } from './machine.ts'
import { secondary } from './settings.ts'
import { memory, type Row, run, type Step, set } from './step-case.ts'

export const SOURCE = 'vmx_vmcs_shadow_test'
/** Revision identifier with the shadow-VMCS indicator. */
export const SHADOW_REVISION = 0x8000_4e42

/** A shadow VMCS is linked, and its bitmaps are clear: every field may be accessed. */
export const SHADOWING: readonly Step[] = [
  memory(AT.otherVmcs, SHADOW_REVISION),
  secondary(PROC2.vmcsShadowing),
  set('vmreadBitmapAddress', AT.vmreadBitmap),
  set('vmwriteBitmapAddress', AT.vmwriteBitmap),
  set('vmcsLinkPointer', AT.otherVmcs),
]

/** The source test needs a processor whose VMWRITE may write VM-exit information. */
export const ANY_FIELD: Partial<ProcessorCapabilities> = { vmwriteAnyField: true }
export const NO_SHADOWING: Partial<ProcessorCapabilities> = { vmcsShadowing: false }

export const readOf = (field: number): Operation => ({ op: 'vmread', field })
export const writeOf = (field: number, value: Word64 = [0, 0]): Operation => ({ op: 'vmwrite', field, value })

/** Whether accesses of one field exit; every other one goes to the shadow. */
export const exiting = (bitmap: number, field: number, exits: boolean): Step =>
  memory(bitmap + (field >>> 5) * 4, exits ? (1 << (field & 31)) >>> 0 : 0)

/** Root operation looks at, or changes, the shadow; then the VMCS of the guest is current again. */
export const inShadow = (...steps: readonly Step[]): Step[] => [
  run({ op: 'vmptrld', address: AT.otherVmcs }),
  ...steps,
  run({ op: 'vmptrld', address: AT.vmcs }),
]

export const shadowRow = (
  id: string,
  states: string,
  steps: readonly Step[],
  capabilities?: Partial<ProcessorCapabilities>,
): Row => ({ id: `vmx.shadow.${id}`, source: SOURCE, states, steps, ...(capabilities && { capabilities }) })
