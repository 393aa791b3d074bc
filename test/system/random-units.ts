/** Guests with a remapping unit of their own, for {@link RandomWorld}: their drivers map, unmap, and forget to tell. */
import { hex } from '../../src/core/index.ts'
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

const addressOf = (n: number): string => hex(0x4000_0000 + (n % 24) * 0x1000)

export const UNIT_COMMANDS = {
  /** With a function behind it that is to be had, its driver started; each may be refused. */
  createWithUnit: (world: RandomWorld, a: number, b: number, c: number) => {
    const name = world.newName(a)
    const viommu = b % 3 === 0 ? 'nested' : 'shadow'
    const made = call(world, 'createVm', { name, vcpus: 1 + (b % 2), memoryMiB: 3 + (c % 3), viommu })
    const free = world.platform.host
      .functions()
      .filter(({ kind, owner }) => (kind === 'VF' || kind === 'endpoint') && owner.kind !== 'vm')
    call(world, 'attach', { vm: name, function: free[c % free.length]?.address ?? world.endpoint(c) })
    if (c % 4 > 0) call(world, 'setViommu', { vm: name, enabled: true })
    return made
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
  createWithUnit: 4,
  putBehindUnit: 5,
  setViommu: 4,
  mapViommu: 6,
  unmapViommu: 3,
  dmaBehindUnit: 4,
  viommu: 1,
}
