import { expect, test } from 'vitest'
import { createPlatform, type NorthbridgeError } from '../../src/index.ts'

const WEB = { processors: 4, memoryMiB: 8, loadPercent: 60, commonMiB: 1, ownMiB: 2, cacheMiB: 1 }

function host() {
  const platform = createPlatform('consolidation-host')
  platform.setNumVfs({ function: '0000:01:00.0', numVfs: 2 })
  platform.setSharing({ scope: 'host' })
  return platform
}

const many = (count: number, fields: object = {}) =>
  Array.from({ length: count }, (_, i) => ({ name: `host${i}`, ...WEB, ...fields }))

test('twenty hosts on one: shares are held within 2 %, contents are whole, and everybody is apart', () => {
  const platform = host()
  const hosts = many(20, { processors: 8 }).map((one, i) => ({ ...one, shares: 1000 * (1 + (i % 4)) }))
  const report = platform.consolidate({ hosts, nanoseconds: 500_000_000 })
  expect(report).toMatchObject({ ratio: 20, vcpus: 160, grantedMiB: 160, hostMiB: 128 })
  expect(report.largestDeviationPercent).toBeLessThan(2)
  expect(report.isolation).toEqual({ pairs: 190, isolated: 190, breaches: [] })
  for (const one of report.hosts) {
    expect(one.pagesHeld).toBe(one.pagesUsed)
    expect(one.used).toBeLessThanOrEqual(one.demand + 0.04)
  }
  // By the closed form: who has most shares is satisfied, and the others divide what is left 1 : 2 : 3.
  const entitled = [0, 1, 2, 3].map(i => report.hosts[i]!.entitled)
  expect(entitled).toEqual([1.333, 2.667, 4, 4.8])
})

test('a machine with a virtual function keeps its memory, and gets a function of its own', () => {
  const platform = host()
  const hosts = [...many(3), { name: 'edge', ...WEB, network: 'virtualFunction' as const }]
  const { hosts: rows } = platform.consolidate({ hosts, nanoseconds: 100_000_000 })
  expect(rows[3]).toMatchObject({ function: '0000:01:10.0', memory: { resident: 2048, swapped: 0 } })
  expect(platform.vm({ vm: 'edge' }).devices.length).toBe(1)
})

test.each([
  ['a name that is taken', [...many(2), { name: 'host0', ...WEB }], 'nameTaken'],
  ['memory that is too small for what is in use', many(2, { ownMiB: 6 }), 'invalidArgument'],
  ['more functions than there are', many(3, { network: 'virtualFunction' }), 'outOfResources'],
  ['more reserved processors than there are', many(20, { reservationPercent: 400 }), 'outOfResources'],
  [
    'reservations of memory that cannot be kept',
    many(4, { memoryMiB: 64, reservationMiB: 64 }),
    'outOfMemory',
  ],
] as const)('%s is refused, and nothing has changed', (_what, hosts, code) => {
  const platform = host()
  const before = platform.platformState().stateHash
  try {
    platform.consolidate({ hosts: [...hosts], nanoseconds: 100_000_000 })
    expect.fail('it was not refused')
  } catch (error) {
    expect((error as NorthbridgeError).code).toBe(code)
  }
  expect(platform.platformState().stateHash).toBe(before)
})
