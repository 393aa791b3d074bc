/** What is said to split a group does, on a machine that was really changed and booted again; nothing cheaper does. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GroupRepair, KernelVersion } from '../../src/host/index.ts'
import {
  type Machine,
  type Node,
  nameOf,
  nodesOf,
  numbered,
  partsOf,
  type Running,
  repaired,
  start,
} from './repairable-machine.ts'

const NIC = 'intel-82574l'
const PLAIN: Omit<Machine, 'roots'> = { kernel: '6.1', unredirected: [], options: [] }

const card: fc.Arbitrary<Node[]> = fc.constantFrom<Node[]>(
  [{ at: '00.0', model: 'intel-82576', numVfs: 1 }],
  [
    { at: '00.0', model: NIC },
    { at: '00.1', model: NIC },
  ],
  [
    {
      at: '00.0',
      model: 'pcie-pci-bridge',
      devices: [
        { at: '01.0', model: 'intel-82540em' },
        { at: '02.0', model: 'intel-82540em' },
      ],
    },
  ],
  [{ at: '00.0', model: NIC }],
)

const switchAbove = (below: fc.Arbitrary<Node[]>): fc.Arbitrary<Node[]> =>
  fc.array(fc.tuple(fc.boolean(), below), { minLength: 1, maxLength: 2 }).map(ports => [
    {
      at: '00.0',
      model: 'switch-upstream-port',
      devices: ports.map(([acs, devices], n) => ({
        at: `0${n}.0`,
        model: acs ? 'switch-downstream-port-acs' : 'switch-downstream-port',
        devices,
      })),
    },
  ])

const machines: fc.Arbitrary<Machine> = fc
  .record({
    kernel: fc.constantFrom<KernelVersion>('6.1', '7.2', '7.2+bus-isolation'),
    ports: fc.array(
      fc.record({ acs: fc.boolean(), below: fc.oneof(card, switchAbove(fc.oneof(card, switchAbove(card)))) }),
      { minLength: 1, maxLength: 2 },
    ),
    oneDevice: fc.boolean(),
    free: fc.boolean(),
    conventional: fc.boolean(),
    unredirected: fc.array(fc.nat(8), { maxLength: 2 }),
  })
  .map(({ kernel, ports, oneDevice, free, conventional, unredirected }) => {
    const roots: Node[] = ports.map(({ acs, below: devices }, n) => ({
      at: oneDevice ? `01.${n}` : `0${n + 1}.0`,
      model: 'root-port',
      ...(acs ? {} : { acs: [] }),
      devices,
    }))
    if (free) roots.push({ at: '0a.0', model: 'root-port' })
    if (conventional) {
      roots.push({ at: '1e.0', model: 'pci-bridge', devices: [{ at: '01.0', model: 'intel-82540em' }] })
    }
    const all = numbered(roots)
    const offering = nodesOf(all).filter(
      ({ model, acs }) =>
        acs === undefined && (model === 'root-port' || model === 'switch-downstream-port-acs'),
    )
    const named = unredirected.flatMap(n => offering[n % offering.length] ?? [])
    return { kernel, roots: all, unredirected: [...new Set(named)], options: [] }
  })

/** Every single change that costs less than `cost`, whether or not it was offered. Slots that do not isolate are none. */
function cheaperChanges(
  machine: Machine,
  running: Running,
  members: readonly string[],
  cost: number,
): GroupRepair[] {
  const all = running.host.functions()
  const single = (
    kind: GroupRepair['kind'],
    functions: string[],
    more: Partial<GroupRepair> = {},
  ): GroupRepair => ({
    kind,
    cost: 0,
    functions,
    parts: [],
    text: '',
    ...more,
  })
  const bits = all
    .filter(({ capabilities }) => capabilities.includes('ACS'))
    .map(({ address }) =>
      single('enableAccessControl', [address], { parameter: `pci=config_acs=xx111x1@${address}` }),
    )
  const free = all.find(
    ({ address }) =>
      address === '0000:00:0a.0' && !machine.unredirected.includes(running.nodeAt.get(address)!),
  )
  const slots = new Set(
    all.filter(({ kind }) => kind === 'rootPort' || kind === 'downstreamPort').map(({ address }) => address),
  )
  const cards = Map.groupBy(
    all.filter(
      ({ address, parent, kind }) => kind !== 'VF' && slots.has(parent ?? '') && members.includes(address),
    ),
    ({ parent }) => parent,
  )
  const moves =
    free === undefined
      ? []
      : [...cards.values()].map(functions =>
          single(
            'move',
            functions.map(({ address }) => address),
            { to: free.address },
          ),
        )
  const replacements = [...cards.values()]
    .filter(functions => functions.length > 1)
    .map(functions =>
      single(
        'replace',
        functions.map(({ address }) => address),
      ),
    )
  return [...(cost > 1 ? bits : []), ...(cost > 100 ? moves : []), ...(cost > 1_000 ? replacements : [])]
}

describe('repairs of IOMMU groups', () => {
  it('are not offered for a function that is alone', () => {
    const { host, run } = start({ ...PLAIN, roots: numbered([{ at: '01.0', model: 'root-port' }]) })
    expect(run(host.groupRepairs(0))).toEqual({ repairs: [] })
    expect(() => run(host.groupRepairs(9))).toThrow(expect.objectContaining({ code: 'notFound' }))
  })

  it('name the bits, the port and the kernel parameter, if a port could redirect', () => {
    const roots = numbered([{ at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: NIC }] }])
    const { host, run } = start({ ...PLAIN, kernel: '7.2', roots, unredirected: [roots[0]!] })
    const [repair] = run(host.groupRepairs(0)).repairs
    expect(repair).toMatchObject({
      kind: 'enableAccessControl',
      cost: 1,
      functions: ['0000:00:01.0'],
      bits: ['SV', 'RR', 'CR', 'UF'],
      parameter: 'pci=config_acs=xx111x1@0000:00:01.0',
      parts: [['0000:00:01.0'], ['0000:01:00.0']],
    })
    expect(repair!.text).toContain('P2P Request Redirect (RR)')
  })

  it('are a free slot before a better card before a better board, if there is no capability', () => {
    const pair: Node[] = ['00.0', '00.1'].map(at => ({ at, model: NIC }))
    const roots = numbered([
      { at: '01.0', model: 'root-port', acs: [], devices: pair },
      { at: '02.0', model: 'root-port' },
    ])
    const { host, run } = start({ ...PLAIN, roots })
    const { repairs } = run(host.groupRepairs(host.find('0000:01:00.0').group!))
    expect(repairs.map(({ kind, cost }) => [kind, cost])).toEqual([
      ['move', 100],
      ['replace', 10_000],
    ])
    expect(repairs[0]!.to).toBe('0000:00:02.0')
  })

  it('do not exist behind a conventional bridge, and the reason is said', () => {
    const cards: Node[] = ['01.0', '02.0'].map(at => ({ at, model: 'intel-82540em' }))
    const { host, run } = start({
      ...PLAIN,
      roots: numbered([{ at: '1e.0', model: 'pci-bridge', devices: cards }]),
    })
    expect(run(host.groupRepairs(0))).toEqual({
      repairs: [],
      whyNot: 'requests of its functions carry the same requester id',
    })
  })

  it('split the group as they say when the machine is changed so and booted again', () => {
    let tried = 0
    fc.assert(
      fc.property(machines, machine => {
        const running = start(machine)
        for (const { id, functions } of running.host.groups()) {
          const { repairs, whyNot } = running.run(running.host.groupRepairs(id))
          expect(repairs.length > 0 || functions.length === 1).toBe(whyNot === undefined)
          const members = new Set(functions.map(address => nameOf(running, address)))
          for (const repair of repairs) {
            tried++
            const after = start(repaired(machine, running, repair))
            const claimed = repair.parts.map(part =>
              part
                .map(address => nameOf(running, address))
                .sort()
                .join(' '),
            )
            expect(partsOf(after, members), repair.text).toEqual(claimed.sort())
          }
        }
      }),
      { numRuns: 20 },
    )
    expect(tried).toBeGreaterThan(20)
  })

  it('are the cheapest: no single change that costs less splits the group', () => {
    fc.assert(
      fc.property(machines, machine => {
        const running = start(machine)
        for (const { id, functions } of running.host.groups()) {
          if (functions.length === 1) continue
          const cheapest =
            running.run(running.host.groupRepairs(id)).repairs[0]?.cost ?? Number.POSITIVE_INFINITY
          const members = new Set(functions.map(address => nameOf(running, address)))
          for (const change of cheaperChanges(machine, running, functions, cheapest)) {
            const after = start(repaired(machine, running, change))
            expect(partsOf(after, members), JSON.stringify(change)).toHaveLength(1)
          }
        }
      }),
      { numRuns: 15 },
    )
  })
})
