/**
 * Doing what a policy decides, all or nothing. Everything that can be known is checked before the first step, against
 * the platforms as they are at that moment. What only the doing shows (a table that is full, a kernel that stops) puts
 * every platform that takes part back to its state before, time and trace included.
 * The REST face runs one command at a time on each platform that takes part, so nothing comes between check and step.
 */
import { Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../../core/index.ts'
import { type Software, within } from '../../engine/index.ts'
import { SLOTS } from '../../hypervisor/formats/virtual-board.ts'
import { type FleetPlan, inventoryOf, planFleet, readPolicy } from '../../policy/index.ts'
import { type SimulatedPlatform, undoneOnFailure } from '../../system/index.ts'
import { operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, Words } from '../schemas.ts'
import { checkRoom } from '../usage.ts'
import { PlacedView, Platforms, PolicyInput, placedView, planView, Requests, Tenants } from './schemas.ts'
import { tellPlaced } from './tell.ts'

const PAGES_PER_MIB = 256

export const applyPolicy = operation({
  summary: 'Gives machines the functions that a policy chooses, all of them or, if anything is refused, none',
  rest: { method: 'POST', path: '/v1/policies/applications' },
  words: 'policies apply',
  input: Fields({
    platforms: Platforms,
    policy: PolicyInput,
    requests: Requests,
    order: Type.Optional(Words('pack', 'spread')),
    tenants: Tenants,
    create: Type.Optional(
      Fields(
        { vcpus: Count(64, 1), memoryMiB: Count(2 ** 30, 2) },
        { description: 'Machines that are not there are created like this; without, they must be there' },
      ),
    ),
  }),
  output: Fields({ system: Type.String(), placed: Type.Array(PlacedView) }),
  errors: [
    'notFound',
    'poweredOff',
    'invalidArgument',
    'invalidDocument',
    'malformedInput',
    'policyRefused',
    'outOfMemory',
    'outOfResources',
    'limitExceeded',
    'functionInUse',
    'functionNotAssignable',
    'groupNotViable',
  ],
  *run(context, { platforms, policy: { system, files }, requests, order = 'pack', tenants = {}, create }) {
    const running = new Map(platforms.map(id => [id, poweredPlatform(context, id)]))
    const hosts = [...running].map(([id, platform]) =>
      inventoryOf(platform.host, id, { tenants: new Map(Object.entries(tenants)) }),
    )
    const plan = planFleet(hosts, readPolicy(system, files), atHome(requests, running), { hosts: order })
    checkPlan(system, plan)
    checkMachines(plan, running, create)
    checkRoom(context, 'vms', newMachines(plan, running))
    yield* carryOut(running, plan, create)
    return { system, placed: plan.placed.map(placedView) }
  },
  tell: ({ placed }) =>
    [...tellPlaced(placed), `${placed.length} machines have what they asked for.`].join('\n'),
})

type Running = ReadonlyMap<string, SimulatedPlatform>
type Creation = { readonly vcpus: number; readonly memoryMiB: number } | undefined

const machineOn = ({ hypervisor }: SimulatedPlatform, vm: string) =>
  hypervisor.has(vm) ? hypervisor.vm(vm) : undefined

/** A machine that runs can only get what is where it runs. */
function atHome<Request extends { readonly vm: string; readonly host?: string }>(
  requests: readonly Request[],
  running: Running,
): Request[] {
  const names = new Set<string>()
  return requests.map(request => {
    if (names.has(request.vm))
      throw new NorthbridgeError('invalidArgument', `/requests: machine "${request.vm}" is named twice`)
    names.add(request.vm)
    const homes = [...running].filter(([, platform]) => machineOn(platform, request.vm) !== undefined)
    const [home, ...more] = homes
    if (home === undefined || request.host !== undefined) return request
    if (more.length > 0)
      throw new NorthbridgeError(
        'invalidArgument',
        `/requests: machine "${request.vm}" runs on ${homes.map(([id]) => id).join(' and ')}: host must say which is meant`,
      )
    return { ...request, host: home[0] }
  })
}

function checkPlan(system: string, plan: FleetPlan): void {
  const details = { plan: planView(system, plan) }
  const [refused] = plan.refused
  if (refused !== undefined) {
    const reasons = refused.hosts.map(({ host, refusal }) => `${host}: ${refusal.text}`).join('; ')
    throw new NorthbridgeError(
      'policyRefused',
      `${refused.vm} is refused: ${reasons || 'no such host is among the platforms'}`,
      details,
    )
  }
  for (const { vm, kernelRefuses } of plan.placed) {
    const [refusal] = kernelRefuses
    if (refusal !== undefined)
      throw new NorthbridgeError(
        'policyRefused',
        `${vm}: ${system} grants what the kernel refuses: ${refusal.text}`,
        details,
      )
  }
}

/** Machines must be there or be creatable, with a slot for each function. */
function checkMachines({ placed }: FleetPlan, running: Running, create: Creation): void {
  const pages = new Map<string, number>()
  for (const { vm, host, steps } of placed) {
    const machine = machineOn(running.get(host)!, vm)
    if ((machine?.devices.length ?? 0) + steps.length > SLOTS - 1)
      throw new NorthbridgeError(
        'outOfResources',
        `${vm} has ${SLOTS - 1} slots, which is too few for its devices`,
      )
    if (machine !== undefined) continue
    if (create === undefined)
      throw new NorthbridgeError(
        'notFound',
        `There is no virtual machine "${vm}" on ${host}, and create is not given`,
      )
    pages.set(host, (pages.get(host) ?? 0) + create.memoryMiB * PAGES_PER_MIB)
  }
  for (const [host, wanted] of pages) {
    const free = running.get(host)!.host.memory.freePages
    if (wanted > free)
      throw new NorthbridgeError(
        'outOfMemory',
        `${host} has ${free} free pages, the new machines need ${wanted}`,
      )
  }
}

const newMachines = ({ placed }: FleetPlan, running: Running): number =>
  placed.filter(({ vm, host }) => machineOn(running.get(host)!, vm) === undefined).length

/** On every platform that the plan touches, all of it or none. */
function* carryOut(running: Running, plan: FleetPlan, create: Creation): Software {
  const touched = new Set(plan.placed.map(({ host }) => running.get(host)!))
  yield* undoneOnFailure([...touched], steps(running, plan, create))
}

function* steps(running: Running, { placed }: FleetPlan, create: Creation): Software {
  for (const { vm, host, steps } of placed) {
    const platform = running.get(host)!
    const { engine, hypervisor } = platform
    if (machineOn(platform, vm) === undefined && create !== undefined)
      yield* within(engine, hypervisor.createVm({ name: vm, ...create }))
    for (const { attach } of steps) yield* within(engine, hypervisor.attach(vm, attach))
  }
}
