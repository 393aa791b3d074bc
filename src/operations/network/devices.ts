/** Operations on the network devices of virtual machines. */
import { type Static, Type } from '@sinclair/typebox'
import type { Software } from '../../engine/index.ts'
import { within } from '../../engine/index.ts'
import { GuestKernel, isNetworkDriver, type NetworkDriver } from '../../guest/index.ts'
import { NETWORK_MODELS, type NetworkDevice } from '../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../../system/index.ts'
import { ASSIGNMENT_ERRORS } from '../codes.ts'
import { functionOf } from '../functions.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, FunctionAddress, Identifier, inPlatform, Name, Words } from '../schemas.ts'
import { Counts, Limit, Mac, macText, notFound, Share, stationMac, Vlan } from './schemas.ts'

const DeviceView = Fields(
  {
    vm: Type.String(),
    slot: Count(31),
    model: Words(...NETWORK_MODELS),
    mac: Mac,
    switch: Type.Optional(Type.String()),
    function: Type.Optional(Type.String()),
    pool: Type.Optional(Count(127)),
    driver: Type.String({ description: 'Of the guest' }),
    counters: Counts,
    drops: Type.Optional(
      Type.Intersect([Counts], {
        description: 'Of a device that the hypervisor serves: frames that ended in it',
      }),
    ),
  },
  { $id: 'NetworkDevice', description: 'A network device of a virtual machine, as its guest uses it' },
)

/** The guest's driver of a device. Throws `notFound` if the guest has none. */
export function driverOf(kernel: unknown, vm: string, slot: number): NetworkDriver {
  const driver = kernel instanceof GuestKernel ? kernel.driver(slot) : undefined
  if (!isNetworkDriver(driver)) throw notFound(`the guest of ${vm} runs no network driver in slot ${slot}`)
  return driver
}

/** Runs code with the guest's driver of a device on the virtual processor that takes its interrupts. */
export function* withDriver<Result>(
  platform: SimulatedPlatform,
  vm: string,
  slot: number,
  code: (driver: NetworkDriver) => Software<Result>,
): Software<Result> {
  const { result } = yield* platform.hypervisor.runGuest(vm, 0, kernel => code(driverOf(kernel, vm, slot)))
  return result
}

function deviceView(platform: SimulatedPlatform, device: NetworkDevice): Static<typeof DeviceView> {
  const { vm, slot, model } = device
  const { driver, mac, counters } = platform.hypervisor.lookAtGuest(vm, 0, kernel => {
    const found = driverOf(kernel, vm, slot)
    return { driver: found.name, mac: found.mac, counters: found.counters }
  })
  return {
    vm,
    slot,
    model,
    mac: macText(mac),
    ...(device.switch !== undefined && { switch: device.switch }),
    ...(device.function !== undefined && { function: device.function }),
    ...(device.pool !== undefined && { pool: device.pool }),
    driver,
    counters: { ...counters },
    ...(device.drops !== undefined && { drops: { ...device.drops } }),
  }
}

const path = '/v1/platforms/{platform}/vms/{vm}/network-devices'

export const networkDevices = operation({
  summary: 'Lists the network devices of a virtual machine',
  rest: { method: 'GET', path },
  words: 'network-devices list',
  input: inPlatform({ vm: Identifier }),
  output: Type.Array(DeviceView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof DeviceView>) => item.slot,
    columns: ['slot', 'model', 'mac', 'driver', 'switch', 'function'],
  },
  run: (context, { platform, vm }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      running.hypervisor.vm(vm)
      return running.networking.devices
        .filter(device => device.vm === vm)
        .map(device => deviceView(running, device))
        .sort((a, b) => a.slot - b.slot)
    }),
})

export const addNetworkDevice = operation({
  summary: 'Gives a virtual machine a network device by one of five I/O models; its guest brings it up',
  rest: { method: 'POST', path, status: 201, location: `${path}/{slot}` },
  words: 'network-devices add',
  atomic: true,
  input: inPlatform({
    vm: Identifier,
    model: Words(...NETWORK_MODELS),
    mac: Mac,
    switch: Type.Optional(Name),
    function: Type.Optional(FunctionAddress),
    vlan: Type.Optional(Vlan),
    limit: Type.Optional(Limit),
    share: Type.Optional(Share),
    standby: Type.Optional(
      Type.Boolean({
        description:
          'A paravirtual device that stands in for a function with the same address, e.g. while the machine moves',
      }),
    ),
    ringEntries: Type.Optional(
      Type.Integer({
        minimum: 8,
        maximum: 64,
        multipleOf: 8,
        title: 'descriptors of each ring of the guest',
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
    'outOfMemory',
    'outOfResources',
  ],
  *run(context, { platform, mac, function: fn, ringEntries, ...rest }) {
    const running = poweredPlatform(context, platform)
    const { engine, networking } = running
    const definition = {
      ...rest,
      mac: stationMac(mac, 'mac'),
      ...(fn !== undefined && { function: functionOf(running, fn).address }),
    }
    return yield* within(engine, add(running, networking, definition, ringEntries))
  },
  tell: ({ vm, slot, model, mac, driver }) =>
    `"${vm}" has a network device in slot ${slot} (${model}): ${driver}, ${mac}.`,
})

/** The device, and its driver in the guest; neither if the driver cannot bring it up. */
function* add(
  running: SimulatedPlatform,
  networking: SimulatedPlatform['networking'],
  definition: Parameters<SimulatedPlatform['networking']['addDevice']>[0],
  ringEntries: number | undefined,
): Software<Static<typeof DeviceView>> {
  const device = yield* networking.addDevice(definition)
  const { vm, slot } = device
  const options = { mac: definition.mac, ...(ringEntries !== undefined && { ringEntries }) }
  try {
    yield* running.hypervisor.runGuest(vm, 0, function* (kernel) {
      if (kernel instanceof GuestKernel) yield* kernel.open(slot, options)
    })
  } catch (error) {
    yield* networking.removeDevice(vm, slot)
    throw error
  }
  return deviceView(running, device)
}

export const removeNetworkDevice = operation({
  summary: 'Takes a network device away from a virtual machine',
  rest: { method: 'DELETE', path: `${path}/{slot}`, status: 204 },
  words: 'network-devices remove',
  atomic: true,
  input: inPlatform({ vm: Identifier, slot: Count(31) }),
  output: Type.Null(),
  errors: ['notFound', 'poweredOff'],
  *run(context, { platform, vm, slot }) {
    const running = poweredPlatform(context, platform)
    yield* within(running.engine, running.networking.removeDevice(vm, slot))
    return null
  },
  tell: (_output, { vm, slot }) => `The network device in slot ${slot} of "${vm}" is gone.`,
})
