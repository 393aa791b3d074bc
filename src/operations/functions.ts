/** Operations on functions as the host kernel sees them. */
import { type Static, Type } from '@sinclair/typebox'
import { bytesToHex, hex, NorthbridgeError, parseFunctionAddress } from '../core/index.ts'
import { within } from '../engine/index.ts'
import type { HostFunction } from '../host/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, Hex, HexBytes, Identifier, inPlatform, Nullable, Words } from './schemas.ts'
import { unitIdOf } from './unit-names.ts'
import { checkRoom } from './usage.ts'

export const OwnerView = Fields(
  { kind: Words('none', 'driver', 'vm'), name: Type.Optional(Type.String()) },
  { $id: 'Owner', description: 'Who uses a function: nobody, a driver of the host, or a virtual machine' },
)

const BarView = Fields(
  {
    index: Count(5),
    kind: Words('memory32', 'memory64', 'io'),
    prefetchable: Type.Boolean(),
    address: Hex,
    size: Count(Number.MAX_SAFE_INTEGER),
  },
  { $id: 'Bar', description: 'A base address register; size in bytes' },
)

const FunctionView = Fields(
  {
    address: Type.String(),
    kind: Words('PF', 'VF', 'endpoint', 'rootPort', 'upstreamPort', 'downstreamPort', 'bridge', 'hostBridge'),
    vendorId: Hex,
    deviceId: Hex,
    subsystemVendorId: Hex,
    subsystemId: Hex,
    classCode: Hex,
    revision: Hex,
    parent: Nullable(Type.String({ description: 'The bridge above; null on a root bus' })),
    physicalFunction: Type.Optional(Type.String()),
    virtualFunctions: Type.Optional(Type.Array(Type.String())),
    sriov: Type.Optional(
      Fields({
        totalVfs: Count(65_535),
        numVfs: Count(65_535),
        offset: Count(65_535),
        stride: Count(65_535),
      }),
    ),
    bars: Type.Array(BarView),
    capabilities: Type.Array(Type.String()),
    group: Nullable(Type.Integer()),
    remappingUnit: Nullable(Type.String()),
    driver: Nullable(Type.String()),
    owner: OwnerView,
    numaNode: Type.Integer({ minimum: -1 }),
    resetMethods: Type.Array(Type.String()),
  },
  { $id: 'Function' },
)

export function functionView(platform: SimulatedPlatform, fn: HostFunction): Static<typeof FunctionView> {
  const { sriov } = fn
  return {
    address: fn.address,
    kind: fn.kind,
    vendorId: hex(fn.vendorId, 4),
    deviceId: hex(fn.deviceId, 4),
    subsystemVendorId: hex(fn.subsystemVendorId, 4),
    subsystemId: hex(fn.subsystemId, 4),
    classCode: hex(fn.classCode, 6),
    revision: hex(fn.revision, 2),
    parent: fn.parent ?? null,
    ...(fn.physicalFunction === undefined ? {} : { physicalFunction: fn.physicalFunction }),
    ...(fn.kind === 'PF' ? { virtualFunctions: [...fn.virtualFunctions] } : {}),
    ...(sriov === undefined
      ? {}
      : {
          sriov: {
            totalVfs: sriov.totalVfs,
            numVfs: sriov.numVfs,
            offset: sriov.offset,
            stride: sriov.stride,
          },
        }),
    bars: fn.bars.map(({ index, kind, prefetchable, address, size }) => ({
      index,
      kind,
      prefetchable,
      address: hex(address),
      size,
    })),
    capabilities: [...fn.capabilities],
    group: fn.group,
    remappingUnit: unitIdOf(platform, fn),
    driver: fn.driver,
    owner: { ...fn.owner },
    numaNode: fn.numaNode,
    resetMethods: [...fn.resetMethods],
  }
}

/** A function by the text of a path. Throws `notFound`, also for what is not an address at all. */
export function functionOf(platform: SimulatedPlatform, text: string): HostFunction {
  try {
    parseFunctionAddress(text)
  } catch {
    throw new NorthbridgeError('notFound', `There is no function "${text}"; addresses look like 0000:03:10.1`)
  }
  return platform.host.find(text)
}

const path = '/v1/platforms/{platform}/functions'

export const functions = operation({
  summary: 'Lists the functions of a platform by address',
  rest: { method: 'GET', path },
  words: 'functions list',
  input: inPlatform({}),
  output: Type.Array(FunctionView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof FunctionView>) => item.address,
    columns: [
      'address',
      'kind',
      'vendorId',
      'deviceId',
      'classCode',
      'group',
      'remappingUnit',
      'owner',
      'numaNode',
    ],
  },
  run: (context, { platform }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      return running.host.functions().map(fn => functionView(running, fn))
    }),
})

export const oneFunction = operation({
  summary: 'Shows a function',
  rest: { method: 'GET', path: `${path}/{function}` },
  words: 'functions get',
  input: inPlatform({ function: Identifier }),
  output: FunctionView,
  errors: ['notFound', 'poweredOff'],
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      return functionView(platform, functionOf(platform, input.function))
    }),
})

export const readConfig = operation({
  summary: 'Reads bytes of the configuration space of a function',
  rest: { method: 'GET', path: `${path}/{function}/config` },
  words: 'functions config',
  input: inPlatform({
    function: Identifier,
    offset: Type.Optional(Count(4095)),
    length: Type.Optional(Count(4096, 1)),
  }),
  output: Fields({ offset: Count(4095), length: Count(4096), data: HexBytes }),
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, { platform: id, function: address, offset = 0, length = 64 }) =>
    now(() => {
      const platform = poweredPlatform(context, id)
      const { segment, rid } = functionOf(platform, address)
      if (offset + length > 4096) {
        const message = `reaches beyond the 4096 bytes of configuration space: ${offset} + ${length}`
        throw new NorthbridgeError('invalidArgument', `/length ${message}`, {
          issues: [{ path: '/length', message }],
        })
      }
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i++) {
        const at = offset + i
        const dword = platform.hardware.fabric.readConfig(segment, rid >>> 8, rid & 0xff, at & ~3)
        bytes[i] = dword >>> ((at & 3) * 8)
      }
      return { offset, length, data: bytesToHex(bytes) }
    }),
})

export const setNumVfs = operation({
  summary: 'Enables this many virtual functions of a physical function; 0 disables them',
  rest: { method: 'PUT', path: `${path}/{function}/sriov` },
  words: 'functions sriov',
  atomic: true,
  input: inPlatform({ function: Identifier, numVfs: Count(65_535) }),
  output: FunctionView,
  errors: [
    'notFound',
    'poweredOff',
    'sriovUnsupported',
    'sriovOutOfRange',
    'sriovBusy',
    'outOfResources',
    'limitExceeded',
  ],
  *run(context, { platform: id, function: address, numVfs }) {
    const platform = poweredPlatform(context, id)
    const fn = functionOf(platform, address)
    checkRoom(context, 'functions', numVfs - (fn.sriov?.numVfs ?? 0))
    yield* within(platform.engine, platform.host.setNumVfs(fn.address, numVfs))
    return functionView(platform, platform.host.find(fn.address))
  },
  tell: ({ address, virtualFunctions: vfs = [] }) =>
    vfs.length === 0
      ? `${address} has no virtual functions now.`
      : `${address} has ${vfs.length} virtual function${vfs.length === 1 ? '' : 's'} now: ${vfs.join(', ')}.`,
})

export const resetFunction = operation({
  summary: 'Resets a function by the best method it has',
  rest: { method: 'POST', path: `${path}/{function}/reset` },
  words: 'functions reset',
  // Not atomic: it is refused before anything has happened, and a function that never came back has been reset.
  input: inPlatform({ function: Identifier }),
  output: Fields({ method: Type.String({ description: "Linux's name: flr, af_flr, pm or bus" }) }),
  errors: ['notFound', 'poweredOff', 'resetUnavailable', 'functionInUse'],
  *run(context, { platform: id, function: address }) {
    const platform = poweredPlatform(context, id)
    const { method } = yield* within(
      platform.engine,
      platform.host.reset(functionOf(platform, address).address),
    )
    return { method }
  },
  tell: ({ method }, input) => `${input.function} was reset (${method}).`,
})
