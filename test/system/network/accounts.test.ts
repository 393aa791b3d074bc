/** Every frame ends somewhere: in a guest, in the host, on the wire, or as a drop with a name; and in nobody else's hands. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createNorthbridge, type Northbridge } from '../../../src/index.ts'

const PF = '0000:01:00.0'
const P = { platform: 'p' }
const MACS = ['02:00:00:00:00:a0', '02:00:00:00:00:a1'] as const
const STRANGER = '02:00:00:00:00:77'
const VLANS = [10, 20] as const

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)

/** Two guests on virtual functions with a port VLAN each, and the host's own pool. */
function machine(vlans: readonly (number | undefined)[], spoofCheck: boolean): Northbridge {
  const northbridge = createNorthbridge()
  northbridge.createPlatform({ topology: 'one-socket-82576', name: 'p' })
  northbridge.openNic({ ...P, function: PF })
  const { virtualFunctions } = northbridge.setNumVfs({ ...P, function: PF, numVfs: 2 })
  for (const [i, fn] of virtualFunctions!.entries()) {
    const vm = `vm${i}`
    northbridge.createVm({ ...P, name: vm, vcpus: 1, memoryMiB: 16 })
    const vlan = vlans[i]
    const device = { ...P, vm, model: 'sriov', mac: MACS[i]!, function: fn } as const
    northbridge.addNetworkDevice({ ...device, ...(vlan !== undefined && { vlan }) })
    northbridge.setVf({ ...P, function: PF, vf: i, spoofCheck })
  }
  return northbridge
}

/** Where frames of the adapter have ended so far, guests apart. */
function ends(northbridge: Northbridge): { host: number; wire: number; drops: number } {
  const { counters, framesOut, drops } = northbridge.nic({ ...P, function: PF })
  return { host: counters!['received']!, wire: framesOut, drops: total(drops) }
}

const event = fc.record({
  /** Number of a guest; -1: the wire. */
  from: fc.integer({ min: -1, max: 1 }),
  to: fc.constantFrom(...MACS, STRANGER),
  forged: fc.boolean(),
  vlan: fc.constantFrom(undefined, ...VLANS),
  length: fc.constantFrom(60, 400, 1514),
})
const vlan = fc.constantFrom(undefined, ...VLANS)

it('each unicast frame has one end, and no guest gets what address, VLAN and source check forbid', () => {
  fc.assert(
    fc.property(
      fc.tuple(vlan, vlan),
      fc.boolean(),
      fc.array(event, { minLength: 10, maxLength: 20 }),
      (vlans, check, events) => {
        const northbridge = machine(vlans, check)
        for (const { from, to, forged, vlan: tag, length } of events) {
          const before = ends(northbridge)
          const sender = from < 0 || forged ? STRANGER : MACS[from]!
          const who = from < 0 ? { function: PF } : { vm: `vm${from}` }
          // A guest with a port VLAN knows no tags.
          const tagged = tag !== undefined && (from < 0 || vlans[from] === undefined) ? { vlan: tag } : {}
          const { received } = northbridge.traceFrame({ ...P, ...who, to, sender, length, ...tagged })
          const after = ends(northbridge)
          const elsewhere = after.host - before.host + after.wire - before.wire + after.drops - before.drops
          expect(received.length + elsewhere).toBe(1)
          for (const { vm } of received) {
            const owner = Number(vm.slice(2))
            expect(to).toBe(MACS[owner])
            expect(from).not.toBe(owner)
            if (from >= 0) expect(check && forged).toBe(false)
            const on = from < 0 ? tagged.vlan : (vlans[from] ?? tagged.vlan)
            if (vlans[owner] !== undefined) expect(on).toBe(vlans[owner])
          }
        }
      },
    ),
    { numRuns: 4 },
  )
})
