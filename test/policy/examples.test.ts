import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { createNorthbridge } from '../../src/index.ts'
import type { PolicySystem } from '../../src/policy/index.ts'

const read = (name: string) => readFileSync(`examples/policies/${name}`, 'utf8')
const file = (name: string) => ({ name, text: read(name) })
const { requests, create } = parse(read('requests.yaml')) as {
  create: { vcpus: number; memoryMiB: number }
  requests: {
    vm: string
    numaNodes: number[]
    tenant: string
    needs: Record<string, { resource: string; count: number }[]>
  }[]
}

const POLICIES = {
  nova: ['nova.conf'],
  'sriov-network-device-plugin': ['sriovdp.json'],
  'kubernetes-topology-manager': ['kubelet.yaml', 'sriovdp.json'],
  northbridge: ['own.yaml'],
} as const

/** Two fleets: small hosts of two ports with four VFs, and one whose ports are many. */
const FLEETS = {
  small: ['two-socket-82599', 'one-socket-82576'],
  large: ['dual-socket-xeon', 'two-socket-82599', 'telco-dpdk'],
}

/** Host and functions, or what each host says. */
const DECISIONS: Record<string, Record<string, Record<string, string[]>>> = {
  small: {
    'kubernetes-topology-manager': {
      db: ['TopologyAffinityError', 'Insufficient'],
      web: ['two-socket-82599', '0000:81:10.0', '0000:81:10.2'],
    },
    northbridge: {
      db: ['count', 'count'],
      web: ['two-socket-82599', '0000:81:10.0', '0000:81:10.2'],
    },
    nova: {
      db: ['NoValidHost', 'NoValidHost'],
      web: ['two-socket-82599', '0000:81:10.6', '0000:81:10.4'],
    },
    'sriov-network-device-plugin': {
      db: [
        'two-socket-82599',
        '0000:01:10.4',
        '0000:01:10.6',
        '0000:81:10.0',
        '0000:81:10.2',
        '0000:81:10.4',
      ],
      web: ['two-socket-82599', '0000:01:10.0', '0000:01:10.2'],
    },
  },
  large: {
    'kubernetes-topology-manager': {
      db: ['Insufficient', 'TopologyAffinityError', 'Insufficient'],
      web: ['two-socket-82599', '0000:81:10.0', '0000:81:10.2'],
    },
    northbridge: {
      db: [
        'dual-socket-xeon',
        '0000:41:01.0',
        '0000:41:09.0',
        '0000:41:11.0',
        '0000:41:19.0',
        '0000:41:01.1',
      ],
      web: ['two-socket-82599', '0000:81:10.0', '0000:81:10.2'],
    },
    nova: {
      db: ['NoValidHost', 'NoValidHost', 'NoValidHost'],
      web: ['two-socket-82599', '0000:81:10.6', '0000:81:10.4'],
    },
    'sriov-network-device-plugin': {
      db: [
        'two-socket-82599',
        '0000:01:10.4',
        '0000:01:10.6',
        '0000:81:10.0',
        '0000:81:10.2',
        '0000:81:10.4',
      ],
      web: ['two-socket-82599', '0000:01:10.0', '0000:01:10.2'],
    },
  },
}

const fleets = Object.entries(FLEETS).map(([name, topologies]) => {
  const northbridge = createNorthbridge()
  for (const topology of topologies) northbridge.createPlatform({ topology, name: topology })
  return { name, northbridge, topologies }
})

const planOn = (fleet: (typeof fleets)[number], system: keyof typeof POLICIES) => {
  const input = {
    platforms: fleet.topologies,
    policy: { system: system as Exclude<PolicySystem, `linux-${string}`>, files: POLICIES[system].map(file) },
    requests: requests.map(({ needs, ...request }) => ({ ...request, needs: needs[system]! })),
  }
  return { input, plan: fleet.northbridge.planPolicy(input) }
}

const shown = (fleet: (typeof fleets)[number], system: keyof typeof POLICIES): Record<string, unknown> => {
  const { placed, refused } = planOn(fleet, system).plan
  return Object.fromEntries([
    ...placed.map(({ vm, host, steps }) => [vm, [host, ...steps.map(({ attach }) => attach)]]),
    ...refused.map(({ vm, hosts }) => [vm, hosts.map(({ refusal }) => refusal.errorClass)]),
  ])
}

describe.each(fleets)('the example policies on the $name fleet', fleet => {
  it.each(Object.keys(POLICIES) as (keyof typeof POLICIES)[])('%s decides as recorded', system => {
    expect(shown(fleet, system)).toEqual(DECISIONS[fleet.name]![system])
  })

  it.each(Object.keys(POLICIES) as (keyof typeof POLICIES)[])(
    '%s grants nothing that the kernel refuses',
    system => {
      for (const { kernelRefuses } of planOn(fleet, system).plan.placed) expect(kernelRefuses).toEqual([])
    },
  )
})

describe('what is planned', () => {
  it('can be applied, function by function', () => {
    const fleet = fleets[1]!
    const { input, plan } = planOn(fleet, 'northbridge')
    expect(plan.refused).toEqual([])
    const { placed } = fleet.northbridge.applyPolicy({ ...input, create })
    expect(placed).toEqual(plan.placed)
    for (const { vm, host, steps } of placed)
      expect(fleet.northbridge.vm({ platform: host, vm }).devices.map(each => each.function)).toEqual(
        steps.map(({ attach }) => attach),
      )
  })
})
