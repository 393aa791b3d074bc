/** Taking the image of a virtual machine, or saying what keeps it on its host. */
import { assert } from '../../core/index.ts'
import type { VirtualFunction } from '../virtual-function.ts'
import type { Machine } from '../virtual-machine.ts'
import { imageOfFunction } from './function-image.ts'
import { type MachineImage, notMigratable, type Obstacle } from './machine-image.ts'

/** Throws `notMigratable`. */
export function imageOf(machine: Machine): MachineImage {
  const obstacles = obstaclesOf(machine)
  if (obstacles.length > 0) throw notMigratable(machine.name, obstacles)
  const { name, memoryMiB, interrupts, nested, vmcsShadowing, program } = machine
  const functions = machine.assigned.map(device => imageOfFunction(device, stateOf(device)))
  return {
    version: 1,
    ...{ name, memoryMiB, interrupts, nested, vmcsShadowing, program },
    backing: machine.space.kind,
    hugePages: machine.space.hugePages,
    memorySettings: machine.space.paged === undefined ? null : { ...machine.space.paged.settings },
    clock: machine.now,
    bus: machine.bus.save(),
    claims: machine.windows.save().filter(([base]) => !functions.some(({ placed }) => placed.includes(base))),
    functions,
    emulated: machine.emulated.map(device => device.save()),
    vcpus: machine.vcpus.map(vcpu => vcpu.image()),
  }
}

/** A device that still works is looked at: what it does next is not in it. */
function stateOf({ migration }: VirtualFunction): Uint32Array {
  assert(migration !== undefined, 'only functions whose state can be read are imaged')
  const works = migration.state === 'RUNNING'
  if (works) migration.set('PRE_COPY')
  const state = migration.readState()
  if (works) migration.set('RUNNING')
  return state
}

/** What keeps it on its host. */
export function obstaclesOf({ assigned, vcpus, unit }: Machine): Obstacle[] {
  const held = assigned.filter(({ migration }) => migration?.answers !== true)
  const functions = held.map(({ assigned: { function: fn } }) => ({
    what: fn.address,
    reason: 'an assigned function holds state that only it knows, and reaches the pages where they are',
  }))
  const nesting = vcpus
    .filter(({ nests }) => nests)
    .map(({ number }) => ({
      what: `virtual processor ${number}`,
      reason: 'its guest is in VMX operation: the guest below it runs in tables of this host',
    }))
  const units =
    unit === undefined
      ? []
      : [{ what: 'its remapping unit', reason: 'what its guest maps is in tables of this host' }]
  return [...functions, ...nesting, ...units]
}
