/** Which technique can run which guest on which processor generation, and if not, why. */
import type { CostTable } from './costs.ts'
import type { Bits, TechniqueName } from './technique.ts'

/** What a technique needs of the guest: nothing, or a kernel written or prepared for it. */
export const NEEDS_GUEST_CHANGES: readonly TechniqueName[] = ['paravirtual', 'vmi']
/** Techniques under which an unmodified guest does not notice that it is virtual. */
export const FAITHFUL: readonly TechniqueName[] = [
  'binaryTranslation',
  'vmxShadow',
  'vmxEpt',
  'svmShadow',
  'svmNested',
]

/** Why a technique cannot be used; undefined: it can. */
export function unavailable(
  name: TechniqueName,
  bits: Bits,
  { features, title }: CostTable,
): string | undefined {
  switch (name) {
    case 'ringDeprivileging013':
      return bits === 64
        ? 'segments have no limits in 64-bit mode, so that nothing keeps ring 1 out of the hypervisor'
        : undefined
    case 'ringDeprivileging033':
      return bits === 32
        ? 'IRET from ring 3 to ring 3 does not load the stack: 0/3/3 is for 64-bit guests'
        : undefined
    case 'binaryTranslation':
      if (bits === 32) return undefined
      return features.longModeSegmentLimits
        ? 'segment limits of 64-bit mode (EFER.LMSLE) are not modelled'
        : 'segments have no limits in 64-bit mode, so that nothing protects the translator'
    case 'paravirtual':
      return bits === 64
        ? 'a 64-bit paravirtual kernel keeps two page tables for each address space; the kernel of these streams keeps one'
        : undefined
    case 'vmi':
      return bits === 64 ? 'the interface exists for 32-bit guests only' : undefined
    case 'vmxShadow':
      return features.vmx ? undefined : `${title} has no VT-x`
    case 'vmxEpt':
      return features.vmx && features.ept ? undefined : `${title} has no EPT`
    case 'svmShadow':
      return features.svm ? undefined : `${title} has no AMD-V`
    case 'svmNested':
      return features.svm && features.nestedPaging ? undefined : `${title} has no nested paging`
    default:
      return undefined
  }
}
