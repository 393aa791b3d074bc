/**
 * Whatever machines there are on whatever devices, and whatever is sent: every frame ends in a guest, in the host, on a
 * wire, or as a drop with a name; what one part gives the next one gets; and nobody hears what address, VLAN, pool and
 * source check forbid.
 */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Happening, happening, NetworkWorld, PORTS, world } from './network-world.ts'

const RUNS = Number(process.env['RUNS'] ?? 6)

const total = (counts: Readonly<Record<string, number | undefined>>): number =>
  Object.values(counts).reduce<number>((sum, count) => sum + (count ?? 0), 0)

interface Tally {
  heard: number
  had: number
  silent: number
}

it('every frame has its ends, and nobody hears what is not for him', () => {
  const tally: Tally = { heard: 0, had: 0, silent: 0 }
  fc.assert(
    fc.property(world, fc.array(happening, { minLength: 10, maxLength: 25 }), (document, happenings) => {
      const network = new NetworkWorld(document)
      for (const one of happenings) {
        check(network, one, tally)
        agree(network)
      }
    }),
    { numRuns: RUNS, endOnFailure: true, seed: Number(process.env['SEED'] ?? 2) },
  )
  expect(tally.heard).toBeGreaterThan(RUNS)
  expect(tally.had).toBeGreaterThan(0)
  expect(tally.silent).toBeGreaterThan(RUNS * 5)
})

function check(network: NetworkWorld, one: Happening, tally: Tally): void {
  const received = network.happens(one)
  const told = JSON.stringify(one)
  for (const [i, device] of network.devices.entries()) {
    const times = received[i]!
    if (times > 0) tally.heard++
    else tally.silent++
    assert.ok(times === 0 || network.mayHear(device, one), `vm${i} (${device.model}) hears ${told}`)
    assert.ok(times <= one.burst, `vm${i} hears ${told} ${times} times`)
    if (!network.mustHear(device, one)) continue
    tally.had++
    assert.equal(times, 1, `vm${i} (${device.model}) does not hear ${told}`)
  }
}

/** What one part says it gave, the next one says it got. */
function agree(network: NetworkWorld): void {
  const { platform, devices, books, heard } = network
  const { networking } = platform
  for (const [i, book] of books.entries()) {
    book.check()
    assert.equal(heard[i], book.toWire, `${PORTS[i]}: what went to the wire came out of it`)
  }
  const { network: bridge, team } = networking.switch('vs0')
  for (const [i, device] of devices.entries()) {
    const { counters } = network.driver(device)
    if (device.model === 'vmdq') {
      const { pool, drops = {} } = networking.device(device.vm, device.slot)
      const { receive } = books[0]!.model.inspect()
      const stored = receive.reduce((sum, ring) => sum + (ring.pool === pool ? ring.frames : 0), 0)
      assert.equal(
        stored,
        counters.received + total(drops),
        `vm${i} has what its pool got, or the rest has names`,
      )
    }
    const port = bridge.ports.find(({ options }) => options.name.startsWith(`${device.vm}-`))
    if (port === undefined) continue
    assert.equal(counters.received, port.counters.framesOut, `vm${i} has what its port of the switch gave`)
    assert.equal(counters.sent, port.counters.framesIn, `the switch has what vm${i} sent`)
  }
  // A frame that was forwarded left by a port, or was dropped there under a name; one that was not, where it came in.
  for (const { options, counters } of bridge.ports) {
    // What a team refuses does not come in.
    const { backupUplink = 0, notCollecting = 0, ...droppedIn } = counters.droppedIn
    assert.ok(backupUplink + notCollecting === 0 || options.kind === 'uplink')
    assert.ok(total(droppedIn) <= counters.framesIn, options.name)
  }
  const uplink = bridge.ports.find(({ options }) => options.kind === 'uplink')!
  assert.equal(uplink.counters.framesIn, team.counters.received)
  assert.equal(uplink.counters.framesOut, team.counters.sent)
  const adapters = networking.adapters.filter(({ address }) => !network.direct || address === PORTS[0])
  const sent = adapters.reduce((sum, { counters }) => sum + counters.sent, 0)
  assert.equal(
    sent,
    team.counters.sent + team.counters.announcements,
    'adapters have sent what the team gave them',
  )
}
