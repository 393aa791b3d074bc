/** Virtual machines that stand still, go back, and become two, under random commands. */
import type { within } from '../../src/engine/index.ts'
import { captureVm, cloneVm, placeVm, undoneOnFailure } from '../../src/system/index.ts'
import type { RandomWorld } from './random-world.ts'

/** Refused half-way, a command has not happened. */
const whole = (world: RandomWorld, work: Parameters<typeof within<void>>[1]) =>
  world.run(undoneOnFailure([world.platform], work))

export const MOVE_COMMANDS = {
  pauseVm: (world: RandomWorld, a: number) => world.platform.hypervisor.moves.pause(world.vm(a)),
  resumeVm: (world: RandomWorld, a: number) => world.run(world.platform.hypervisor.moves.resume(world.vm(a))),
  /** As it was before something was written. */
  rewindVm: (world: RandomWorld, a: number, b: number) => {
    const { platform } = world
    const vm = world.vm(a)
    return whole(
      world,
      (function* () {
        const document = yield* captureVm(platform, vm)
        platform.hypervisor.writeGuest(vm, (b % 0x300) * 0x1000, new Uint8Array(16).fill(b))
        yield* platform.hypervisor.deleteVm(vm)
        yield* placeVm(platform, document)
        if (b % 3 > 0) yield* platform.hypervisor.moves.resume(vm)
      })(),
    )
  },
  cloneVm: (world: RandomWorld, a: number, b: number) => {
    const { platform } = world
    const vm = world.vm(a)
    return whole(
      world,
      (function* () {
        yield* cloneVm(platform, yield* captureVm(platform, vm), { name: `vm${b % 4}` })
      })(),
    )
  },
}

export const MOVE_WEIGHTS: Readonly<Record<keyof typeof MOVE_COMMANDS, number>> = {
  pauseVm: 2,
  resumeVm: 4,
  rewindVm: 3,
  cloneVm: 2,
}
