/** A platform with two adapters and virtual machines that have network devices. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesToHex, digest, NorthbridgeError, type Saved } from '../../../src/core/index.ts'
import { drive, type Software, within } from '../../../src/engine/index.ts'
import { GuestKernel, isNetworkDriver, type NetworkDriver } from '../../../src/guest/index.ts'
import {
  execute,
  type InputOf,
  installation,
  type OperationId,
  type OutputOf,
} from '../../../src/operations/index.ts'
import { parseTopology, type Topology } from '../../../src/platform/index.ts'
import { SimulatedPlatform } from '../../../src/system/index.ts'

export const PORTS = ['0000:01:00.0', '0000:01:00.1'] as const
export const [PF, OTHER] = PORTS

export const CHIPS = ['82576', '82599'] as const
export type Chip = (typeof CHIPS)[number]

/** The same server with two ports of either chip. */
export function serverWith(chip: Chip): Topology {
  const text = readFileSync(join(import.meta.dirname, '../../../topologies/one-socket-82576.json'), 'utf8')
  return parseTopology(JSON.parse(text.replaceAll('82576', chip)))
}

type Given<Id extends OperationId> = Omit<InputOf<Id>, 'platform'>

export class NetworkWorld {
  readonly platform: SimulatedPlatform
  readonly #context = installation()

  private constructor(platform: SimulatedPlatform) {
    this.platform = platform
    this.#context.platforms.reserve('p')
    this.#context.platforms.set('p', { id: 'p', running: platform })
  }

  static create(topology = serverWith('82576')): NetworkWorld {
    return new NetworkWorld(drive(SimulatedPlatform.create(topology, { id: 'p', name: 'p' }), () => false))
  }

  static restore(saved: Saved, topology = serverWith('82576')): NetworkWorld {
    const made = SimulatedPlatform.restore(topology, { id: 'p', name: 'p' }, saved)
    return new NetworkWorld(drive(made, () => false))
  }

  run<Result>(software: Software<Result>): Result {
    return drive(within(this.platform.engine, software), () => false)
  }

  /** An operation on the platform. */
  do<Id extends OperationId>(id: Id, input: Given<Id>): OutputOf<Id> {
    return drive(execute(this.#context, id, { platform: 'p', ...input } as InputOf<Id>), () => false)
  }

  /** A guest sends a frame by its driver. */
  send(vm: string, slot: number, data: Uint8Array): void {
    this.run(
      this.platform.hypervisor.runGuest(vm, 0, function* (kernel) {
        yield* driverOf(kernel, slot).send(data)
      }),
    )
  }

  /** What a guest has received since it was asked last, as hexadecimal digits. */
  received(vm: string, slot: number): Set<string> {
    const frames = this.platform.hypervisor.lookAtGuest(vm, 0, kernel => driverOf(kernel, slot).takeFrames())
    return new Set(frames.map(bytesToHex))
  }

  createVm(name: string): void {
    this.do('createVm', { name, vcpus: 1, memoryMiB: 16 })
  }
}

function driverOf(kernel: unknown, slot: number): NetworkDriver {
  const driver = kernel instanceof GuestKernel ? kernel.driver(slot) : undefined
  if (!isNetworkDriver(driver)) throw new Error(`there is no network driver in slot ${slot}`)
  return driver
}

export type Step = readonly [name: string, (world: NetworkWorld) => unknown]

/** What can be seen of a step: its result, or the refusal. */
export function outcome(world: NetworkWorld, [, step]: Step): unknown {
  try {
    return JSON.stringify(step(world))
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    return `${error.code}: ${error.message}`
  }
}

/** All that can be seen of steps, and the state that they lead to. */
export function follow(world: NetworkWorld, future: readonly Step[]) {
  const seen: unknown[] = []
  const stop = world.platform.engine.trace.follow(event => seen.push(event))
  const outcomes = future.map(step => outcome(world, step))
  stop()
  return {
    outcomes,
    trace: digest(JSON.parse(JSON.stringify(seen)) as Saved),
    hash: world.platform.stateHash(),
  }
}
