/** A network interface on its way into a virtual machine: the first model of a list that the host can give. */
import type { Software } from '../../../engine/index.ts'
import { GuestKernel } from '../../../guest/index.ts'
import type { NetworkDevice, NetworkDeviceDefinition, NetworkModelName } from '../../../hypervisor/index.ts'
import { formatMac, macHigh, macLow } from '../../../net/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import type { FunctionKind, NetworkInterface } from './definition.ts'
import type { ConversionOptions, NetworkChoice } from './options.ts'
import { attempt, type ConversionItem, changed, kept, notCarried, placedDevice } from './report.ts'
import { type Candidates, networkAdapters, networkVfs } from './target-functions.ts'
import { guestDriver } from './virtual-source.ts'

/** Of frames that have no tag on the wire. */
const UNTAGGED = 1

/** A model, and what is wanted behind it. */
interface Wish {
  readonly model: NetworkModelName
  readonly kind?: FunctionKind | undefined
}

export const macText = (mac: Uint8Array): string => formatMac(macLow(mac, 0), macHigh(mac, 0))

/** By which model the driver of before goes on. */
function sameDriver({ model, kind }: NetworkInterface): Wish {
  switch (model) {
    case 'physical':
    case 'direct':
      return { model: 'direct', kind }
    case 'sriov':
      return { model, kind }
    case 'vmdq':
      return { model: 'paravirtual' }
    default:
      return { model }
  }
}

const wishOf = (device: NetworkInterface, choice: NetworkChoice): Wish =>
  choice === 'keepDriver' ? sameDriver(device) : { model: choice }

/** Puts an interface into a machine. Tells what became of it and of its rules. */
export function* placeInterface(
  platform: SimulatedPlatform,
  vm: string,
  device: NetworkInterface,
  options: ConversionOptions,
): Software<ConversionItem[]> {
  const mac = macText(device.mac)
  const named = { what: 'network', name: mac } as const
  const was = { text: `${device.model}: ${device.place}`, driver: device.driver }
  const own = options.interfaces[mac]
  const passedOver: string[] = []
  for (const choice of own?.model === undefined ? options.network : [own.model]) {
    const wish = wishOf(device, choice)
    const tried = yield* tryModel(platform, vm, device, wish, options)
    if ('refusal' in tried) {
      passedOver.push(`${wish.model}: ${tried.refusal}`)
      continue
    }
    const { model, slot, switch: name, function: address } = tried.result
    const is = { text: `${model}: slot ${slot}, ${name ?? address}`, driver: guestDriver(platform, vm, slot) }
    return [placedDevice(named, was, is, passedOver), ...rulesOf(device, tried.result, mac)]
  }
  return [notCarried(named, was.text, passedOver.join('; '))]
}

function* tryModel(
  platform: SimulatedPlatform,
  vm: string,
  device: NetworkInterface,
  { model, kind }: Wish,
  options: ConversionOptions,
): Software<{ readonly result: NetworkDevice } | { readonly refusal: string }> {
  const own = options.interfaces[macText(device.mac)]
  const base = { vm, model, mac: device.mac }
  if (model === 'emulated' || model === 'paravirtual') {
    const name = own?.switch ?? switchFor(platform, device, options)
    if (name === undefined) return { refusal: `${platform.name} has no virtual switch` }
    const standby = device.standby && model === 'paravirtual'
    return yield* attempt(open(platform, { ...base, switch: name, standby }, device))
  }
  const { functions, reason } = functionsFor(platform, vm, { model, kind }, own?.function)
  let refusal = reason
  for (const address of functions) {
    const vlan = tagOf(device) === 0 || model === 'direct' ? {} : { vlan: tagOf(device) }
    const tried = yield* attempt(open(platform, { ...base, function: address, ...vlan }, device))
    if ('result' in tried) return tried
    refusal = tried.refusal
  }
  return { refusal }
}

function functionsFor(
  platform: SimulatedPlatform,
  vm: string,
  { model, kind }: Wish,
  wanted: string | undefined,
): Candidates {
  if (wanted !== undefined) return { functions: [wanted], reason: '' }
  if (model === 'sriov') return networkVfs(platform, vm, kind)
  if (model === 'direct') return networkAdapters(platform, vm, kind)
  // Queues of an adapter that stays the host's.
  const functions = platform.networking.adapters.map(({ address }) => address)
  return { functions, reason: `no network adapter of ${platform.name} is open` }
}

/** The switch of the same name, else the one that was named, else the only one. */
function switchFor(
  { networking }: SimulatedPlatform,
  device: NetworkInterface,
  options: ConversionOptions,
): string | undefined {
  const names = networking.switches.map(({ network: { name } }) => name)
  if (device.switch !== undefined && names.includes(device.switch)) return device.switch
  return options.switch ?? (names.length === 1 ? names[0] : undefined)
}

/** The device, with its driver started; neither if the driver cannot bring it up. */
function* open(
  { networking, hypervisor }: SimulatedPlatform,
  definition: NetworkDeviceDefinition,
  { rules, vlan }: NetworkInterface,
): Software<NetworkDevice> {
  const device = yield* networking.addDevice(definition)
  const { vm, slot, mac } = device
  try {
    if (device.switch !== undefined) networking.configure(device, { ...rules, ...(vlan && { vlan }) })
    yield* hypervisor.runGuest(vm, 0, function* (kernel) {
      if (kernel instanceof GuestKernel) yield* kernel.open(slot, { mac })
    })
  } catch (error) {
    yield* networking.removeDevice(vm, slot)
    throw error
  }
  return device
}

/** The VLAN whose frames it gets without tag; 0: those that have none on the wire either. */
const tagOf = ({ vlan }: NetworkInterface): number =>
  vlan?.mode === 'access' && vlan.vlan !== UNTAGGED ? vlan.vlan : 0

/** What became of VLAN, limits, share and role in a team. */
function rulesOf(device: NetworkInterface, placed: NetworkDevice, mac: string): ConversionItem[] {
  const { rules, maximumRate, standby } = device
  const rule = { what: 'rules', name: mac } as const
  const limits = [
    rules.ingressLimit && `sends at most ${rules.ingressLimit.bitsPerSecond} bits a second`,
    rules.egressLimit && `receives at most ${rules.egressLimit.bitsPerSecond} bits a second`,
    rules.share !== undefined && `share ${rules.share} of its uplink`,
  ].filter(text => typeof text === 'string')
  const passed = `frames of model ${placed.model} do not pass a port of the switch`
  const items = limits.map(text =>
    placed.switch === undefined ? notCarried(rule, text, passed) : kept(rule, text),
  )
  if (maximumRate > 0) {
    const reason = 'it was a setting of the virtual function; the new device gets its own (setVf, or a limit)'
    items.push(notCarried(rule, `sends at most ${maximumRate} Mb/s`, reason))
  }
  if (standby) {
    const text = 'stands in for another device with its address'
    const reason = `a device of model ${placed.model} stands in for no other`
    items.push(placed.standby ? kept(rule, text) : notCarried(rule, text, reason))
  }
  return [...vlanItems(device, placed, mac), ...items]
}

function vlanItems(device: NetworkInterface, { model }: NetworkDevice, mac: string): ConversionItem[] {
  const named = { what: 'vlan', name: mac } as const
  const tag = tagOf(device)
  if (device.vlan?.mode === 'trunk') {
    const text = 'frames with and without tags'
    const reason = 'what an adapter sorts into queues has no tag'
    return [model === 'vmdq' ? changed(named, text, 'frames without tag', reason) : kept(named, text)]
  }
  if (tag === 0) return []
  const reason = 'nobody tags the frames of a whole adapter but its guest'
  return [model === 'direct' ? notCarried(named, `VLAN ${tag}`, reason) : kept(named, `VLAN ${tag}`)]
}
