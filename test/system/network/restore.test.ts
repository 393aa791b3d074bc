/** A saved platform with network devices of every model goes on in another platform exactly as it would have in its own. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Topology } from '../../../src/platform/index.ts'
import { AGGREGATIONS } from '../../../src/system/index.ts'
import {
  CHIPS,
  follow,
  NetworkWorld,
  OTHER,
  outcome,
  PF,
  PORTS,
  type Step,
  serverWith,
} from './network-world.ts'

const VMS = ['emulated', 'paravirtual', 'vmdq', 'sriov', 'direct'] as const
type Model = (typeof VMS)[number]

const macOf = (model: Model): string => `02:00:00:00:00:0${VMS.indexOf(model) + 1}`
const MACS = [...VMS.map(macOf), '02:00:00:00:00:77', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01']

function addDevice(world: NetworkWorld, model: Model, vm: string = model) {
  const mac = macOf(vm as Model)
  if (model === 'emulated' || model === 'paravirtual') {
    return world.do('addNetworkDevice', { vm, model, mac, switch: 'vs0' })
  }
  const fn = { vmdq: PF, sriov: '0000:01:10.0', direct: OTHER }[model]
  return world.do('addNetworkDevice', { vm, model, mac, function: fn })
}

/** One virtual machine for each model, at work behind one switch and two adapters. */
function everyModel(topology: Topology): NetworkWorld {
  const world = NetworkWorld.create(topology)
  world.do('setNumVfs', { function: PF, numVfs: 2 })
  world.do('createSwitch', { name: 'vs0', uplinks: [PF] })
  for (const model of VMS) {
    world.createVm(model)
    addDevice(world, model)
    world.do('traceFrame', { function: model === 'direct' ? OTHER : PF, to: macOf(model) })
    world.do('traceFrame', { vm: model, to: '02:00:00:00:00:77' })
  }
  return world
}

const vm = fc.constantFrom(...VMS)
const port = fc.constantFrom(...PORTS)
const length = fc.constantFrom(60, 333, 1514)
const vlan = fc.constantFrom(undefined, undefined, 5)
const inVlan = (tag: number | undefined) => (tag === undefined ? {} : { vlan: tag })

const frames: readonly fc.Arbitrary<Step>[] = [
  fc
    .constantFrom(...MACS)
    .map(
      (to): Step => [
        `from the switch outside to ${to}`,
        world => world.do('traceFrame', { outside: 'rack', to }),
      ],
    ),
  fc
    .tuple(port, fc.constantFrom(...MACS), length, vlan)
    .map(
      ([fn, to, bytes, tag]): Step => [
        `${bytes} bytes from the wire of ${fn} to ${to}`,
        world => world.do('traceFrame', { function: fn, to, length: bytes, ...inVlan(tag) }),
      ],
    ),
  fc
    .tuple(vm, fc.constantFrom(...MACS), length, vlan)
    .map(
      ([name, to, bytes, tag]): Step => [
        `${bytes} bytes from ${name} to ${to}`,
        world => world.do('traceFrame', { vm: name, to, length: bytes, ...inVlan(tag) }),
      ],
    ),
]

const changes: readonly fc.Arbitrary<Step>[] = [
  fc
    .tuple(port, fc.constantFrom('pulled', 'plugged'))
    .map(([fn, cable]): Step => [`${fn} ${cable}`, world => world.do('setCable', { function: fn, cable })]),
  fc
    .tuple(fc.nat(1), fc.boolean(), fc.constantFrom(0, 5))
    .map(
      ([vf, spoofCheck, tag]): Step => [
        `VF ${vf} spoof check ${spoofCheck} VLAN ${tag}`,
        world => world.do('setVf', { function: PF, vf, spoofCheck, vlan: tag }),
      ],
    ),
  vm.map(
    (name): Step => [
      `${name} loses its device`,
      world => world.do('removeNetworkDevice', { vm: name, slot: 1 }),
    ],
  ),
  fc
    .tuple(vm, fc.constantFrom(...VMS))
    .map(([name, model]): Step => [`${name} gets ${model}`, world => addDevice(world, model, name)]),
  fc.tuple(vm, vm).map(
    ([from, to]): Step => [
      `${to} listens to ${from}`,
      world => {
        const { ports } = world.platform.networking.switch('vs0').network
        const portOf = (name: string): string =>
          ports.find(({ options }) => options.name.startsWith(name))?.options.name ?? 'none'
        const mirror = { ports: [portOf(from)], port: portOf(to) }
        return world.do('mirrorPort', { switch: 'vs0', direction: 'both', ...mirror })
      },
    ],
  ),
  vm.map(
    (name): Step => [
      `${name} anew`,
      world => {
        world.do('deleteVm', { vm: name })
        world.createVm(name)
      },
    ],
  ),
  port.map((fn): Step => [`reset ${fn}`, world => world.run(world.platform.host.reset(fn))]),
  port.map((fn): Step => [`unbind ${fn}`, world => world.run(world.platform.host.bind(fn, null))]),
  fc
    .tuple(port, fc.constantFrom('igb', 'ixgbe'))
    .map(
      ([fn, driver]): Step => [
        `bind ${fn} to ${driver}`,
        world => world.run(world.platform.host.bind(fn, driver)),
      ],
    ),
  fc
    .tuple(port, fc.nat(7))
    .map(
      ([fn, count]): Step => [
        `${count} virtual functions of ${fn}`,
        world => world.run(world.platform.host.setNumVfs(fn, count)),
      ],
    ),
  fc
    .constantFrom('balance' as const, 'lacp' as const)
    .map(
      (mode): Step => [
        `a team, ${mode}`,
        world => world.do('createSwitch', { name: 'vs1', uplinks: [OTHER, PF], mode }),
      ],
    ),
  fc.constant<Step>(['no team', world => world.do('deleteSwitch', { switch: 'vs1' })]),
  fc
    .constantFrom(...AGGREGATIONS)
    .map(
      (aggregation): Step => [
        `a switch outside, ${aggregation}`,
        world => world.do('createOutsideSwitch', { name: 'rack', functions: [...PORTS], aggregation }),
      ],
    ),
  fc.constant<Step>(['no switch outside', world => world.do('deleteOutsideSwitch', { switch: 'rack' })]),
  fc
    .tuple(port, fc.constantFrom('timed' as const, 'instant' as const))
    .map(([fn, line]): Step => [`${fn} ${line}`, world => world.do('setLine', { function: fn, line })]),
  fc.constant<Step>(['a second', world => world.run(world.platform.elapse(1e9))]),
]

const step = fc.oneof(...frames, ...frames, ...frames, ...changes)

describe.each(CHIPS)('a saved platform with network devices over an Intel %s', chip => {
  it('goes on in another platform as it would have in its own', () => {
    const topology = serverWith(chip)
    const world = everyModel(topology)
    const begin = world.platform.save()
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 4, maxLength: 20, size: 'max' }),
        fc.array(step, { minLength: 2, maxLength: 10, size: 'max' }),
        (past, future) => {
          world.platform.load(begin)
          for (const one of past) outcome(world, one)
          const saved = world.platform.save()
          const hash = world.platform.stateHash()
          const unstopped = follow(world, future)

          const fork = NetworkWorld.restore(saved, topology)
          expect(fork.platform.stateHash()).toBe(hash)
          expect(follow(fork, future)).toEqual(unstopped)

          world.platform.load(saved)
          expect(world.platform.stateHash()).toBe(hash)
          expect(follow(world, future)).toEqual(unstopped)
        },
      ),
      { numRuns: Number(process.env['RUNS'] ?? 4), seed: Number(process.env['SEED'] ?? 1) },
    )
  })
})
