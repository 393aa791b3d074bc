/** Platforms between which virtual machines move, and what tests ask of them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { drive, type Software } from '../../../src/engine/index.ts'
import {
  execute,
  type InputOf,
  installation,
  type OperationId,
  type OutputOf,
} from '../../../src/operations/index.ts'
import { parseTopology, type Topology } from '../../../src/platform/index.ts'
import { SimulatedPlatform } from '../../../src/system/index.ts'

export function shipped(name: string, host: object = {}): Topology {
  const path = join(import.meta.dirname, '../../../topologies', `${name}.json`)
  const document = JSON.parse(readFileSync(path, 'utf8'))
  return parseTopology({ ...document, host: { ...document.host, ...host } })
}

export class MovingWorld {
  readonly context = installation()

  /** Adds a platform; its software is up then. */
  add(id: string, topology: Topology = shipped('one-socket-82576')): SimulatedPlatform {
    const running = drive(SimulatedPlatform.create(topology, { id, name: id }), () => false)
    this.context.platforms.set(id, { id, running })
    return running
  }

  platform(id: string): SimulatedPlatform {
    return this.context.platforms.get(id).running
  }

  run<Id extends OperationId>(id: Id, input: InputOf<Id>): OutputOf<Id> {
    return drive(execute(this.context, id, input), () => false)
  }
}

/** Software that needs no time to pass. */
export const done = <Result>(software: Software<Result>): Result => drive(software, () => false)

/** Everything that an administrator sees of a machine's processors, but for which processors of the host they have. */
export const seenOf = ({ hypervisor }: SimulatedPlatform, vm: string) => {
  const { vcpus, devices: _devices, paused: _paused, ...rest } = hypervisor.vm(vm)
  return {
    ...rest,
    vcpus: vcpus.map(({ processor: _processor, notification: _notification, ...vcpu }) => vcpu),
  }
}
