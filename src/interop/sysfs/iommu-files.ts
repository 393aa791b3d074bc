/** `/sys/kernel/iommu_groups` and `/sys/class/iommu`: groups with their type and reserved regions, and the units. */
import { PAGE_SIZE } from '../../core/index.ts'
import type { HostFunction } from '../../host/index.ts'
import { decodeDmar } from '../../platform/formats/acpi/index.ts'
import { type ExportedFile, linkText } from '../exported-file.ts'
import type { MachineView } from '../machine-view.ts'
import type { DevicePaths } from './device-paths.ts'

/** "Interrupt Address Range": no DMA reaches memory there. */
const INTERRUPT_RANGE = { base: 0xfee0_0000, limit: 0xfeef_ffff }
/** What Linux lets devices behind an ISA bridge keep reaching: the memory below 16 MiB. */
const ISA = { bridgeClass: 0x0601, base: 0, limit: 0xff_ffff }
/** Classes whose reserved memory is given up once a driver takes over: USB controllers and graphics. */
const RELAXABLE_CLASSES: readonly number[] = [0x0c03, 0x0300, 0x0380]

export function iommuFiles(machine: MachineView, paths: DevicePaths): ExportedFile[] {
  const files: ExportedFile[] = []
  const type = defaultDomainType(machine)
  const link = (path: string, to: string): void => {
    files.push({ path, link: linkText(path, to) })
  }
  for (const group of machine.host.groups()) {
    const folder = `kernel/iommu_groups/${group.id}`
    const members = group.functions.map(address => machine.host.find(address))
    for (const fn of members) link(`${folder}/devices/${fn.address}`, paths.of(fn))
    files.push({ path: `${folder}/type`, text: `${group.owner.kind === 'vm' ? 'unknown' : type}\n` })
    files.push({ path: `${folder}/reserved_regions`, text: reservedRegions(machine, members) })
  }
  for (const unit of machine.units) {
    const folder = `devices/virtual/iommu/${unit.name}`
    link(`class/iommu/${unit.name}`, folder)
    link(`${folder}/subsystem`, 'class/iommu')
    const text = (name: string, value: string): void => {
      files.push({ path: `${folder}/intel-iommu/${name}`, text: `${value}\n` })
    }
    text('address', unit.registerBase.toString(16))
    text('cap', unit.cap.replace(/^0x0*/, ''))
    text('ecap', unit.ecap.replace(/^0x0*/, ''))
    text('version', `${unit.version >>> 4}:${unit.version & 15}`)
    text('domains_supported', String(unit.domains))
    for (const fn of machine.functions) {
      if (fn.remappingUnit === unit.name) link(`${folder}/devices/${fn.address}`, paths.of(fn))
    }
  }
  return files
}

/** As `iommu_get_default_domain_type` decides it from the command line. */
function defaultDomainType({ topology }: MachineView): string {
  const words = topology.host.commandLine.split(/\s+/)
  if (words.includes('iommu=pt') || words.includes('iommu.passthrough=1')) return 'identity'
  return words.includes('iommu.strict=1') || words.includes('intel_iommu=strict') ? 'DMA' : 'DMA-FQ'
}

interface Region {
  readonly base: number
  readonly limit: number
  readonly kind: 'direct' | 'direct-relaxable' | 'msi'
}

function reservedRegions(machine: MachineView, members: readonly HostFunction[]): string {
  const regions: Region[] = [{ ...INTERRUPT_RANGE, kind: 'msi' }]
  if (members.some(({ classCode }) => classCode >>> 8 === ISA.bridgeClass))
    regions.push({ base: ISA.base, limit: ISA.limit, kind: 'direct-relaxable' })
  const table = machine.tables.get('DMAR')
  for (const structure of table === undefined ? [] : decodeDmar(table).structures) {
    if (structure.kind !== 'RMRR') continue
    const { segment, base, limit, scopes } = structure
    const named = members.filter(fn => scopes.some(scope => machine.functionAt(segment, scope) === fn))
    if (named.length === 0) continue
    const relaxable = named.every(({ classCode }) => RELAXABLE_CLASSES.includes(classCode >>> 8))
    const end = Math.ceil((limit + 1) / PAGE_SIZE) * PAGE_SIZE - 1
    regions.push({ base, limit: end, kind: relaxable ? 'direct-relaxable' : 'direct' })
  }
  const sixteen = (value: number): string => `0x${value.toString(16).padStart(16, '0')}`
  return regions
    .sort((a, b) => a.base - b.base)
    .map(({ base, limit, kind }) => `${sixteen(base)} ${sixteen(limit)} ${kind}\n`)
    .join('')
}
