/** Commands about memory, shares and consolidation for {@link RandomWorld}. */
import { execute } from '../../src/operations/index.ts'
import type { OperationId } from '../../src/operations/table.ts'
import type { RandomWorld } from './random-world.ts'

const P = { platform: 'p' } as const
const CONTENTS = ['own', 'common', 'read'] as const

const call = (world: RandomWorld, id: OperationId, input: object): unknown =>
  world.run(execute(world.context, id, { ...P, ...input } as never))

export const MEMORY_COMMANDS = {
  createPaged: (world: RandomWorld, a: number, b: number, c: number) =>
    call(world, 'createVm', {
      name: `vm${a % 4}`,
      vcpus: 1,
      memoryMiB: 4 + (b % 5),
      backing: 'paged',
      hugePages: c % 2 === 0 ? 'none' : '2MiB',
    }),
  useMemory: (world: RandomWorld, a: number, b: number, c: number) =>
    call(world, 'useMemory', {
      vm: world.vm(a),
      firstMiB: 2 + (b % 3),
      mebibytes: 1 + (c % 2),
      contents: CONTENTS[(b + c) % 3]!,
    }),
  balloon: (world: RandomWorld, a: number, b: number) =>
    call(world, 'setBalloon', { vm: world.vm(a), mebibytes: b % 6 }),
  share: (world: RandomWorld, a: number, b: number) => {
    call(world, 'setSharing', { scope: (['none', 'vm', 'host'] as const)[a % 3]! })
    return call(world, 'sharePages', { large: b % 2 === 0 })
  },
  swapOut: (world: RandomWorld, a: number, b: number) =>
    call(world, 'swapOut', { vm: world.vm(a), mebibytes: 1 + (b % 4) }),
  balance: (world: RandomWorld) => call(world, 'balanceMemory', {}),
  setVmMemory: (world: RandomWorld, a: number, b: number, c: number) =>
    call(world, 'setVmMemory', { vm: world.vm(a), shares: 1 + b, limitMiB: 3 + (c % 3) }),
}

export const MEMORY_WEIGHTS: Readonly<Record<keyof typeof MEMORY_COMMANDS, number>> = {
  createPaged: 4,
  useMemory: 5,
  balloon: 2,
  share: 2,
  swapOut: 2,
  balance: 1,
  setVmMemory: 1,
}
