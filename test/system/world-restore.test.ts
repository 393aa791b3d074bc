/** A saved world goes on as if it had never stopped: in place after other commands, and in objects of its own. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Command, kindsIn, RandomWorld, WORLDS } from './random-world.ts'

/** `npm run restore-campaign` asks for more; `SEED=…` for others. */
const MOMENTS = Number(process.env['MOMENTS'] ?? 120)
const SEED = Number(process.env['SEED'] ?? 1)
/** A fork builds its machines anew: of so many moments one is tried so. */
const FORK_EVERY = Number(process.env['FORK_EVERY'] ?? 4)
/** Commands before a moment, and after it. */
const BETWEEN = 6
const AFTER = 8

const number = fc.integer({ min: 0, max: 1000 })
const commandsIn = (platforms: number) =>
  fc.record<Command>({ kind: fc.constantFrom(...kindsIn(platforms)), a: number, b: number, c: number })

describe('a saved world', () => {
  for (const [i, topologies] of WORLDS.entries()) {
    it(`of topology ${i} goes on as if it had never stopped`, () => {
      const documents = topologies()
      const world = RandomWorld.create(...documents)
      const moments = Math.ceil(MOMENTS / WORLDS.length)
      const numRuns = moments * (BETWEEN + AFTER)
      const commands = fc.sample(commandsIn(documents.length), { seed: SEED * WORLDS.length + i, numRuns })
      for (let moment = 0; moment < moments; moment++) {
        const past = commands.splice(0, BETWEEN)
        for (const command of past) world.do(command)
        const where = `moment ${moment} of seed ${SEED}, after ${past.map(({ kind }) => kind).join(', ')}`
        const saved = world.save()
        const hash = world.stateHash()
        const future = commands.splice(0, AFTER)
        const unstopped = world.follow(future)
        const end = world.stateHash()

        world.load(saved)
        expect(world.stateHash(), where).toBe(hash)
        expect(world.follow(future), where).toEqual(unstopped)
        expect(world.stateHash(), where).toBe(end)

        world.powerOn()
        if (moment % FORK_EVERY !== 0) continue
        const fork = RandomWorld.restore(documents, saved)
        expect(fork.stateHash(), where).toBe(hash)
        expect(fork.follow(future), where).toEqual(unstopped)
        expect(fork.stateHash(), where).toBe(end)
      }
    })
  }
})
