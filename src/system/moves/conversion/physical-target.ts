/** A definition put onto a physical machine: its adapters get the addresses, and a namespace that was named gets the disk. */
import { NorthbridgeError } from '../../../core/index.ts'
import type { Software } from '../../../engine/index.ts'
import type { NetworkAdapter } from '../../../host/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import type { DiskDefinition, FunctionDefinition, MachineDefinition, NetworkInterface } from './definition.ts'
import { writeNamespace } from './disk-contents.ts'
import { namedNamespace, sizeItem } from './disk-target.ts'
import { macText } from './network-target.ts'
import type { ConversionOptions } from './options.ts'
import { attempt, type ConversionItem, changed, kept, notCarried, placedDevice } from './report.ts'
import { isLike, networkAdapters } from './target-functions.ts'

const MIB = 2 ** 20
/** Who has what the machine is to get: nobody but its kernel. */
const NOBODY = 'the machine itself'
const UNTAGGED = 1

/** Throws `notFound` for what was named and is not there. */
export function* furnishHost(
  platform: SimulatedPlatform,
  definition: MachineDefinition,
  options: ConversionOptions,
): Software<ConversionItem[]> {
  const items = [...sizes(platform, definition), ...withoutHypervisor(platform, definition)]
  const taken: string[] = []
  for (const device of definition.network)
    items.push(...(yield* placeInterface(platform, device, options, taken)))
  if (definition.disk !== undefined) items.push(...(yield* placeDisk(platform, definition.disk, options)))
  for (const fn of definition.functions) items.push(placeFunction(platform, fn, taken))
  return [...items, ...definition.left]
}

/** The machine has what it has. */
function sizes(
  { hardware }: SimulatedPlatform,
  { processors, memoryMiB }: MachineDefinition,
): ConversionItem[] {
  const present = hardware.processors.length
  const mebibytes = hardware.memory.ranges.reduce((sum, { size }) => sum + size, 0) / MIB
  const cpus = { what: 'processors', name: 'processors' } as const
  const memory = { what: 'memory', name: 'memory' } as const
  const reason = 'the machine has so much'
  return [
    present === processors
      ? kept(cpus, `${processors}`)
      : changed(cpus, `${processors}`, `${present}`, 'the machine has so many'),
    mebibytes === memoryMiB
      ? kept(memory, `${memoryMiB} MiB`)
      : changed(memory, `${memoryMiB} MiB`, `${mebibytes} MiB`, reason),
  ]
}

/** What only a hypervisor gives, and what silicon gives in its place. */
function withoutHypervisor(
  { host }: SimulatedPlatform,
  { options, remappingUnit, claims }: MachineDefinition,
): ConversionItem[] {
  const items: ConversionItem[] = []
  const add = (what: ConversionItem['what'], was: string, reason: string): void => {
    items.push(notCarried({ what, name: what }, was, reason))
  }
  const { interrupts = 'emulated', nested, backing, hugePages } = options
  items.push(
    changed({ what: 'interrupts', name: 'interrupts' }, interrupts, 'local APICs', 'nobody is in between'),
  )
  if (nested === true) items.push(kept({ what: 'nested', name: 'nested' }, 'VMX', 'VMX of the processors'))
  if (backing === 'paged') add('backing', 'paged', 'nobody takes memory away from a machine of its own')
  if (hugePages === '1GiB') add('hugePages', hugePages, 'there are no tables of a hypervisor')
  if (claims !== undefined) {
    const { shares, reservationPercent, limitPercent } = claims
    const text = `${shares} shares, keeps ${reservationPercent} %, gets at most ${limitPercent} %`
    add('claims', text, 'nobody shares its processors')
  }
  if (remappingUnit !== undefined) {
    const there = host.functions().some(fn => fn.remappingUnit !== null)
    const named = { what: 'remappingUnit', name: 'remappingUnit' } as const
    items.push(
      there
        ? kept(named, remappingUnit, 'remapping units of the machine')
        : notCarried(named, remappingUnit, 'the machine has no remapping unit'),
    )
  }
  return items
}

/** One adapter for one interface: one that the driver of before runs, if there is one. */
function* placeInterface(
  platform: SimulatedPlatform,
  device: NetworkInterface,
  options: ConversionOptions,
  taken: string[],
): Software<ConversionItem[]> {
  const mac = macText(device.mac)
  const named = { what: 'network', name: mac } as const
  const was = { text: `${device.model}: ${device.place}`, driver: device.driver }
  if (device.standby) {
    const reason = 'it stands in for another device while a virtual machine moves'
    return [notCarried(named, was.text, reason)]
  }
  const wanted = options.interfaces[mac]?.function
  const { functions, reason } = networkAdapters(platform, NOBODY, undefined)
  const own = wanted === undefined ? functions : [platform.host.find(wanted).address]
  const free = own.filter(address => !taken.includes(address))
  let refusal = functions.length > 0 && free.length === 0 ? 'the machine has no adapter left' : reason
  for (const address of byDriver(platform, free, device)) {
    const tried = yield* attempt(platform.networking.adapter(address))
    if ('refusal' in tried) {
      refusal = tried.refusal
      continue
    }
    taken.push(address)
    tried.result.setAddress(device.mac)
    const is = { text: `adapter ${address}`, driver: tried.result.driver }
    const other = `no free adapter of the machine is run by ${device.driver ?? 'no driver'}`
    return [placedDevice(named, was, is, [other]), ...rulesOf(device, tried.result, mac)]
  }
  return [notCarried(named, was.text, refusal)]
}

/** Those first that the driver of before runs, and of those the same first. */
function byDriver(
  { host }: SimulatedPlatform,
  addresses: readonly string[],
  { driver, kind }: NetworkInterface,
): string[] {
  const rank = (address: string): number => {
    const fn = host.find(address)
    if (kind !== undefined && isLike(fn, kind)) return 0
    return fn.driver === driver ? 1 : 2
  }
  return [...addresses].sort((a, b) => rank(a) - rank(b))
}

function rulesOf(
  { vlan, rules, maximumRate }: NetworkInterface,
  adapter: NetworkAdapter,
  mac: string,
): ConversionItem[] {
  const items: ConversionItem[] = []
  if (vlan?.mode === 'access' && vlan.vlan !== UNTAGGED) {
    const named = { what: 'vlan', name: mac } as const
    const was = `VLAN ${vlan.vlan}, without its knowledge`
    items.push(
      adapter.hearVlan(vlan.vlan, true)
        ? changed(named, was, `VLAN ${vlan.vlan}, of its own`, 'nobody tags its frames but itself')
        : notCarried(named, was, `${adapter.address} has no VLAN filter left`),
    )
  }
  if (vlan?.mode === 'trunk') items.push(kept({ what: 'vlan', name: mac }, 'frames with and without tags'))
  const { ingressLimit, egressLimit, share } = rules
  const limited = ingressLimit !== undefined || egressLimit !== undefined || share !== undefined
  if (limited || maximumRate > 0) {
    const named = { what: 'rules', name: mac } as const
    items.push(notCarried(named, 'limits of its port', 'no port of a virtual switch is in between'))
  }
  return items
}

function* placeDisk(
  platform: SimulatedPlatform,
  { model, place, driver, sectors, contents }: DiskDefinition,
  options: ConversionOptions,
): Software<ConversionItem[]> {
  const named = { what: 'disk', name: 'disk' } as const
  const was = { text: `${model}: ${place}`, driver }
  if (options.disk === undefined) {
    return [notCarried(named, was.text, 'no namespace was named (`disk`) that may be overwritten')]
  }
  const found = yield* attempt(namedNamespace(platform, options.disk, sectors))
  if ('refusal' in found) return [notCarried(named, was.text, found.refusal)]
  const { address, namespace } = found.result
  checkUnused(platform, address)
  if (contents !== null) yield* writeNamespace(platform, address, namespace, contents)
  const is = { text: `namespace ${namespace.id} of ${address}`, driver: 'nvme' }
  const reason = 'the machine’s disk is on an NVMe controller'
  return [placedDevice(named, was, is, [reason]), sizeItem(sectors, namespace.blocks)]
}

/** Throws `functionInUse`: what virtual machines have is not overwritten. */
function checkUnused({ disks, hypervisor, host }: SimulatedPlatform, address: string): void {
  const functions = [address, ...host.find(address).virtualFunctions]
  const user = hypervisor.vms().find(({ name }) => functions.includes(disks.find(name)?.function ?? ''))
  if (user === undefined) return
  throw new NorthbridgeError('functionInUse', `the disk of ${user.name} is on ${address}`)
}

/** Functions of a machine are where they are: it has one like it, or has not. */
function placeFunction(
  { host, name }: SimulatedPlatform,
  fn: FunctionDefinition,
  taken: string[],
): ConversionItem {
  const named = { what: 'function', name: fn.address } as const
  const like = host
    .functions()
    .find(one => isLike(one, fn) && one.owner.kind !== 'vm' && !taken.includes(one.address))
  if (like === undefined) {
    return notCarried(named, `${fn.address} (${fn.driver ?? 'no driver'})`, `${name} has no function like it`)
  }
  taken.push(like.address)
  const is = { text: like.address, driver: like.driver }
  return placedDevice(named, { text: fn.address, driver: fn.driver }, is, ['its kernel’s driver is another'])
}
