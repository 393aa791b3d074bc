/** What holds of every request in every fabric: who gets it, why it ends, and which pairs can talk at all. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digest } from '../../src/core/index.ts'
import { drive } from '../../src/engine/index.ts'
import { PeerReachability } from '../../src/host/iommu/peer-reachability.ts'
import type { HostPciFunction } from '../../src/host/pci/pci-function.ts'
import { PciScanner } from '../../src/host/pci/scan.ts'
import type { FunctionNode, MemoryRequest, PcieFunction, RouteEvent } from '../../src/pcie/index.ts'
import type { MachinePort } from '../../src/platform/machine-port.ts'
import { ALL, request } from './machine.ts'
import { type FabricPlan, fabricPlans, RandomFabric, REDIRECT_EVERYWHERE } from './random-fabric.ts'

const SUCCESSFUL = 0
const PEER = 2
const RUNS = 60

/** The last decision that each way of ending has. */
const LAST: Readonly<Record<string, readonly RouteEvent[]>> = {
  arrived: ['rootComplex'],
  delivered: ['claimed'],
  1: ['unsupported', 'unclaimed', 'linkDown'],
  6: ['notIssued', 'linkDown'],
  7: ['violation'],
  8: ['bridgeClosed'],
  12: ['completionLost'],
}

interface Shot {
  readonly from: number
  readonly target: number
  readonly offset: number
  readonly where: 'bar' | 'memory' | 'hole'
  readonly write: boolean
  readonly addressType: 0 | 2
  /** Sent under a bus number that is not its own. */
  readonly spoofed: boolean
}

const shots = fc.array(
  fc.record<Shot>({
    from: fc.nat(),
    target: fc.nat(),
    offset: fc.nat({ max: 0x3ff }).map(dword => dword * 4),
    where: fc.constantFrom('bar', 'bar', 'bar', 'memory', 'hole'),
    write: fc.boolean(),
    addressType: fc.constantFrom(0, 2),
    spoofed: fc.integer({ min: 0, max: 9 }).map(n => n === 0),
  }),
  { minLength: 1, maxLength: 12 },
)

function aim(fabric: RandomFabric, shot: Shot): { from: PcieFunction; address: number; sent: MemoryRequest } {
  const { endpoints } = fabric
  const from = endpoints[shot.from % endpoints.length]!
  const target = endpoints[shot.target % endpoints.length]!
  const address =
    shot.where === 'bar'
      ? target.barAddress(0) + shot.offset
      : shot.where === 'memory'
        ? 0x1000 + shot.offset
        : fabric.next - 0x1000 + shot.offset
  const sent = request(address, shot.write, new Uint8Array([0x11, 0x22, 0x33, 0x44]))
  sent.addressType = shot.addressType
  return { from, address, sent }
}

/** Every endpoint whose BAR holds the written bytes at an address. */
function receivers(fabric: RandomFabric, address: number): PcieFunction[] {
  return fabric.endpoints.filter(fn => {
    const base = fn.barAddress(0)
    const { size } = fn.definition.bars[0]!
    if (address < base || address >= base + size) return false
    return fn.region(0).readDword(address - base) === 0x4433_2211
  })
}

describe('a request', () => {
  it('is delivered to exactly one completer, or ends for a reason that its route states', () => {
    fc.assert(
      fc.property(fabricPlans(), shots, (plan, volley) => {
        const fabric = new RandomFabric(plan)
        if (fabric.endpoints.length === 0) return
        for (const shot of volley) {
          const { from, address, sent } = aim(fabric, shot)
          const bus = from.rid >>> 8
          if (shot.spoofed) from.captureBus(0xfe)
          const { arrivals } = fabric.machine.notes
          const before = arrivals.length
          // Told, but not sent: nothing changes.
          const events: RouteEvent[] = []
          const state = digest(fabric.machine.fabric.save())
          sent.observer = { note: (_at: FunctionNode, event: RouteEvent) => events.push(event) }
          from.issue(sent)
          expect(digest(fabric.machine.fabric.save())).toBe(state)
          expect(arrivals.length).toBe(before)
          sent.observer = undefined
          from.issue(sent)
          const arrived = arrivals.length - before
          const delivered = sent.status === SUCCESSFUL && sent.target === PEER ? 1 : 0
          const refused = sent.status !== SUCCESSFUL ? 1 : 0
          expect(arrived + delivered + refused).toBe(1)
          const end = arrived ? 'arrived' : delivered ? 'delivered' : String(sent.status)
          const last = events.filter(event => event !== 'completionRedirected').at(-1)
          expect(LAST[end]).toContain(last)
          if (shot.write) {
            const hit = receivers(fabric, address)
            expect(hit.length).toBe(delivered)
            for (const fn of hit) fn.region(0).writeDword(address - fn.barAddress(0), 0, ALL)
          }
          from.captureBus(bus)
        }
      }),
      { numRuns: RUNS, seed: 4 },
    )
  })

  it('with redirect at every port and function never passes the remapping unit by', () => {
    fc.assert(
      fc.property(fabricPlans(fc.constant(REDIRECT_EVERYWHERE), false), shots, (plan, volley) => {
        const fabric = new RandomFabric(plan)
        if (fabric.endpoints.length === 0) return
        for (const shot of volley) {
          const { from, address, sent } = aim(fabric, shot)
          from.issue(sent)
          expect(sent.target).not.toBe(PEER)
          expect(receivers(fabric, address)).toEqual([])
        }
      }),
      { numRuns: RUNS, seed: 5 },
    )
  })
})

/** The kernel's view of a fabric: found by configuration reads. */
function scanned(fabric: RandomFabric): HostPciFunction[] {
  const { fabric: hardware } = fabric.machine
  const port = {
    readDword: (address: number) =>
      hardware.readConfig(0, address >>> 20, (address >>> 12) & 0xff, address & 0xffc),
    writeDword: (address: number, value: number, lanes = ALL) =>
      hardware.writeConfig(0, address >>> 20, (address >>> 12) & 0xff, address & 0xffc, value, lanes),
  } as Partial<MachinePort> as MachinePort
  const scanner = new PciScanner(port, new Map([[0, 0]]), { ari: true, scanAllDevices: false })
  return drive(scanner.scan({ segment: 0, bus: 0, numaNode: -1 }), () => false)
}

/** The outcome of a real write, in the words of the isolation model. */
function send(fabric: RandomFabric, from: PcieFunction, address: number): string {
  const { arrivals } = fabric.machine.notes
  const before = arrivals.length
  const sent = request(address, true, new Uint8Array([0x11, 0x22, 0x33, 0x44]))
  from.issue(sent)
  if (arrivals.length > before) return 'rootComplex'
  return sent.status === SUCCESSFUL && sent.target === PEER ? 'direct' : 'blocked'
}

describe('the isolation model', () => {
  const agrees = (plan: FabricPlan, directPeerToPeer: boolean): void => {
    const fabric = new RandomFabric(plan, { directPeerToPeer })
    const known = scanned(fabric)
    const model = new PeerReachability(known, { directRootPorts: directPeerToPeer })
    const byAddress = new Map(known.map(fn => [fn.rid as number, fn]))
    for (const from of fabric.endpoints) {
      for (const to of fabric.endpoints) {
        const verdict = model.toAddress(byAddress.get(from.rid)!, to.barAddress(0))
        expect(`${from.rid}>${to.rid} ${verdict.reach}`).toBe(
          `${from.rid}>${to.rid} ${send(fabric, from, to.barAddress(0))}`,
        )
      }
    }
  }

  it('says which pairs can talk, and a brute-force send between all of them agrees', () => {
    fc.assert(
      fc.property(fabricPlans(), fc.boolean(), (plan, direct) => agrees(plan, direct)),
      { numRuns: RUNS, seed: 6 },
    )
  })

  it('names the port that decides', () => {
    const port = (acs: number, functions = 1) => ({
      acs,
      below: { kind: 'endpoint' as const, functions, acs: 0 },
    })
    const plan: FabricPlan = {
      oneDevice: false,
      ports: [{ acs: 0x1d, below: { kind: 'switch', ports: [port(0), port(0)] } }],
      integrated: 0,
    }
    const known = scanned(new RandomFabric(plan))
    const [a, b] = known.filter(fn => !fn.bridge)
    expect(new PeerReachability(known).between(a!, b!)).toEqual({ reach: 'direct', at: '0000:02:00.0' })
  })
})
