/** Turns access control services on, as Linux does once an IOMMU driver asks for them ("ACS Extended Capability"). */
import { ACS, ACS_BIT, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import type { KernelRules } from '../kernel-rules.ts'
import type { HostPciFunction } from './pci-function.ts'

const { SV, RR, CR, UF, EC } = ACS_BIT
const CONTROL_LANES = 0xffff_0000

/**
 * SV, RR, CR and UF as far as the function offers them. Linux adds TB only at external-facing ports or with ATS
 * forbidden, and neither can be said to this kernel.
 */
export function enableAccessControl(
  fn: HostPciFunction,
  requested: boolean,
  redirectionDisabled: boolean,
  rules: KernelRules,
): void {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.ACS)
  if (at === undefined) return
  const word = fn.config.read(at + ACS.CAPABILITY.offset)
  const offered = word & 0xffff
  let control = word >>> 16
  if (requested) control |= offered & (SV | RR | CR | UF)
  if (redirectionDisabled) control = rules.disableAcsRedirLeaves === 'nothing' ? 0 : control & ~(RR | CR | EC)
  fn.config.write(at + ACS.CAPABILITY.offset, control << 16, CONTROL_LANES)
}
