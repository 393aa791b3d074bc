/** A saved platform with disks of every model goes on in another platform exactly as it would have in its own. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToHex, digest, NorthbridgeError, type Saved } from '../../src/core/index.ts'
import { DISK_MODELS } from '../../src/system/index.ts'
import { DiskWorld, OTHER, PF, sector } from './disk-world.ts'

const VMS = ['a', 'b', 'c', 'd', 'e'] as const
/** What a disk may stand on: memory, either controller, virtual functions of both. */
const GROUNDS = [undefined, PF, OTHER, '0000:01:00.1', '0000:01:00.2', '0000:02:00.1'] as const

type Step = (world: DiskWorld) => unknown

const vm = fc.constantFrom(...VMS)
const pf = fc.constantFrom(PF, OTHER)
const steps: fc.Arbitrary<readonly [string, Step]> = fc.oneof(
  fc
    .tuple(vm, fc.constantFrom(...DISK_MODELS), fc.constantFrom(...GROUNDS))
    .map(([name, model, ground]): [string, Step] => [
      `open ${name} ${model} ${ground}`,
      (world: DiskWorld) => world.open(model, ground, name),
    ]),
  ...Array.from({ length: 3 }, () =>
    fc
      .tuple(vm, fc.nat(40), fc.nat(255), fc.integer({ min: 1, max: 17 }))
      .map(([name, at, seed, count]): [string, Step] => [
        `write ${name} ${at}+${count}`,
        world => world.write(at, sector(seed, count), name),
      ]),
  ),
  ...Array.from({ length: 3 }, () =>
    fc
      .tuple(vm, fc.nat(40), fc.integer({ min: 1, max: 17 }))
      .map(([name, at, count]): [string, Step] => [
        `read ${name} ${at}+${count}`,
        world => world.read(at, count, name),
      ]),
  ),
  vm.map((name): [string, Step] => [`close ${name}`, world => world.close(name)]),
  vm.map((name): [string, Step] => [
    `new ${name}`,
    world => {
      world.run(world.platform.hypervisor.deleteVm(name))
      world.createVm(name)
    },
  ]),
  pf.map((address): [string, Step] => [
    `reset ${address}`,
    world => world.run(world.platform.host.reset(address)),
  ]),
  pf.map((address): [string, Step] => [
    `unbind ${address}`,
    world => world.run(world.platform.host.bind(address, null)),
  ]),
  pf.map((address): [string, Step] => [
    `bind ${address}`,
    world => world.run(world.platform.host.bind(address, 'nvme')),
  ]),
  fc
    .tuple(pf, fc.constantFrom(64, 2 ** 23), fc.boolean())
    .map(([address, blocks, shared]): [string, Step] => [
      `create namespace of ${address}`,
      ({ run, platform }) =>
        run(platform.disks.namespaces.create({ function: address, blocks, blockSize: 512, shared })),
    ]),
  fc
    .tuple(pf, fc.integer({ min: 1, max: 4 }))
    .map(([address, id]): [string, Step] => [
      `delete namespace ${id} of ${address}`,
      ({ run, platform }) => run(platform.disks.namespaces.delete(address, id)),
    ]),
  fc
    .tuple(pf, fc.integer({ min: 1, max: 3 }), fc.constantFrom(PF, OTHER, '0000:01:00.1'), fc.boolean())
    .map(([address, id, to, attached]): [string, Step] => [
      `${attached ? 'attach' : 'detach'} namespace ${id} of ${address} and ${to}`,
      ({ run, platform }) => run(platform.disks.namespaces.setAttached(address, id, to, attached)),
    ]),
  fc
    .tuple(pf, fc.nat(3))
    .map(([address, count]): [string, Step] => [
      `${count} functions of ${address}`,
      world => world.run(world.platform.host.setNumVfs(address, count)),
    ]),
)

/** What can be seen of a step: its result, or the refusal. */
function outcome(world: DiskWorld, step: Step): unknown {
  try {
    return JSON.stringify(step(world), (_, part) => (part instanceof Uint8Array ? bytesToHex(part) : part))
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    return `${error.code}: ${error.message}`
  }
}

function follow(world: DiskWorld, future: readonly (readonly [string, Step])[]) {
  const seen: unknown[] = []
  const stop = world.platform.engine.trace.follow(event => seen.push(event))
  const outcomes = future.map(([, step]) => outcome(world, step))
  stop()
  return {
    outcomes,
    trace: digest(JSON.parse(JSON.stringify(seen)) as Saved),
    hash: world.platform.stateHash(),
  }
}

/** One virtual machine for each model, at work. */
function everyModel(): DiskWorld {
  const world = DiskWorld.create(...VMS)
  world.run(world.platform.host.setNumVfs(OTHER, 0))
  for (const [i, model] of DISK_MODELS.entries()) {
    world.open(model, [PF, undefined, PF, '0000:01:00.1', OTHER][i], VMS[i])
    expect(world.write(i, sector(i, 9), VMS[i]).ok).toBe(true)
  }
  return world
}

describe('a saved platform with disks', () => {
  it('goes on in another platform as it would have in its own', () => {
    const world = everyModel()
    const begin = world.platform.save()
    fc.assert(
      fc.property(
        fc.array(steps, { minLength: 4, maxLength: 20, size: 'max' }),
        fc.array(steps, { minLength: 2, maxLength: 10, size: 'max' }),
        (past, future) => {
          world.platform.load(begin)
          for (const [, step] of past) outcome(world, step)
          const saved = world.platform.save()
          const hash = world.platform.stateHash()
          const unstopped = follow(world, future)

          const fork = DiskWorld.restore(saved)
          expect(fork.platform.stateHash()).toBe(hash)
          expect(follow(fork, future)).toEqual(unstopped)

          world.platform.load(saved)
          expect(world.platform.stateHash()).toBe(hash)
          expect(follow(world, future)).toEqual(unstopped)
        },
      ),
      { numRuns: Number(process.env['RUNS'] ?? 8), seed: Number(process.env['SEED'] ?? 1) },
    )
  })
})
