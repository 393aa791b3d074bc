import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { createNorthbridge, type Northbridge } from '../../src/index.ts'
import { PF, TOPOLOGY, VF } from './installations.ts'

let nb: Northbridge
const p = { platform: 'p' }
const hash = (platform = 'p') => nb.platformState({ platform }).stateHash
const steps: readonly (() => unknown)[] = [
  () => nb.createPlatform({ topology: TOPOLOGY, name: 'p' }),
  () => nb.setNumVfs({ ...p, function: PF, numVfs: 2 }),
  () => nb.createVm({ ...p, name: 'alpha', vcpus: 1, memoryMiB: 4 }),
  () => nb.attach({ ...p, vm: 'alpha', function: VF }),
  () => nb.writeMemory({ ...p, vm: 'alpha', address: '0x2000', data: '5a'.repeat(16) }),
  () => nb.power({ ...p, action: 'off' }),
]
/** State hashes after each of the steps. */
let hashes: string[]

beforeEach(() => {
  nb = createNorthbridge()
  hashes = steps.map(step => {
    step()
    return hash()
  })
})

describe('the commands of a platform', () => {
  it('are told in order, with what they were given and where they led', () => {
    const told = nb.commands(p)
    expect(told.map(({ sequence, operation }) => [sequence, operation])).toEqual([
      [1, 'createPlatform'],
      [2, 'setNumVfs'],
      [3, 'createVm'],
      [4, 'attach'],
      [5, 'writeMemory'],
      [6, 'power'],
    ])
    expect(told[1]!.input).toEqual({ platform: 'p', function: PF, numVfs: 2 })
    expect(told[0]!.input).toMatchObject({ name: 'p', seed: 1, topology: { name: TOPOLOGY } })
    expect(nb.commands({ ...p, after: 4 }).map(({ sequence }) => sequence)).toEqual([5, 6])
  })

  it('hold no question and no refusal', () => {
    nb.platforms()
    expect(() => nb.power({ ...p, action: 'off' })).toThrow()
    expect(nb.commands(p).length).toBe(6)
  })

  it('begin anew with a platform of the same name', () => {
    nb.deletePlatform(p)
    nb.createPlatform({ topology: TOPOLOGY, name: 'p' })
    expect(nb.commands(p).map(({ sequence }) => sequence)).toEqual([1])
  })

  it('come, done to a fresh platform, to the same state', () => {
    const other = createNorthbridge()
    for (const { operation, input } of nb.commands(p)) {
      ;(other[operation as 'power'] as (input: unknown) => unknown)(input)
    }
    expect(other.platformState(p).stateHash).toBe(hash())
  })
})

describe('a platform that goes back', () => {
  it('stands where it stood after any of its commands', () => {
    for (const to of [4, 1, 6, 2, 5, 3]) {
      nb.rewindPlatform({ ...p, to })
      expect(hash()).toBe(hashes[to - 1])
    }
  })

  it('has gone back by a command, after which one can go back too', () => {
    nb.rewindPlatform({ ...p, to: 3 })
    nb.createVm({ ...p, name: 'beta', vcpus: 1, memoryMiB: 4 })
    const beta = hash()
    nb.rewindPlatform({ ...p, to: 6 })
    expect(
      nb
        .commands(p)
        .map(({ operation }) => operation)
        .slice(6),
    ).toEqual(['rewindPlatform', 'createVm', 'rewindPlatform'])
    nb.rewindPlatform({ ...p, to: 8 })
    expect(hash()).toBe(beta)
  })

  it('goes on as it would have gone on then', () => {
    nb.rewindPlatform({ ...p, to: 4 })
    steps[4]!()
    expect(hash()).toBe(hashes[4])
  })

  it('cannot go to a command that it has not had', () => {
    expect(() => nb.rewindPlatform({ ...p, to: 7 })).toThrow('"p" has had 6 commands: there is no 7')
    expect(hash()).toBe(hashes[5])
    expect(nb.commands(p).length).toBe(6)
  })

  it('does not go back further than what is kept', () => {
    // A store in memory keeps at least the newest 1024.
    nb.rewindPlatform({ ...p, to: 5 })
    for (let i = 0; i < 2100; i++) nb.clearFaults(p)
    expect(() => nb.rewindPlatform({ ...p, to: 3 })).toThrow('it lies too far back to be kept')
    nb.rewindPlatform({ ...p, to: 1500 })
    expect(hash()).toBe(hashes[4])
  })

  it('comes to every state again, whatever was done and wherever it went', () => {
    const action = fc.oneof(
      fc.integer({ min: 1, max: 3 }).map(index => ({ step: index })),
      fc.integer({ min: 1, max: 500 }).map(nanoseconds => ({ nanoseconds })),
      fc.double({ min: 0, max: 1, noNaN: true }).map(back => ({ back })),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 8 }), actions => {
        nb = createNorthbridge()
        steps[0]!()
        const found = [hash()]
        for (const one of actions) {
          const before = nb.commands(p).length
          try {
            if ('nanoseconds' in one) nb.passTime({ ...p, ...one })
            else if ('step' in one) steps[one.step]!()
            else nb.rewindPlatform({ ...p, to: 1 + Math.floor(one.back * (before - 1)) })
          } catch {
            // Refused: it is no command then.
          }
          if (nb.commands(p).length > before) found.push(hash())
        }
        found.forEach((expected, index) => {
          nb.forkPlatform({ ...p, name: `at-${index}`, at: index + 1 })
          expect(hash(`at-${index}`)).toBe(expected)
        })
      }),
      { numRuns: 6 },
    )
  })
})

describe('a fork', () => {
  it('stands where its platform stands, or stood', () => {
    nb.forkPlatform({ ...p, name: 'now' })
    nb.forkPlatform({ ...p, name: 'then', at: 4 })
    expect(hash('now')).toBe(hashes[5])
    expect(hash('then')).toBe(hashes[3])
  })

  it('goes its own way', () => {
    nb.forkPlatform({ ...p, name: 'other', at: 4 })
    nb.deleteVm({ platform: 'other', vm: 'alpha' })
    expect(hash()).toBe(hashes[5])
    expect(
      nb.commands({ platform: 'other' }).map(({ sequence, operation }) => [sequence, operation]),
    ).toEqual([
      [1, 'forkPlatform'],
      [2, 'deleteVm'],
    ])
    nb.rewindPlatform({ platform: 'other', to: 1 })
    expect(hash('other')).toBe(hashes[3])
    expect(nb.commands(p).length).toBe(6)
  })

  it('needs a name that is free, and a command that there was', () => {
    expect(() => nb.forkPlatform({ ...p, name: 'p' })).toThrow('already exists')
    expect(() => nb.forkPlatform({ ...p, name: 'q', at: 9 })).toThrow('there is no 9')
    expect(nb.platforms().map(({ id }) => id)).toEqual(['p'])
  })
})
