/**
 * A machine whose platform has died goes on elsewhere: from its checkpoint, where there is one, or by being made and
 * started again, without what was in its memory.
 */
import type { Software } from '../../engine/index.ts'
import { addNetworkDevice } from '../moves/clone.ts'
import { placeVm } from '../moves/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'
import type { Protection } from './protection.ts'

export interface RecoveryOptions {
  /** Switches of the other host for those of this one; default: those of the same names. */
  readonly switches?: Readonly<Record<string, string>>
  /** Functions of the other host for those of this one. */
  readonly functions?: Readonly<Record<string, string>>
}

export interface Recovery {
  readonly outcome: 'resumed' | 'restarted'
  /** What it had and has no more. */
  readonly missing: readonly string[]
}

/** Throws what the host refuses the machine with; half-made then, see `undoneOnFailure`. */
export function* recover(
  target: SimulatedPlatform,
  protection: Protection,
  options: RecoveryOptions,
): Software<Recovery> {
  const { vm, checkpoint } = protection
  if (checkpoint === undefined) return yield* restart(target, protection, options)
  const { switches } = options
  yield* placeVm(target, checkpoint, switches === undefined ? {} : { switches })
  yield* target.hypervisor.moves.resume(vm)
  target.networking.announce(vm)
  return { outcome: 'resumed', missing: [] }
}

function* restart(
  target: SimulatedPlatform,
  { vm, definition }: Protection,
  { switches = {}, functions = {} }: RecoveryOptions,
): Software<Recovery> {
  const { hypervisor, networking } = target
  yield* hypervisor.createVm(definition.options)
  const missing: string[] = []
  for (const address of definition.functions) {
    const other = functions[address]
    if (other === undefined) missing.push(`${address}: no function of this host was named for it`)
    else yield* hypervisor.attach(vm, other)
  }
  for (const device of definition.network)
    yield* addNetworkDevice(target, vm, {
      ...device,
      switch: switches[device.switch] ?? device.switch,
    })
  if (definition.network.length > 0) networking.announce(vm)
  if (definition.hasDisk) missing.push('its disk, which was in the memory or on a function of its host')
  return { outcome: 'restarted', missing }
}
