/**
 * What a platform's software has taken and not given back. Two looks at it: what is in use now against what was in use
 * before ({@link takeStock}, {@link leaksSince}); and, at any moment, what is taken although nobody holds it
 * ({@link strayResources}). Both read what the software would save, and change nothing.
 */
import type { SimulatedPlatform } from './simulated-platform.ts'

/** How much of everything is in use, by name of the resource. */
export type Stock = Readonly<Record<string, number>>

export interface Leak {
  readonly resource: string
  readonly before: number
  readonly after: number
}

/** Something taken that nobody holds, or held that was not taken. */
export interface Stray {
  readonly resource: string
  readonly what: string
}

type Host = ReturnType<SimulatedPlatform['host']['save']>

/** Counts what is in use. Throws `poweredOff`, `hostHalted`. */
export function takeStock({ host, hypervisor }: SimulatedPlatform): Stock {
  const saved = host.save()
  const stock: Record<string, number> = {
    'host pages': host.memory.totalPages - host.memory.freePages,
    'virtual machines': hypervisor.vms().length,
    'functions in the hands of user space': saved.assigned.length,
    'containers of user space': saved.containers.length,
    'translation domains': saved.iommu.domains.length,
    'IOMMU groups': saved.iommu.states.length,
  }
  for (const unit of saved.iommu.units) {
    stock[`domain ids of ${unit.name}`] = unit.domainIds.length
    stock[`interrupt remapping entries of ${unit.name}`] = unit.interrupts?.used.length ?? 0
  }
  // Which processor they are of is no matter: the next driver takes the least loaded.
  stock['interrupt vectors'] = saved.interrupts.lines.reduce((sum, lines) => sum + lines.length, 0)
  for (const { segment, rid } of saved.functions) {
    const bus = `functions on bus ${busName(segment, rid >>> 8)}`
    stock[bus] = (stock[bus] ?? 0) + 1
  }
  return stock
}

const busName = (segment: number, bus: number): string =>
  `${segment.toString(16).padStart(4, '0')}:${bus.toString(16).padStart(2, '0')}`

/**
 * Resources of which more, or fewer, are in use than at an earlier moment when the platform had the same virtual
 * machines, devices and virtual functions; by name. Empty: nothing leaked, and nothing was given back twice.
 */
export function leaksSince(before: Stock, platform: SimulatedPlatform): readonly Leak[] {
  const after = takeStock(platform)
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .sort()
    .map(resource => ({ resource, before: before[resource] ?? 0, after: after[resource] ?? 0 }))
    .filter(leak => leak.before !== leak.after)
}

/** Everything that is taken and held by nobody, or the other way round. Throws `poweredOff`, `hostHalted`. */
export function strayResources({ host, hypervisor }: SimulatedPlatform): readonly Stray[] {
  const saved = host.save()
  return [
    ...strayDomains(saved),
    ...strayDomainIds(saved),
    ...strayInterrupts(saved),
    ...strayFunctions(
      saved,
      new Set(hypervisor.vms().flatMap(vm => vm.devices.map(device => device.address))),
    ),
  ]
}

const compare = (resource: string, taken: Iterable<string>, held: Iterable<string>): Stray[] => {
  const [all, wanted] = [new Set(taken), new Set(held)]
  return [
    ...[...all].filter(one => !wanted.has(one)).map(one => ({ resource, what: `${one} is held by nobody` })),
    ...[...wanted].filter(one => !all.has(one)).map(one => ({ resource, what: `${one} was never taken` })),
  ]
}

/** A domain is where a group points, or what it goes back to, or an address space of user space. */
function strayDomains({ iommu, containers }: Host): Stray[] {
  const held = [
    ...iommu.states.flatMap(({ domain, defaultDomain }) => [domain, defaultDomain]),
    ...iommu.identity.map(([, domain]) => domain),
    ...containers.flatMap(({ domains }) => domains),
  ].filter(number => number !== null)
  return compare(
    'translation domain',
    iommu.domains.map(({ number }) => `domain ${number}`),
    held.map(number => `domain ${number}`),
  )
}

function strayDomainIds({ iommu }: Host): Stray[] {
  return iommu.units.flatMap((unit, index) =>
    compare(
      `domain id of ${unit.name}`,
      unit.domainIds.map(id => `id ${id}`),
      iommu.domains.flatMap(({ units }) =>
        units.filter(use => use.unit === index).map(({ id }) => `id ${id}`),
      ),
    ),
  )
}

/** Vectors of functions, by the name of their line, and as many remapping entries as functions say. */
function strayInterrupts({ drivers, assigned, interrupts, iommu }: Host): Stray[] {
  const armed = [
    ...drivers.map(([address, state]) => ({ address, state })),
    ...assigned.flatMap(({ function: address, interrupts: state }) =>
      state === null ? [] : [{ address, state }],
    ),
  ]
  const vectors = compare(
    'interrupt vector',
    interrupts.lines.flatMap((lines, processor) =>
      lines
        .filter(([, name]) => OF_A_FUNCTION.test(name))
        .map(([vector, name]) => `${processor}/${vector} (${name})`),
    ),
    armed.flatMap(({ address, state }) =>
      state.vectors.map(([processor, vector], i) => `${processor}/${vector} (${address}/${i})`),
    ),
  )
  const used = iommu.units.reduce((sum, unit) => sum + (unit.interrupts?.used.length ?? 0), 0)
  const claimed = armed.reduce((sum, { state }) => sum + (state.firstEntry < 0 ? 0 : state.entries), 0)
  if (used === claimed) return vectors
  return [
    ...vectors,
    { resource: 'interrupt remapping entries', what: `${used} are taken, and functions hold ${claimed}` },
  ]
}

/** `dddd:bb:dd.f/n`: the line of message n of a function. Others are the kernel's. */
const OF_A_FUNCTION = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\/\d+$/

/** Who is said to belong to user space is in its hands, and a virtual machine's device is the machine's in the kernel too. */
function strayFunctions(
  { functions, assigned, iommu, containers }: Host,
  inMachines: ReadonlySet<string>,
): Stray[] {
  const handles = new Set(assigned.map(({ function: address }) => address))
  const owned = functions.filter(({ owner }) => owner.kind === 'vm').length
  const strays: Stray[] = []
  if (owned !== handles.size)
    strays.push({ resource: 'function', what: `${owned} belong to user space, which holds ${handles.size}` })
  for (const address of inMachines)
    if (!handles.has(address))
      strays.push({ resource: 'function', what: `${address} is in a virtual machine only` })
  const groups = containers.flatMap(container => container.groups)
  return [
    ...strays,
    ...compare(
      'group of user space',
      iommu.states.filter(({ user }) => user !== null).map(({ group }) => `group ${group}`),
      groups.map(group => `group ${group}`),
    ),
  ]
}
