/** The kernel command line: the parameters that this kernel understands, the others are kept and ignored. */
import { NorthbridgeError, parseFunctionAddress } from '../core/index.ts'

export interface KernelParameters {
  /** `intel_iommu=on`, which this kernel wants spelled out, as Debian's does not build it in. */
  readonly iommu: boolean
  /** `iommu=pt`: default domains pass addresses through. */
  readonly passThrough: boolean
  /** `intremap=off` */
  readonly interruptRemapping: boolean
  /** `nox2apic` */
  readonly x2apic: boolean
  /** `vfio_iommu_type1.allow_unsafe_interrupts=1` */
  readonly allowUnsafeInterrupts: boolean
  /** `pci=disable_acs_redir=…`: addresses of ports whose redirection is to stay off. */
  readonly disableAcsRedirection: readonly string[]
}

/** Throws `invalidArgument` for a parameter that is understood but wrong. */
export function parseCommandLine(text: string): KernelParameters {
  const values = new Map<string, string[]>()
  for (const word of text.split(/\s+/).filter(part => part !== '')) {
    const [name, ...rest] = word.split('=')
    const list = values.get(name!) ?? []
    values.set(name!, [...list, rest.join('=')])
  }
  const options = (name: string): string[] => (values.get(name) ?? []).flatMap(value => value.split(','))
  const intel = options('intel_iommu')
  const unsafe = options('vfio_iommu_type1.allow_unsafe_interrupts')
  const redirection = options('pci').filter(option => option.startsWith(DISABLE_ACS_REDIR))
  return {
    iommu:
      (intel.includes('on') || options('amd_iommu').includes('on')) &&
      !intel.includes('off') &&
      !options('iommu').includes('off'),
    passThrough: options('iommu').includes('pt'),
    interruptRemapping: !options('intremap').includes('off'),
    x2apic: !values.has('nox2apic'),
    allowUnsafeInterrupts: unsafe.some(value => ['1', 'y', 'Y'].includes(value)),
    disableAcsRedirection: redirection.flatMap(option =>
      option
        .slice(DISABLE_ACS_REDIR.length)
        .split(';')
        .map(address => addressOf(address)),
    ),
  }
}

const DISABLE_ACS_REDIR = 'disable_acs_redir='

function addressOf(text: string): string {
  // Linux also takes paths and `pci:vendor:device`; those name ports that this kernel cannot promise to find.
  try {
    parseFunctionAddress(text)
  } catch {
    throw new NorthbridgeError(
      'invalidArgument',
      `pci=disable_acs_redir names "${text}", which is not an address like 0000:00:1c.0`,
    )
  }
  return text.length === '00:00.0'.length ? `0000:${text}` : text.toLowerCase()
}
