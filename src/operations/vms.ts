/** Operations on virtual machines and the functions they hold. */
import { type Static, Type } from '@sinclair/typebox'
import { bytesToHex, hex, hexToBytes, NorthbridgeError, parsePhysical } from '../core/index.ts'
import { type Software, within } from '../engine/index.ts'
import {
  type AttachedDevice,
  DEVICE_MEMORY_USES,
  GUEST_PROGRAMS,
  type GuestProgram,
  HUGE_PAGES,
  INTERRUPT_DELIVERY,
  MEMORY_BACKINGS,
  VIRTUAL_UNIT_MODES,
  type VirtualMachine,
  type VirtualUnitMode,
} from '../hypervisor/index.ts'
import { type SimulatedPlatform, undoneOnFailure } from '../system/index.ts'
import { ASSIGNMENT_ERRORS } from './codes.ts'
import type { OperationContext } from './context.ts'
import { forgetProtections } from './failover/forget.ts'
import { functionOf } from './functions.ts'
import { MemorySettings } from './memory/schemas.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import {
  Count,
  Fields,
  FunctionAddress,
  Hex,
  HexBytes,
  Identifier,
  inPlatform,
  Name,
  Nullable,
  Words,
} from './schemas.ts'
import { checkRoom } from './usage.ts'

const DeviceView = Fields(
  {
    function: Type.String({ description: 'Address on the host' }),
    guestAddress: Type.String({ description: 'Address in the guest' }),
    vendorId: Hex,
    deviceId: Hex,
    interrupts: Type.String({ description: 'msix, msi or none' }),
    bars: Type.Array(
      Fields({
        index: Count(5),
        size: Count(Number.MAX_SAFE_INTEGER),
        prefetchable: Type.Boolean(),
        guestAddress: Nullable(Hex),
        hostAddress: Hex,
      }),
    ),
    vectors: Type.Array(
      Fields({
        index: Count(2047),
        masked: Type.Boolean(),
        vcpu: Nullable(Type.Integer()),
        guestVector: Count(255),
        delivered: Count(Number.MAX_SAFE_INTEGER),
      }),
    ),
  },
  { $id: 'AssignedDevice' },
)

export const VmView = Fields(
  {
    name: Type.String(),
    vcpus: Count(64),
    memoryMiB: Count(2 ** 40),
    interrupts: Words(...INTERRUPT_DELIVERY),
    nested: Type.Boolean(),
    vmcsShadowing: Type.Boolean(),
    program: Words(...GUEST_PROGRAMS),
    state: Words('running', 'paused'),
    backing: Words(...MEMORY_BACKINGS),
    hugePages: Words(...HUGE_PAGES),
    memory: Type.Array(Fields({ base: Hex, size: Count(Number.MAX_SAFE_INTEGER) }), {
      description: 'Ranges of guest memory, guest-physical',
    }),
    devices: Type.Array(DeviceView),
  },
  { $id: 'VirtualMachine' },
)

const deviceView = (device: AttachedDevice): Static<typeof DeviceView> => ({
  function: device.address,
  guestAddress: device.guestAddress,
  vendorId: hex(device.vendorId, 4),
  deviceId: hex(device.deviceId, 4),
  interrupts: device.interrupts,
  bars: device.bars.map(({ index, size, prefetchable, guestAddress, hostAddress }) => ({
    index,
    size,
    prefetchable,
    guestAddress: guestAddress === null ? null : hex(guestAddress),
    hostAddress: hex(hostAddress),
  })),
  vectors: device.vectors.map(vector => ({ ...vector })),
})

export const vmView = (vm: VirtualMachine): Static<typeof VmView> => ({
  name: vm.name,
  vcpus: vm.vcpus.length,
  memoryMiB: vm.memoryMiB,
  interrupts: vm.interrupts,
  nested: vm.nested,
  vmcsShadowing: vm.vmcsShadowing,
  program: vm.program,
  state: vm.paused ? 'paused' : 'running',
  backing: vm.backing,
  hugePages: vm.hugePages,
  memory: vm.memory.map(({ base, size }) => ({ base: hex(base), size })),
  devices: vm.devices.map(deviceView),
})

const path = '/v1/platforms/{platform}/vms'

/** Runs a command of the hypervisor on a platform that is on. */
export function* command<Result>(
  context: OperationContext,
  id: string,
  run: (platform: SimulatedPlatform) => Software<Result>,
): Software<Result> {
  const platform = poweredPlatform(context, id)
  return yield* within(platform.engine, run(platform))
}

export const createVm = operation({
  summary: 'Creates a virtual machine and starts its virtual processors',
  rest: { method: 'POST', path, status: 201, location: `${path}/{name}` },
  words: 'vms create',
  atomic: true,
  input: inPlatform({
    name: Name,
    vcpus: Count(64, 1),
    memoryMiB: Count(2 ** 30, 2),
    interrupts: Type.Optional(Words(...INTERRUPT_DELIVERY)),
    nested: Type.Optional(
      Type.Boolean({ description: 'The guest finds VMX, and may run guests of its own' }),
    ),
    vmcsShadowing: Type.Optional(
      Type.Boolean({
        description: 'A guest with VMX reads and writes the most used fields of its VMCS without VM exits',
      }),
    ),
    backing: Type.Optional(
      Type.Unsafe<(typeof MEMORY_BACKINGS)[number]>({
        ...Words(...MEMORY_BACKINGS),
        description: 'Host pages for all of its memory at once, or for what is used, as long as it is',
      }),
    ),
    hugePages: Type.Optional(
      Type.Unsafe<(typeof HUGE_PAGES)[number]>({
        ...Words(...HUGE_PAGES),
        description: 'The largest pages that its memory is made of; default 2MiB',
      }),
    ),
    memorySettings: Type.Optional(
      Fields(MemorySettings, { description: 'Of paged memory: its claim on host memory' }),
    ),
    program: Type.Optional(
      Type.Unsafe<GuestProgram>({
        ...Words(...GUEST_PROGRAMS),
        description:
          'What runs in it: a kernel, or a hypervisor that runs the operations it is given in a guest of its own',
      }),
    ),
    viommu: Type.Optional(
      Type.Unsafe<VirtualUnitMode>({
        ...Words(...VIRTUAL_UNIT_MODES),
        description:
          'A remapping unit of its own: the host copies the guest’s tables, or walks them in place over its own',
      }),
    ),
  }),
  output: VmView,
  errors: [
    'notFound',
    'poweredOff',
    'nameTaken',
    'outOfMemory',
    'outOfResources',
    'limitExceeded',
    'unsupported',
  ],
  *run(context, { platform, viommu: mode, ...rest }) {
    checkRoom(context, 'vms')
    const options = { ...rest, viommu: mode && { mode } }
    return vmView(yield* command(context, platform, ({ hypervisor }) => hypervisor.createVm(options)))
  },
  tell: ({ name, vcpus, memoryMiB }) =>
    `Virtual machine "${name}" runs: ${vcpus} virtual processor${vcpus === 1 ? '' : 's'}, ${memoryMiB} MiB.`,
})

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)

export const vms = operation({
  summary: 'Lists the virtual machines of a platform by name',
  rest: { method: 'GET', path },
  words: 'vms list',
  input: inPlatform({}),
  output: Type.Array(VmView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof VmView>) => item.name,
    columns: ['name', 'vcpus', 'memoryMiB', 'devices'],
  },
  run: (context, { platform }) =>
    now(() => poweredPlatform(context, platform).hypervisor.vms().map(vmView).sort(byName)),
})

export const vm = operation({
  summary: 'Shows a virtual machine and its devices',
  rest: { method: 'GET', path: `${path}/{vm}` },
  words: 'vms get',
  input: inPlatform({ vm: Identifier }),
  output: VmView,
  errors: ['notFound', 'poweredOff'],
  run: (context, input) =>
    now(() => vmView(poweredPlatform(context, input.platform).hypervisor.vm(input.vm))),
})

export const deleteVm = operation({
  summary: 'Deletes a virtual machine; its devices go back to the host',
  rest: { method: 'DELETE', path: `${path}/{vm}`, status: 204 },
  words: 'vms delete',
  atomic: true,
  input: inPlatform({ vm: Identifier }),
  output: Type.Null(),
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    yield* command(context, input.platform, ({ hypervisor }) => hypervisor.deleteVm(input.vm))
    forgetProtections(context, input.platform, input.vm)
    return null
  },
  tell: (_output, input) => `Virtual machine "${input.vm}" is gone.`,
})

export const attach = operation({
  summary: 'Gives a function to a virtual machine',
  rest: {
    method: 'POST',
    path: `${path}/{vm}/devices`,
    status: 201,
    location: `${path}/{vm}/devices/{function}`,
  },
  words: 'vms attach',
  atomic: true,
  input: inPlatform({
    vm: Identifier,
    function: FunctionAddress,
    vfToken: Type.Optional(
      Type.String({ title: 'the VF token, a UUID: of a VF that of its PF, of a PF that of its VFs' }),
    ),
    reset: Type.Optional(
      Type.Unsafe<'required' | 'ifAvailable'>({
        ...Words('required', 'ifAvailable'),
        description: 'Whether a function that cannot be reset is refused; default ifAvailable',
      }),
    ),
    memory: Type.Optional(
      Type.Unsafe<(typeof DEVICE_MEMORY_USES)[number]>({
        ...Words(...DEVICE_MEMORY_USES),
        description:
          'Of a machine whose memory is paged. onDemand: the function asks for each page that it needs; default pinned',
      }),
    ),
  }),
  output: DeviceView,
  errors: [
    'notFound',
    'poweredOff',
    'invalidArgument',
    ...ASSIGNMENT_ERRORS,
    'unsupported',
    'outOfResources',
    'outOfMemory',
  ],
  *run(context, input) {
    return deviceView(
      yield* command(context, input.platform, platform => {
        platform.hypervisor.vm(input.vm)
        const { address } = functionOf(platform, input.function)
        const resetRequired = input.reset === 'required'
        const { vfToken: token, memory } = input
        return platform.hypervisor.attach(input.vm, address, { token, resetRequired, memory })
      }),
    )
  },
  tell: (device, input) =>
    `${device.function} belongs to "${input.vm}" now, which sees it as ${device.guestAddress} with ${device.vectors.length} interrupt vectors.`,
})

export const detach = operation({
  summary: 'Takes a function back from a virtual machine',
  rest: { method: 'DELETE', path: `${path}/{vm}/devices/{function}`, status: 204 },
  words: 'vms detach',
  atomic: true,
  input: inPlatform({ vm: Identifier, function: Identifier }),
  output: Type.Null(),
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    yield* command(context, input.platform, function* (platform) {
      platform.hypervisor.vm(input.vm)
      const { address } = functionOf(platform, input.function)
      yield* platform.hypervisor.detach(input.vm, address)
    })
    return null
  },
  tell: (_output, input) => `${input.function} was taken from "${input.vm}".`,
})

/** Most bytes of guest memory in one answer. */
const MOST_BYTES = 65_536

export const readMemory = operation({
  summary: 'Reads guest memory at a guest-physical address',
  rest: { method: 'GET', path: `${path}/{vm}/memory` },
  words: 'vms read-memory',
  input: inPlatform({ vm: Identifier, address: Hex, length: Count(MOST_BYTES, 1) }),
  output: Fields({ address: Hex, length: Count(MOST_BYTES), data: HexBytes }, { $id: 'MemoryBytes' }),
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, { platform, vm, address, length }) =>
    now(() => {
      const { hypervisor } = poweredPlatform(context, platform)
      const data = hypervisor.readGuest(vm, guestAddress(hypervisor.vm(vm), address, length), length)
      return { address, length, data: bytesToHex(data) }
    }),
  tell: ({ address, data }, input) => `Memory of "${input.vm}" at ${address}: ${data}`,
})

export const writeMemory = operation({
  summary: 'Writes guest memory at a guest-physical address',
  rest: { method: 'PUT', path: `${path}/{vm}/memory` },
  words: 'vms write-memory',
  input: inPlatform({ vm: Identifier, address: Hex, data: HexBytes }),
  output: Fields({ address: Hex, length: Count(2 ** 31) }, { $id: 'MemoryRange' }),
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'outOfMemory'],
  *run(context, { platform, vm, address, data }) {
    const running = poweredPlatform(context, platform)
    const { hypervisor } = running
    const view = hypervisor.vm(vm)
    const bytes = hexToBytes(data)
    const at = guestAddress(view, address, bytes.length)
    const write = now(() => hypervisor.writeGuest(vm, at, bytes))
    // In the middle of paged memory host pages may run out.
    yield* view.backing === 'paged' ? undoneOnFailure([running], write) : write
    return { address, length: bytes.length }
  },
  tell: ({ address, length }, input) => `Wrote ${length} bytes into memory of "${input.vm}" at ${address}.`,
})

/** A range that lies in the memory of a VM. Throws `invalidArgument`. */
function guestAddress(vm: VirtualMachine, text: string, length: number): number {
  const address = parsePhysical(text)
  if (!vm.memory.some(({ base, size }) => address >= base && address + length <= base + size)) {
    const message = `${length} bytes at ${text} do not lie in memory of "${vm.name}"`
    throw new NorthbridgeError('invalidArgument', message, { issues: [{ path: '/address', message }] })
  }
  return address
}
