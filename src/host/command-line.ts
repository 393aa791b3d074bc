/** The kernel command line: the parameters that this kernel understands, the others are kept and ignored. */
import { NorthbridgeError } from '../core/index.ts'
import { type DeviceName, parseDeviceName } from './pci/device-name.ts'

export interface KernelParameters {
  /** `intel_iommu=on`, which this kernel wants spelled out, as Debian's does not build it in. */
  readonly iommu: boolean
  /** An AMD IOMMU is used unless `amd_iommu=off` or `iommu=off`. */
  readonly amdIommu: boolean
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
  /** `vfio_pci.enable_sriov=1`: virtual functions of what vfio-pci has may be enabled. */
  readonly vfioSriov: boolean
  /** `pci=disable_acs_redir=…`: ports whose redirection is to stay off. */
  readonly disableAcsRedirection: readonly DeviceName[]
  /** `pci=config_acs=…`: bits of ACS control that are set or cleared; the first setting that names a port counts. */
  readonly configureAcs: readonly AcsSetting[]
  /** False after `pci=noats`. */
  readonly ats: boolean
  /** False after `pci=noari`. */
  readonly ari: boolean
  /** False after `pci=noaer`: errors of PCI Express are not reported to the kernel. */
  readonly errorReporting: boolean
  /** `pci=pcie_scan_all`: look for devices above 0 behind a link, too. */
  readonly scanAllDevices: boolean
}

export interface AcsSetting {
  readonly device: DeviceName
  /** Bits that are not left as firmware set them. */
  readonly mask: number
  readonly bits: number
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
  const pci = options('pci')
  /** Entries of `name=a;b;…`. */
  const entries = (name: string): string[] =>
    pci.filter(option => option.startsWith(name)).flatMap(option => option.slice(name.length).split(';'))
  return {
    iommu: intel.includes('on') && !intel.includes('off') && !options('iommu').includes('off'),
    amdIommu: !options('amd_iommu').includes('off') && !options('iommu').includes('off'),
    scalableMode: intel.includes('sm_on') && !intel.includes('sm_off'),
    strict: intel.includes('strict') || isSet('iommu.strict'),
    aperture: !options('iommu').includes('off'),
    apertureOrder: apertureOrderIn(options('iommu')),
    passThrough: options('iommu').includes('pt') || isSet('iommu.passthrough'),
    interruptRemapping: !options('intremap').includes('off'),
    x2apic: !values.has('nox2apic'),
    allowUnsafeInterrupts: unsafe.some(value => YES.includes(value)),
    vfioSriov: options('vfio_pci.enable_sriov').some(value => YES.includes(value)),
    disableAcsRedirection: entries(DISABLE_ACS_REDIR).map(text => deviceNamed(text, DISABLE_ACS_REDIR)),
    configureAcs: entries(CONFIG_ACS).map(acsSettingOf),
    ats: !pci.includes('noats'),
    ari: !pci.includes('noari'),
    errorReporting: !pci.includes('noaer'),
    scanAllDevices: pci.includes('pcie_scan_all'),
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
const CONFIG_ACS = 'config_acs='

function deviceNamed(text: string, parameter: string): DeviceName {
  const name = parseDeviceName(text)
  if (name !== undefined) return name
  throw new NorthbridgeError(
    'invalidArgument',
    `pci=${parameter} names "${text}", which is neither an address like 0000:00:1c.0, a path like 00:1c.0/00.0, nor ids like pci:8086:2030`,
  )
}

/** `flags@device`: a character for each bit of ACS control, the last for bit 0; `x` leaves a bit alone. */
function acsSettingOf(text: string): AcsSetting {
  const [flags = '', device] = text.split('@')
  if (device === undefined || !/^[01x]{1,7}$/i.test(flags)) {
    throw new NorthbridgeError(
      'invalidArgument',
      `pci=${CONFIG_ACS}${text}: must be up to seven of 0, 1 and x for the bits of ACS control, "@", and a device`,
    )
  }
  const bitsThatAre = (wanted: RegExp): number =>
    [...flags].reduce((bits, flag) => bits * 2 + Number(wanted.test(flag)), 0)
  return { device: deviceNamed(device, CONFIG_ACS), mask: bitsThatAre(/[01]/), bits: bitsThatAre(/1/) }
}
