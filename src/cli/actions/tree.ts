/** A platform as a tree, in the manner of `lspci -tv`, with groups, units and owners. */
import type { OutputOf } from '../../operations/index.ts'

type Fn = OutputOf<'functions'>[number]

export interface TreeInput {
  readonly platform: OutputOf<'platformState'>
  readonly functions: OutputOf<'functions'>
  readonly groups: OutputOf<'groups'>
  readonly units: OutputOf<'units'>
  readonly vms: OutputOf<'vms'>
}

const KINDS: Readonly<Record<Fn['kind'], string>> = {
  PF: 'physical function',
  VF: 'virtual function',
  endpoint: 'endpoint',
  rootPort: 'root port',
  upstreamPort: 'switch upstream port',
  downstreamPort: 'switch downstream port',
  bridge: 'bridge',
  hostBridge: 'host bridge',
}

const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`

export function drawTree({ platform, functions, groups, units, vms }: TreeInput): string {
  const lines = [
    `${platform.topology}: ${count(functions.length, 'function')}, ${count(groups.length, 'IOMMU group')}, ${count(units.length, 'remapping unit')}`,
  ]
  const children = new Map<string | null, Fn[]>()
  for (const fn of functions) {
    const above = fn.physicalFunction ?? fn.parent
    children.set(above, [...(children.get(above) ?? []), fn])
  }
  const draw = (siblings: readonly Fn[], indent: string): void => {
    siblings.forEach((fn, i) => {
      const last = i === siblings.length - 1
      lines.push(`${indent}${last ? '└─' : '├─'} ${describe(fn)}`)
      draw(children.get(fn.address) ?? [], `${indent}${last ? '   ' : '│  '}`)
    })
  }
  const roots = children.get(null) ?? []
  for (const bus of new Set(roots.map(fn => fn.address.slice(0, -5)))) {
    lines.push(bus)
    draw(
      roots.filter(fn => fn.address.startsWith(bus)),
      '',
    )
  }
  for (const unit of units) {
    const scope = unit.includeAll ? ' (and everything not named by another unit)' : ''
    lines.push(`${unit.id}: ${count(unit.functions.length, 'function')}${scope}`)
  }
  for (const vm of vms) {
    const devices = vm.devices.map(device => device.function).join(', ') || 'no devices'
    lines.push(`VM ${vm.name}: ${count(vm.vcpus, 'virtual processor')}, ${vm.memoryMiB} MiB, ${devices}`)
  }
  const shared = groups.filter(group => group.functions.length > 1)
  for (const group of shared) lines.push(`group ${group.id} cannot be divided: ${group.functions.join(', ')}`)
  return lines.join('\n')
}

function describe(fn: Fn): string {
  const facts = [
    fn.group === null ? 'no group' : `group ${fn.group}`,
    ...(fn.remappingUnit === null ? [] : [fn.remappingUnit]),
    ...(fn.numaNode < 0 ? [] : [`node ${fn.numaNode}`]),
    ...(fn.sriov === undefined ? [] : [`${fn.sriov.numVfs} of ${fn.sriov.totalVfs} VFs`]),
    ...(fn.owner.kind === 'none' ? [] : [`${fn.owner.kind} ${fn.owner.name}`]),
  ]
  return `${fn.address.slice(-7)} ${KINDS[fn.kind]} ${fn.vendorId.slice(2)}:${fn.deviceId.slice(2)} [${facts.join(', ')}]`
}
