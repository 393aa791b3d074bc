/** Whether the reason of a refusal is true, looked up by other ways than those that the refusal came from. */
import type { NorthbridgeError } from '../../src/core/index.ts'
import type { HostFunction } from '../../src/host/index.ts'
import type { SimulatedPlatform } from '../../src/system/index.ts'

interface Judged {
  readonly platform: SimulatedPlatform
}

type Facts = Readonly<Record<string, unknown>>

/** Drivers beside which user space may own a group: they do no DMA through the kernel. */
const HARMLESS = new Set(['vfio-pci', 'pcieport', 'pci-stub', 'pci-pf-stub', 'shpchp'])

export function isTrue({ platform }: Judged, id: string, input: object, error: NorthbridgeError): boolean {
  const facts = input as Facts
  if (error.code === 'poweredOff') return !platform.powered
  if (error.code === 'hostHalted') return !platform.responds
  const { host, hypervisor, hardware } = platform
  const functions = host.functions()
  const named = facts['function'] ?? (facts['fault'] as Facts | undefined)?.['function']
  const wanted = (named ?? error.details['function']) as string | undefined
  const fn = functions.find(({ address }) => address === wanted)
  const vms = new Map(hypervisor.vms().map(vm => [vm.name, vm]))
  const machine = (facts['vm'] ??
    (id === 'applyPolicy'
      ? refusedRequests(facts).find(({ resource }) => resource === wanted)?.name
      : '')) as string
  const vm = vms.get(machine)
  const answers = (address: string): boolean => {
    const one = functions.find(known => known.address === address)
    return one !== undefined && hardware.fabric.functionAt(one.segment, one.rid) !== undefined
  }
  const isHeld = (one: HostFunction | undefined): boolean => one?.owner.kind === 'vm'
  const silicon = fn && hardware.fabric.functionAt(fn.segment, fn.rid)
  switch (error.code) {
    case 'nameTaken':
      return vms.has(facts['name'] as string)
    case 'notFound':
      if (id === 'freeBuffer')
        return fn === undefined || !host.buffers(fn.address).some(b => b.address === Number(facts['address']))
      if (id === 'detach') return vm === undefined || !vm.devices.some(({ address }) => address === wanted)
      if (id === 'injectFault')
        return isMissing(facts['fault'] as Facts, silicon !== undefined, error.message)
      if (id === 'applyPolicy') return refusedRequests(facts).some(({ resource }) => !answers(resource))
      return (
        (facts['vm'] !== undefined && vm === undefined) || (wanted !== undefined && silicon === undefined)
      )
    case 'alreadyDone':
      return id === 'power' && platform.powered === (facts['action'] === 'on')
    case 'functionInUse':
      if (id === 'allocateBuffer') return fn?.owner.kind !== 'driver' || NO_DMA.has(fn.owner.name)
      return isHeld(fn) || functions.some(one => isHeld(one) && one.physicalFunction === wanted)
    case 'functionNotAssignable':
      return (
        fn !== undefined &&
        (BRIDGES.has(fn.kind) ||
          fn.kind === 'hostBridge' ||
          fn.virtualFunctions.length > 0 ||
          error.message.includes('reserved'))
      )
    case 'groupNotViable': {
      const mates = functions.filter(one => one !== fn && one.group === fn?.group)
      return mates.some(
        ({ owner, driver }) =>
          (owner.kind === 'vm' && owner.name !== machine) ||
          (owner.kind === 'driver' && driver !== null && !HARMLESS.has(driver)),
      )
    }
    case 'sriovUnsupported':
      if (error.details['errno'] === 'ENOENT') return !VF_DRIVERS.has(fn!.driver ?? '')
      if (error.details['errno'] === 'EPERM')
        return !host.interruptLines().some(({ name }) => name.startsWith(`${wanted}/`))
      if (error.details['errno'] === 'EIO') return silicon === undefined || !silicon.isReady
      return fn?.sriov === undefined
    case 'sriovOutOfRange': {
      const { totalVfs, driverLimit } = fn!.sriov!
      return (facts['numVfs'] as number) > Math.min(totalVfs, driverLimit)
    }
    case 'sriovBusy': {
      const there = fn!.virtualFunctions
      return there.length > 0 || isHeld(fn) || there.some(one => isHeld(host.find(one)))
    }
    case 'resetUnavailable':
      return fn!.resetMethods.length === 0 || BRIDGES.has(fn!.kind)
    case 'topologyConflict': {
      const port = silicon?.port
      const slot = port?.slot
      if (slot?.hotPluggable !== true) return true
      if (id === 'pressButton') return !slot.hasAttentionButton
      return id === 'insertCard' ? port!.occupied || !error.message.includes('taken') : !port!.occupied
    }
    case 'invalidArgument':
      if (id === 'injectFault') return silicon === undefined || /has no (link|device-TLB)/.test(error.message)
      return silicon?.port === undefined
    case 'policyRefused':
      return (
        refusedRequests(facts).some(
          ({ name, resource }) =>
            host.vfio.whyNot(resource, name) !== undefined ||
            isHeld(functions.find(one => one.address === resource)),
        ) || twice(facts)
      )
    case 'outOfResources':
    case 'outOfMemory':
      return isScarce(platform, fn, vm?.devices.length ?? 0, error)
    default:
      return false
  }
}

/** Drivers that configure virtual functions. */
const VF_DRIVERS = new Set(['igb', 'ixgbe', 'i40e', 'ice', 'nvme', 'pci-pf-stub', 'mlx5_core', 'bnxt_en'])

/** Drivers that do no DMA of their own and leave it to user space: "driver_managed_dma" of Linux, and pci-stub. */
const NO_DMA: ReadonlySet<string> = new Set(['pcieport', 'pci-pf-stub', 'pci-stub', 'vfio-pci'])
const BRIDGES = new Set(['rootPort', 'upstreamPort', 'downstreamPort', 'bridge'])

/** A function, a unit, or an entry of its tables. */
const isMissing = (fault: Facts, there: boolean, message: string): boolean =>
  !there ||
  /names no entry|have no such entry|no remapping unit translates|no function/.test(message) ||
  'unit' in fault

function refusedRequests(facts: Facts): { name: string; resource: string }[] {
  const requests = facts['requests'] as { vm: string; needs: { resource: string }[] }[]
  return requests.flatMap(({ vm, needs }) => needs.map(({ resource }) => ({ name: vm, resource })))
}

/** Two machines cannot have one function, nor two functions of one group. */
const twice = (facts: Facts): boolean => refusedRequests(facts).length > 1

function isScarce(
  platform: SimulatedPlatform,
  fn: HostFunction | undefined,
  devices: number,
  error: NorthbridgeError,
): boolean {
  if (error.code === 'outOfMemory') return platform.host.memory.freePages < 2048
  if (/slot/.test(error.message)) return devices >= 31
  // Bus numbers or addresses that virtual functions would need.
  return fn?.sriov !== undefined && /bus|memory|address|BAR|window/i.test(error.message)
}
