/** The kernel command line: the parameters that this kernel understands, the others are kept and ignored. */
import { NorthbridgeError, parseFunctionAddress } from '../core/index.ts'

export interface KernelParameters {
  /** `intel_iommu=on`, which this kernel wants spelled out, as Debian's does not build it in. */
  readonly iommu: boolean
  /** `intel_iommu=…,sm_on`: scalable mode where units have it. */
  readonly scalableMode: boolean
  /**
   * `iommu.strict`: whether the kernel's own unmaps return when no unit knows the range any more, or leave that to a
   * later flush, which is the default.
   */
  readonly strict: boolean
  /** `iommu=off` leaves address-range units off, which are used otherwise. */
  readonly aperture: boolean
  /** `iommu=memaper=…`: 32 MiB times 2^n for the aperture of an address-range unit. */
  readonly apertureOrder: number
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
  const isSet = (name: string): boolean => YES.includes(options(name).at(-1) ?? '')
  const intel = options('intel_iommu')
  const unsafe = options('vfio_iommu_type1.allow_unsafe_interrupts')
  const redirection = options('pci').filter(option => option.startsWith(DISABLE_ACS_REDIR))
  return {
    iommu:
      (intel.includes('on') || options('amd_iommu').includes('on')) &&
      !intel.includes('off') &&
      !options('iommu').includes('off'),
    scalableMode: intel.includes('sm_on') && !intel.includes('sm_off'),
    strict: intel.includes('strict') || isSet('iommu.strict'),
    aperture: !options('iommu').includes('off'),
    apertureOrder: apertureOrderIn(options('iommu')),
    passThrough: options('iommu').includes('pt') || isSet('iommu.passthrough'),
    interruptRemapping: !options('intremap').includes('off'),
    x2apic: !values.has('nox2apic'),
    allowUnsafeInterrupts: unsafe.some(value => YES.includes(value)),
    disableAcsRedirection: redirection.flatMap(option =>
      option
        .slice(DISABLE_ACS_REDIR.length)
        .split(';')
        .map(address => addressOf(address)),
    ),
  }
}

const YES = ['1', 'y', 'Y']
const MEMORY_APERTURE = 'memaper='
/** 64 MiB, as Linux takes. */
const DEFAULT_APERTURE_ORDER = 1
const LARGEST_APERTURE_ORDER = 6

function apertureOrderIn(options: readonly string[]): number {
  const text = options.find(option => option.startsWith(MEMORY_APERTURE))
  if (text === undefined) return DEFAULT_APERTURE_ORDER
  const order = Number(text.slice(MEMORY_APERTURE.length))
  if (Number.isInteger(order) && order >= 0 && order <= LARGEST_APERTURE_ORDER) return order
  throw new NorthbridgeError(
    'invalidArgument',
    `iommu=${text}: the order must be 0 (32 MiB) to ${LARGEST_APERTURE_ORDER}`,
  )
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
