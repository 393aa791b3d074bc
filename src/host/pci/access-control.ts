/** Turns access control services on, as Linux does once an IOMMU driver asks for them ("ACS Extended Capability"). */
import { ACS, ACS_BIT, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import type { KernelParameters } from '../command-line.ts'
import { hasPeerDecodeWorkaround, hasWideAccessControl } from '../grouping/quirks.ts'
import type { KernelRules } from '../kernel-rules.ts'
import type { GroupRepair } from '../types.ts'
import { isNamed } from './device-name.ts'
import type { HostPciFunction } from './pci-function.ts'
import { disablePeerDecodes } from './peer-decodes.ts'

const { SV, TB, RR, CR, UF, EC } = ACS_BIT
const REDIRECTION = RR | CR | EC
const CONTROL_LANES = 0xffff_0000
/** `pci=config_acs` for SV, RR, CR and UF: the last character is for bit 0. */
const ALL_REQUIRED = 'xx111x1'

export interface AccessControlOptions {
  readonly machine: MachinePort
  readonly parameters: KernelParameters
  readonly rules: KernelRules
  /** The function at a place, if there is one. */
  readonly at: (segment: number, rid: number) => HostPciFunction | undefined
}

export class AccessControl {
  /** Whether an IOMMU driver wants it. */
  requested = false
  readonly #options: AccessControlOptions

  constructor(options: AccessControlOptions) {
    this.#options = options
  }

  /** SV, RR, CR and UF as far as a function offers them, and what the kernel command line says instead. */
  enable(fn: HostPciFunction): void {
    const { rules } = this.#options
    const specific = this.requested && this.#enableSpecific(fn)
    const at = fn.extendedCapability(EXTENDED_CAPABILITY.ACS)
    if (at === undefined) return
    const word = fn.config.read(at + ACS.CAPABILITY.offset)
    const offered = word & 0xffff
    const found = word >>> 16
    const enabled = this.requested && !specific ? found | (offered & this.#wanted) : found
    const control =
      rules.accessControlParameters === 'clear' ? this.#cleared(fn, enabled) : this.#set(fn, found, enabled)
    fn.config.write(at + ACS.CAPABILITY.offset, control << 16, CONTROL_LANES)
  }

  /** "ACS P2P Request Redirect" of one function, on. Returns false if it does not offer it. */
  redirect(fn: HostPciFunction): boolean {
    const at = fn.extendedCapability(EXTENDED_CAPABILITY.ACS)
    if (at === undefined) return false
    const word = fn.config.read(at + ACS.CAPABILITY.offset)
    if ((word & RR) === 0) return false
    const control = (word >>> 16) | RR
    fn.config.write(at + ACS.CAPABILITY.offset, (control << 16) >>> 0, CONTROL_LANES)
    return true
  }

  /** Names the kernel parameter that sets the bits of a repair, where there is one. */
  withParameter(repair: GroupRepair): GroupRepair {
    if (repair.kind !== 'enableAccessControl') return repair
    const { rules, parameters } = this.#options
    if (rules.accessControlParameters === 'set') {
      // Whatever is not named there would stay as firmware left it.
      const settings = repair.functions.map(address => `${ALL_REQUIRED}@${address}`)
      return { ...repair, parameter: `pci=config_acs=${settings.join(';')}` }
    }
    if (parameters.disableAcsRedirection.length === 0) return repair
    return { ...repair, parameter: `no pci=disable_acs_redir that names ${repair.functions.join(' or ')}` }
  }

  /** TB only where device-TLBs are forbidden; ports that face the outside of the machine are not known here. */
  get #wanted(): number {
    return SV | RR | CR | UF | (this.#options.parameters.ats ? 0 : TB)
  }

  /** Linux 6.1: `pci=disable_acs_redir` clears bits of what the kernel had chosen. */
  #cleared(fn: HostPciFunction, control: number): number {
    const { disableAcsRedirection } = this.#options.parameters
    if (!disableAcsRedirection.some(name => isNamed(name, fn)) || this.#disableSpecific(fn)) return control
    return control & ~REDIRECTION
  }

  /**
   * Linux 6.11 and later: a port that the command line names keeps what firmware had set, except for the bits that
   * the command line sets or clears (`pci=config_acs`), whatever the kernel had chosen.
   */
  #set(fn: HostPciFunction, found: number, enabled: number): number {
    const { disableAcsRedirection, configureAcs } = this.#options.parameters
    let control = enabled
    if (disableAcsRedirection.some(name => isNamed(name, fn)) && !this.#disableSpecific(fn)) {
      control = found & ~REDIRECTION
    }
    const setting = configureAcs.find(({ device }) => isNamed(device, fn))
    if (setting !== undefined && !this.#disableSpecific(fn)) {
      control = (found & ~setting.mask) | (setting.bits & setting.mask)
    }
    return control
  }

  /** What some ports need in the place of the standard registers; false if the standard ones do. */
  #enableSpecific(fn: HostPciFunction): boolean {
    if (hasPeerDecodeWorkaround(fn)) {
      const { at, machine } = this.#options
      fn.peerDecodesDisabled = disablePeerDecodes(fn, at(fn.segment, lpcOn(fn.rid)), machine)
      return true
    }
    return changeWideControl(fn, (control, offered) => control | (offered & this.#wanted))
  }

  #disableSpecific(fn: HostPciFunction): boolean {
    return changeWideControl(fn, control => control & ~REDIRECTION)
  }
}

/** The chipset's LPC bridge is function 1f.0 of the bus of its root ports. */
const lpcOn = (rid: number): number => (rid & 0xff00) | (0x1f << 3)

/** Intel 100 and 200 series: control is a doubleword of its own. False for all others. */
function changeWideControl(
  fn: HostPciFunction,
  change: (control: number, offered: number) => number,
): boolean {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.ACS)
  if (at === undefined || !hasWideAccessControl(fn)) return false
  const offered = fn.config.read(at + ACS.CAPABILITY.offset)
  const control = fn.config.read(at + ACS.EGRESS_VECTOR)
  fn.config.write(at + ACS.EGRESS_VECTOR, change(control, offered) >>> 0)
  return true
}
