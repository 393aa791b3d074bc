/** Snapshots, and machines that leave their platform, for {@link RandomWorld}. */
import { execute } from '../../src/operations/index.ts'
import type { OperationId } from '../../src/operations/table.ts'
import type { RandomWorld } from './random-world.ts'

const call = (world: RandomWorld, id: OperationId, input: object): unknown =>
  world.run(execute(world.context, id, { platform: world.here, ...input } as never))

const snapshotOf = (world: RandomWorld, n: number): string => {
  const entries = world.context.snapshots.entries()
  return entries[n % entries.length]?.[0] ?? 'none'
}

/** For each function that the machine has, one of the other platform. */
function functionsFor(world: RandomWorld, vm: string, n: number): object {
  const { functionsThere } = world
  const devices = world.platform.hypervisor.vms().find(({ name }) => name === vm)?.devices ?? []
  if (devices.length === 0 || functionsThere.length === 0) return {}
  return {
    functions: Object.fromEntries(
      devices.map(({ address }, i) => [address, functionsThere[(n + i) % functionsThere.length]!]),
    ),
  }
}

const macOf = (n: number): string => `02:00:00:00:01:${(n % 16).toString(16).padStart(2, '0')}`

/** Mostly one that nothing keeps. */
function migrate(world: RandomWorld, a: number, b: number, c: number, options: object): unknown {
  const free = world.platform.hypervisor.vms().filter(({ devices }) => devices.length === 0)
  const vm = (b % 3 > 0 && free[a % free.length]?.name) || world.vm(a)
  const { functionsThere } = world
  return call(world, 'migrateVm', {
    vm,
    to: world.there,
    downtimeLimitNs: 100_000 * (1 + (b % 20)),
    maxRounds: 1 + (c % 4),
    tracking: c % 3 === 0 ? 'pml' : 'accessedDirty',
    ...(b % 4 > 0 && functionsFor(world, vm, c)),
    ...(c % 7 === 0 && functionsThere.length > 0 && { primary: functionsThere[b % functionsThere.length]! }),
    ...(b % 2 === 0 && {
      load: { address: '0x100000', pages: 1 + (c % 200), pagesPerSecond: 1000 * (b % 300) },
    }),
    ...options,
  })
}

export const TRANSFER_COMMANDS = {
  takeSnapshot: (world: RandomWorld, a: number, b: number) =>
    call(world, 'takeSnapshot', { vm: world.vm(a), name: `s${b % 3}` }),
  deleteSnapshot: (world: RandomWorld, a: number) =>
    call(world, 'deleteSnapshot', { snapshot: snapshotOf(world, a) }),
  rewindToSnapshot: (world: RandomWorld, a: number, b: number) => {
    const snapshot = snapshotOf(world, a)
    const vm = world.context.snapshots.find(snapshot)?.document.machine.name ?? world.vm(a)
    return call(world, 'rewindVm', { vm, snapshot, paused: b % 4 === 0 })
  },
  placeSnapshot: (world: RandomWorld, a: number, b: number) =>
    call(world, 'placeSnapshot', {
      snapshot: snapshotOf(world, a),
      name: world.newName(b),
      paused: b % 5 === 0,
    }),
  cloneSnapshot: (world: RandomWorld, a: number, b: number) => {
    const snapshot = snapshotOf(world, a)
    return call(world, 'cloneVm', { vm: world.vm(a), snapshot, name: world.newName(b) })
  },
  /** A device that stands in for a function with the same address; or that function. */
  addTeam: (world: RandomWorld, a: number, b: number, c: number) => {
    const team = { vm: world.vm(a), mac: macOf(a) }
    const standby = { ...team, model: 'paravirtual', switch: `vs${b % 2}`, standby: true }
    if (c % 2 === 0) return call(world, 'addNetworkDevice', standby)
    const vf = world.fn(b, kind => kind === 'VF')
    return call(world, 'addNetworkDevice', { ...team, model: 'sriov', function: vf })
  },
  migrateVm: (world: RandomWorld, a: number, b: number, c: number) =>
    migrate(world, a, b, c, {
      ifNotConverging: b % 3 === 0 ? 'cancel' : 'stopAndCopy',
      autoConverge: c % 5 === 0,
    }),
  postCopy: (world: RandomWorld, a: number, b: number, c: number) =>
    migrate(world, a, b, c, { postCopyAfter: c % 2, bandwidthMbps: 1000 }),
  protectVm: (world: RandomWorld, a: number, b: number) => {
    const vm = world.vm(a)
    return call(world, 'protectVm', { vm, to: world.there, ...functionsFor(world, vm, b) })
  },
  failOver: (world: RandomWorld, a: number, b: number) =>
    call(world, 'failOver', { fence: a % 4 > 0, detectMs: b % 50 }),
}

export const TRANSFER_WEIGHTS: Readonly<Record<keyof typeof TRANSFER_COMMANDS, number>> = {
  takeSnapshot: 3,
  deleteSnapshot: 1,
  rewindToSnapshot: 3,
  placeSnapshot: 2,
  cloneSnapshot: 1,
  addTeam: 3,
  migrateVm: 10,
  postCopy: 4,
  protectVm: 4,
  failOver: 2,
}
