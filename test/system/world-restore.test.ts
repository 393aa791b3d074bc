/** A saved platform goes on as if it had never stopped: in place after other commands, and in an object of its own. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Command, KINDS, RandomWorld, TOPOLOGIES } from './random-world.ts'

/** `npm run restore-campaign` asks for more; `SEED=…` for others. */
const MOMENTS = Number(process.env['MOMENTS'] ?? 200)
const SEED = Number(process.env['SEED'] ?? 1)
/** A fork builds its machine anew: of so many moments one is tried so. */
const FORK_EVERY = Number(process.env['FORK_EVERY'] ?? 4)
/** Commands before a moment, and after it. */
const BETWEEN = 6
const AFTER = 8

const number = fc.integer({ min: 0, max: 1000 })
const command = fc.record<Command>({ kind: fc.constantFrom(...KINDS), a: number, b: number, c: number })

describe('a saved platform', () => {
  for (const [i, topology] of TOPOLOGIES.entries()) {
    it(`of topology ${i} goes on as if it had never stopped`, () => {
      const document = topology()
      const world = RandomWorld.create(document)
      const { platform } = world
      const moments = Math.ceil(MOMENTS / TOPOLOGIES.length)
      const numRuns = moments * (BETWEEN + AFTER)
      const commands = fc.sample(command, { seed: SEED * TOPOLOGIES.length + i, numRuns })
      for (let moment = 0; moment < moments; moment++) {
        const past = commands.splice(0, BETWEEN)
        for (const command of past) world.do(command)
        const where = `moment ${moment} of seed ${SEED}, after ${past.map(({ kind }) => kind).join(', ')}`
        const saved = platform.save()
        const hash = platform.stateHash()
        const future = commands.splice(0, AFTER)
        const unstopped = world.follow(future)
        const end = platform.stateHash()

        platform.load(saved)
        expect(platform.stateHash(), where).toBe(hash)
        expect(world.follow(future), where).toEqual(unstopped)
        expect(platform.stateHash(), where).toBe(end)

        if (!platform.powered) world.run(platform.power('on'))
        if (moment % FORK_EVERY !== 0) continue
        const fork = RandomWorld.restore(document, saved)
        expect(fork.platform.stateHash(), where).toBe(hash)
        expect(fork.follow(future), where).toEqual(unstopped)
        expect(fork.platform.stateHash(), where).toBe(end)
      }
    })
  }
})
