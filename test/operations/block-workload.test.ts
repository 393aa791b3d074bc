/** Workloads of blocks through the table of operations: what each model of input and output pays for them. */
import { beforeEach, describe, expect, it } from 'vitest'
import { createNorthbridge, type InputOf, type Northbridge } from '../../src/index.ts'

const P = { platform: 'p', vm: 'a' } as const
const PF = '0000:01:00.0'
const VF = '0000:01:00.1'
type Asked = Omit<InputOf<'runBlockWorkload'>, 'platform' | 'vm'>

let northbridge: Northbridge
beforeEach(() => {
  northbridge = createNorthbridge()
  northbridge.createPlatform({ topology: 'nvme-sriov', name: 'p' })
  northbridge.createVm({ platform: 'p', name: 'a', vcpus: 1, memoryMiB: 16 })
})

const run = (asked: Asked) => northbridge.runBlockWorkload({ ...P, ...asked })

describe.each([
  ['emulation', PF],
  ['paravirtual', PF],
  ['queuePair', PF],
  ['virtualFunction', VF],
] as const)('%s', (model, fn) => {
  it('pays less for a command the more are under way, and moves the same bytes', () => {
    northbridge.openDisk({ ...P, model, function: fn })
    const [one, many] = [1, 16].map(depth => run({ depth, commands: 64, sectors: 8 }))
    for (const { reads, readBytes, failed, mismatches } of [one!, many!]) {
      expect({ reads, readBytes, failed, mismatches }).toEqual({
        reads: 64,
        readBytes: 64 * 4096,
        failed: 0,
        mismatches: 0,
      })
    }
    expect(one!.interrupts).toBe(64)
    expect(many!.interrupts).toBe(4)
    expect(one!.doorbells).toBe(16 * many!.doorbells)
    expect(many!.exits).toBeLessThan(one!.exits / 8)
    expect(many!.copiedBytes).toBe(model === 'virtualFunction' || model === 'queuePair' ? 0 : 64 * 4096)
    // Every command is fetched and completed, and its data written, whoever asked for it.
    expect(many!.requests).toMatchObject({ failed: 0 })
    expect(many!.requests!.writes).toBeGreaterThanOrEqual(2 * 64)
  })

  it('reads back what it wrote itself, and takes what an earlier workload left as it is', () => {
    northbridge.openDisk({ ...P, model, function: fn })
    const mixed = run({ pattern: 'random', readPercent: 50, commands: 200, sectors: 4, depth: 8, span: 64 })
    expect(mixed).toMatchObject({ failed: 0, mismatches: 0 })
    expect(mixed.reads + mixed.writes).toBe(200)
    expect(mixed.reads).toBeGreaterThan(60)
    expect(mixed.writes).toBeGreaterThan(60)
    expect(run({ commands: 16, sectors: 4, span: 64 })).toMatchObject({ reads: 16, mismatches: 0 })
  })
})

it('the same seed gives the same workload, another seed another', () => {
  const asked = { pattern: 'random', readPercent: 50, commands: 50, depth: 4 } as const
  northbridge.openDisk({ ...P, model: 'paravirtual' })
  const results = [7, 7, 8].map(seed => {
    const { reads, writes } = run({ ...asked, seed })
    return [reads, writes]
  })
  expect(results[1]).toEqual(results[0])
  expect(results[2]).not.toEqual(results[0])
})

it.each<[string, Asked]>([
  ['more commands than the driver has', { depth: 64, sectors: 1 }],
  ['more data than its buffer holds', { depth: 3, sectors: 128 }],
  ['a place beyond the disk', { firstSector: 131_072 }],
  ['a part that ends beyond the disk', { firstSector: 131_000, span: 100 }],
  ['a part with no room for a command', { span: 7, sectors: 8 }],
])('%s is refused, and changes nothing', (_, asked) => {
  northbridge.openDisk({ ...P, model: 'emulation' })
  const before = northbridge.platformState({ platform: 'p' })
  expect(() => run(asked)).toThrowError(expect.objectContaining({ code: 'invalidArgument' }))
  expect(northbridge.platformState({ platform: 'p' })).toEqual(before)
})

it('needs a disk', () => {
  expect(() => run({})).toThrowError(expect.objectContaining({ code: 'notFound' }))
})
