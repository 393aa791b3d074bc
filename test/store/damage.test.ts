import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommandRecord, Kept } from '../../src/store/index.ts'
import { InstallationDatabase } from '../../src/store/sqlite/database.ts'
import { answer, command, snapshot } from './store-suite.ts'

const WORLDS = ['p', 'q', '@red/p']
const COMMANDS = 12
const FILE = 'northbridge.sqlite'

let folder: string
/** Copies of what a killed process leaves, with the log before and after it was last taken into the file. */
let left: readonly { readonly file: Uint8Array; readonly log: Uint8Array }[]
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'northbridge-damage-'))
  const path = join(folder, 'original.sqlite')
  const database = new InstallationDatabase(path)
  database.open()
  const taken = () => ({ file: readFileSync(path), log: readFileSync(`${path}-wal`) })
  const commit = (sequence: number) => {
    for (const world of WORLDS) database.commitAll([{ commands: [command(world, sequence)] }])
    if (sequence % 5 === 0) database.commitAll([{ snapshots: [snapshot('p', sequence - 1)] }])
    database.commitAll([{ answer: answer(`k${sequence}`) }])
  }
  for (let sequence = 1; sequence <= COMMANDS / 2; sequence++) commit(sequence)
  const early = taken()
  for (let sequence = COMMANDS / 2 + 1; sequence <= COMMANDS; sequence++) commit(sequence)
  left = [early, taken()]
  database.close()
  // Everything is in the file now.
  left = [...left, { file: readFileSync(path), log: new Uint8Array() }]
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What is found where these files are; the message of the refusal if nothing is. */
function found(file: Uint8Array, log: Uint8Array): Kept | string {
  const place = mkdtempSync(join(folder, 'case-'))
  const path = join(place, FILE)
  writeFileSync(path, file)
  if (log.length > 0) writeFileSync(`${path}-wal`, log)
  let database: InstallationDatabase | undefined
  try {
    database = new InstallationDatabase(path)
    return database.open()
  } catch (error) {
    return (error as Error).message
  } finally {
    database?.close()
    rmSync(place, { recursive: true })
  }
}

const lastOf = ({ worlds }: Kept, name: string): number => {
  const world = worlds.find(({ world }) => world === name)
  return world?.commands.at(-1)?.sequence ?? world?.snapshot?.sequence ?? 0
}

/** Nothing but what was committed, each world from its beginning or a state of it, without a gap. */
function checkIsPast(kept: Kept): void {
  for (const { world, snapshot: state, commands } of kept.worlds) {
    const from = state?.sequence ?? 0
    if (state !== undefined) expect(state).toEqual(snapshot(world, from))
    expect(commands).toEqual(
      commands.map((_: CommandRecord, index: number) => command(world, from + index + 1)),
    )
  }
  for (const one of kept.answers) expect(one).toEqual(answer(one.key))
}

const flipped = (bytes: Uint8Array, at: number, bit: number): Uint8Array => {
  const copy = Uint8Array.from(bytes)
  copy[at]! ^= 1 << bit
  return copy
}

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const bit = fc.integer({ min: 0, max: 7 })

describe('an installation whose files were damaged', () => {
  it('is whole where they were not', () => {
    for (const [index, { file, log }] of left.entries()) {
      const kept = found(file, log) as Kept
      expect(kept.losses).toEqual([])
      checkIsPast(kept)
      expect(WORLDS.map(world => lastOf(kept, world))).toEqual(
        WORLDS.map(() => (index === 0 ? COMMANDS / 2 : COMMANDS)),
      )
    }
  })

  it('tells of every bit that was flipped in its log, or does not need it; what is left is the past', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1 }), place, bit, (which, where, one) => {
        const { file, log } = left[which]!
        const whole = found(file, log) as Kept
        const kept = found(file, flipped(log, Math.floor(where * log.length), one))
        if (typeof kept === 'string') return
        checkIsPast(kept)
        if (WORLDS.some(world => lastOf(kept, world) < lastOf(whole, world))) {
          expect(kept.losses.length).toBeGreaterThan(0)
        }
      }),
      { numRuns: 80 },
    )
  })

  it('tells of every bit that was flipped in its file, is refused, or does not need it', () => {
    fc.assert(
      fc.property(place, bit, (where, one) => {
        const { file, log } = left[2]!
        const kept = found(flipped(file, Math.floor(where * file.length), one), log)
        if (typeof kept === 'string') return
        checkIsPast(kept)
        if (WORLDS.some(world => lastOf(kept, world) < COMMANDS)) {
          expect(kept.losses.length).toBeGreaterThan(0)
        }
      }),
      { numRuns: 80 },
    )
  })

  it('is a past of itself wherever its log was cut, and tells of a page that was cut through', () => {
    fc.assert(
      fc.property(place, where => {
        const { file, log } = left[1]!
        const length = Math.floor(where * log.length)
        const kept = found(file, log.subarray(0, length)) as Kept
        checkIsPast(kept)
        const pageBytes = 24 + new DataView(log.buffer, log.byteOffset).getUint32(8)
        const within = (length - 32) % pageBytes
        if (length > 0 && (length < 32 || within >= 24)) expect(kept.losses.length).toBe(1)
      }),
      { numRuns: 60 },
    )
  })

  it('is refused, or a past of itself, where its file was cut', () => {
    fc.assert(
      fc.property(place, where => {
        const { file, log } = left[2]!
        const kept = found(file.subarray(0, Math.floor(where * file.length)), log)
        if (typeof kept !== 'string') checkIsPast(kept)
      }),
      { numRuns: 40 },
    )
  })
})
