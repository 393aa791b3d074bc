/** A virtual machine as a definition: what its administrator said of it, and the drivers that its guest runs. */
import type { Software } from '../../../engine/index.ts'
import { GuestKernel } from '../../../guest/index.ts'
import type { NetworkDevice, VirtualMachine } from '../../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import { readMedium } from '../medium.ts'
import type { DiskDefinition, FunctionDefinition, MachineDefinition, NetworkInterface } from './definition.ts'
import { readDisk } from './disk-contents.ts'
import { type ConversionItem, notCarried } from './report.ts'

/** Name of the guest's driver in a slot; null if it runs none. */
export const guestDriver = ({ hypervisor }: SimulatedPlatform, vm: string, slot: number): string | null =>
  hypervisor.lookAtGuest(vm, 0, kernel =>
    kernel instanceof GuestKernel ? (kernel.driver(slot)?.name ?? null) : null,
  )

/**
 * Throws `notFound`; `vmPaused` for a paused machine whose disk only its guest can read; `unsupported` for a medium that
 * fails.
 *
 * @param withContents reads the disk
 */
export function* definitionOfVm(
  platform: SimulatedPlatform,
  vm: string,
  withContents: boolean,
): Software<MachineDefinition> {
  const { hypervisor } = platform
  const seen = hypervisor.vm(vm)
  const { shares, reservationPercent, limitPercent } = hypervisor.cpu.view(vm)
  const own = platform.networking.devices.filter(device => device.vm === vm).sort((a, b) => a.slot - b.slot)
  const disk = yield* diskOf(platform, vm, withContents)
  const known = [...own.map(({ function: address }) => address), platform.disks.find(vm)?.function]
  const { interrupts, nested, vmcsShadowing, program, backing, hugePages } = seen
  return {
    origin: 'virtual',
    name: vm,
    processors: seen.vcpus.length,
    memoryMiB: seen.memoryMiB,
    options: {
      interrupts,
      nested,
      vmcsShadowing,
      program,
      backing,
      hugePages,
      ...(backing === 'paged' && { memorySettings: settingsOf(platform, vm) }),
    },
    remappingUnit: seen.viommu?.mode,
    claims: { shares, reservationPercent, limitPercent },
    network: own.map(device => interfaceOf(platform, device)),
    disk,
    functions: functionsOf(platform, seen, known),
    left: [withoutMemory(seen)],
  }
}

function settingsOf({ hypervisor }: SimulatedPlatform, vm: string) {
  const { shares, reservationMiB, limitMiB } = hypervisor.memory.view(vm)
  return { shares, reservationMiB, limitMiB }
}

function interfaceOf(platform: SimulatedPlatform, device: NetworkDevice): NetworkInterface {
  const { vm, slot, mac, model, standby, function: address } = device
  const image = platform.networking.images(vm).find(one => one.slot === slot)
  const { vlan, ...rules } = image?.rules ?? {}
  const behind = settingsBehind(platform, device)
  const fn = address === undefined || model === 'vmdq' ? undefined : platform.host.find(address)
  return {
    mac: mac.slice(),
    model,
    place: `slot ${slot}, ${device.switch ?? address}`,
    driver: guestDriver(platform, vm, slot),
    kind: fn && { vendorId: fn.vendorId, deviceId: fn.deviceId },
    switch: device.switch,
    rules,
    standby,
    vlan: behind.vlan === 0 ? vlan : { mode: 'access', vlan: behind.vlan },
    maximumRate: behind.maximumRate,
  }
}

/** What the host’s driver does behind the back of a machine that has queues or a function of an adapter. */
function settingsBehind(
  { networking, host }: SimulatedPlatform,
  { model, function: address, pool }: NetworkDevice,
): { readonly vlan: number; readonly maximumRate: number } {
  const adapterAt = (wanted: string) => networking.adapters.find(one => one.address === wanted)
  if (model === 'vmdq') return { vlan: adapterAt(address!)?.pool(pool!)?.vlan ?? 0, maximumRate: 0 }
  if (model !== 'sriov') return { vlan: 0, maximumRate: 0 }
  const physical = host.find(host.find(address!).physicalFunction!)
  const index = physical.virtualFunctions.indexOf(address!)
  const { vlan = 0, maximumRate = 0 } = adapterAt(physical.address)?.virtualFunctions[index] ?? {}
  return { vlan, maximumRate }
}

function* diskOf(
  { disks }: SimulatedPlatform,
  vm: string,
  withContents: boolean,
): Software<DiskDefinition | undefined> {
  const view = disks.find(vm)
  if (view === undefined) return undefined
  const { model, guestAddress, driver, sectors, function: address } = view
  const medium = disks.medium(vm)
  const read = (): Software<NonNullable<DiskDefinition['contents']>> =>
    medium === undefined
      ? readDisk(sectors, (sector, target) => disks.readContents(vm, sector, target))
      : readMedium(medium)
  return {
    model,
    place: `${guestAddress}, on ${address ?? 'memory of the host'}`,
    driver,
    sectors,
    contents: withContents ? yield* read() : null,
  }
}

/** Assigned functions that are neither network devices nor disks to the administrator. */
function functionsOf(
  platform: SimulatedPlatform,
  { name, devices }: VirtualMachine,
  known: readonly (string | undefined)[],
): FunctionDefinition[] {
  return devices
    .filter(({ address }) => !known.includes(address))
    .map(({ address, guestAddress, vendorId, deviceId }) => ({
      address,
      vendorId,
      deviceId,
      driver: guestDriver(platform, name, Number.parseInt(guestAddress.slice(8, 10), 16)),
      virtual: platform.host.find(address).kind === 'VF',
    }))
}

const withoutMemory = ({ memoryMiB }: VirtualMachine): ConversionItem =>
  notCarried(
    { what: 'memoryContents', name: 'memory' },
    `what is in its ${memoryMiB} MiB`,
    'its devices and drivers are others: it starts anew. migrateVm takes a machine with what it is doing',
  )
