/** Guests with a remapping unit of their own, for {@link RandomWorld}: their drivers map, unmap, and forget to tell. */
import { hex, NorthbridgeError } from '../../src/core/index.ts'
import { execute } from '../../src/operations/index.ts'
import type { OperationId } from '../../src/operations/table.ts'
import type { RandomWorld } from './random-world.ts'

const call = (world: RandomWorld, id: OperationId, input: object): unknown =>
  world.run(execute(world.context, id, { platform: world.here, ...input } as never))

/** A function behind the unit of a machine, best one that is in use; else any of any. */
function behindUnit(world: RandomWorld, n: number): { vm: string; function: string } {
  const found = world.platform.hypervisor
    .vms()
    .flatMap(({ name, viommu, devices }) =>
      viommu ? devices.map(({ address }) => ({ vm: name, function: address, used: viommu.translates })) : [],
    )
  const used = found.filter(one => one.used)
  const chosen = used[n % used.length] ?? found[n % found.length]
  return chosen === undefined
    ? { vm: world.vm(n), function: world.assigned(n) }
    : { vm: chosen.vm, function: chosen.function }
}

/** The first function, from the `n`th on, that the machine can have. */
function attachAny(world: RandomWorld, vm: string, n: number): string {
  const free = world.platform.host
    .functions()
    .filter(({ kind, owner }) => (kind === 'VF' || kind === 'endpoint') && owner.kind !== 'vm')
  for (const i of free.keys()) {
    const { address } = free[(n + i) % free.length]!
    try {
      call(world, 'attach', { vm, function: address })
      return address
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
    }
  }
  return 'none'
}

const addressOf = (n: number): string => hex(0x4000_0000 + (n % 24) * 0x1000)

export const UNIT_COMMANDS = {
  /** In the place of one of that name, with a function behind it, its driver started and something mapped. */
  createWithUnit: (world: RandomWorld, a: number, b: number, c: number) => {
    const { hypervisor } = world.platform
    const vm = world.newName(a)
    if (hypervisor.vms().some(({ name }) => name === vm)) call(world, 'deleteVm', { vm })
    const viommu = b % 3 === 0 ? 'nested' : 'shadow'
    const made = call(world, 'createVm', { name: vm, vcpus: 1 + (b % 2), memoryMiB: 3 + (c % 3), viommu })
    const fn = attachAny(world, vm, c)
    if (c % 4 === 0) return { made, fn }
    call(world, 'setViommu', { vm, enabled: true })
    const address = addressOf(b)
    const guestAddress = hex((0x180 + (c % 0x100)) * 0x1000)
    return {
      made,
      mapped: call(world, 'mapViommu', { vm, function: fn, address, guestAddress, pages: 1 + (c % 40) }),
    }
  },
  putBehindUnit: (world: RandomWorld, a: number, b: number) => {
    const vms = world.platform.hypervisor.vms().filter(({ viommu }) => viommu)
    const vm = vms[a % vms.length]?.name ?? world.vm(a)
    return call(world, 'attach', { vm, function: world.endpoint(b) })
  },
  setViommu: (world: RandomWorld, a: number, b: number) => {
    const vms = world.platform.hypervisor.vms().filter(({ viommu }) => viommu)
    return call(world, 'setViommu', { vm: vms[a % vms.length]?.name ?? world.vm(a), enabled: b % 5 > 0 })
  },
  mapViommu: (world: RandomWorld, a: number, b: number, c: number) =>
    call(world, 'mapViommu', {
      ...behindUnit(world, a),
      address: addressOf(b),
      guestAddress: hex((0x180 + (c % 0x180)) * 0x1000),
      pages: 1 + (c % 6),
      access: (['readWrite', 'read', 'write'] as const)[c % 3]!,
      told: b % 7 > 0,
    }),
  unmapViommu: (world: RandomWorld, a: number, b: number, c: number) =>
    call(world, 'unmapViommu', {
      ...behindUnit(world, a),
      address: addressOf(b),
      pages: 1 + (c % 6),
      told: c % 5 > 0,
    }),
  dmaBehindUnit: (world: RandomWorld, a: number, b: number, c: number) =>
    call(world, 'dma', {
      function: behindUnit(world, a).function,
      address: hex(0x4000_0000 + (b % 30) * 0x1000),
      ...(c % 2 === 0 ? { direction: 'write', data: 'c0ffee' } : { direction: 'read', length: 8 }),
    }),
  viommu: (world: RandomWorld, a: number) => call(world, 'viommu', { vm: behindUnit(world, a).vm }),
}

export const UNIT_WEIGHTS: Readonly<Record<keyof typeof UNIT_COMMANDS, number>> = {
  createWithUnit: 5,
  putBehindUnit: 5,
  setViommu: 4,
  mapViommu: 6,
  unmapViommu: 3,
  dmaBehindUnit: 4,
  viommu: 1,
}
