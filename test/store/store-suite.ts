/** What every store has to do, whatever it is made of. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CommandRecord, KeptAnswer, Snapshot, Store } from '../../src/store/index.ts'
import { MOST_SNAPSHOTS } from '../../src/store/retention.ts'

/** A place where an installation can be kept. */
export interface Place {
  /** A store that is kept here; the one before has been closed. */
  store(): Store
  remove(): Promise<void> | void
}

export const command = (
  world: string,
  sequence: number,
  more: Partial<CommandRecord> = {},
): CommandRecord => ({
  world,
  sequence,
  operation: 'passTime',
  input: { platform: world, nanoseconds: sequence, text: 'ü "\u2028" \\' },
  error: null,
  after: { timeNs: sequence + 0.5, told: 2 ** 40 + sequence },
  version: '1.2.3',
  ...more,
})

export const snapshot = (world: string, sequence: number, more: Partial<Snapshot> = {}): Snapshot => ({
  world,
  sequence,
  version: '1.2.3',
  origin: false,
  state: Uint8Array.of(0, 255, sequence),
  ...more,
})

export const answer = (key: string): KeptAnswer => ({
  key,
  fingerprint: `of ${key}`,
  status: 201,
  headers: { location: '/v1/platforms/p', 'content-type': 'application/json' },
  body: '{"id":"p"}',
})

/** @param keepsAnswers one that ends with its process leaves them to who gives them */
export function storeSuite(name: string, makePlace: () => Promise<Place> | Place, keepsAnswers = true): void {
  describe(`a store in ${name}`, () => {
    let place: Place
    let store: Store
    beforeEach(async () => {
      place = await makePlace()
      store = place.store()
    })
    afterEach(async () => {
      await store.close()
      await place.remove()
    })

    const reopened = async () => {
      await store.close()
      store = place.store()
      return store.open()
    }

    it('has nothing at first', async () => {
      expect(await store.open()).toEqual({ worlds: [], answers: [], losses: [] })
      expect(store.trouble).toBeUndefined()
    })

    it('gives back every record as it was given', async () => {
      await store.open()
      const refused = command('q', 1, { error: 'hostHalted', input: {} })
      await store.commit({ commands: [command('p', 1)], answer: answer('a') })
      await store.commit({ commands: [command('p', 2), refused] })
      expect(await reopened()).toEqual({
        worlds: [
          { world: 'p', snapshot: undefined, commands: [command('p', 1), command('p', 2)] },
          { world: 'q', snapshot: undefined, commands: [refused] },
        ],
        answers: keepsAnswers ? [answer('a')] : [],
        losses: [],
      })
    })

    it('opens with the newest state of a world and the commands behind it', async () => {
      await store.open()
      await store.commit({ commands: [command('p', 1)], snapshots: [snapshot('p', 1)] })
      await store.commit({ commands: [command('p', 2)] })
      await store.commit({ commands: [command('p', 3)] })
      await store.commit({ snapshots: [snapshot('p', 2)] })
      const [world] = (await reopened()).worlds
      expect(world).toEqual({ world: 'p', snapshot: snapshot('p', 2), commands: [command('p', 3)] })
    })

    it('finds states and commands of the past, of what was given a moment ago too', async () => {
      await store.open()
      const given = [1, 2, 3, 4].map(sequence => store.commit({ commands: [command('p', sequence)] }))
      given.push(
        store.commit({ snapshots: [snapshot('p', 2)] }),
        store.commit({ commands: [command('q', 1)] }),
      )
      expect(await store.commandsOf('p', 1, 3)).toEqual([command('p', 2), command('p', 3)])
      expect(await store.snapshotBefore('p', 3)).toEqual(snapshot('p', 2))
      expect(await store.snapshotBefore('p', 1)).toBeUndefined()
      await Promise.all(given)
    })

    it('makes a commit durable as a whole, in the order of its parts', async () => {
      await store.open()
      await store.commit({ commands: [command('p', 1), command('q', 1)], snapshots: [snapshot('p', 1)] })
      await store.commit({ forgotten: ['p'], commands: [command('p', 1, { operation: 'createPlatform' })] })
      const { worlds } = await reopened()
      expect(worlds[0]).toEqual({
        world: 'p',
        snapshot: undefined,
        commands: [command('p', 1, { operation: 'createPlatform' })],
      })
      expect(worlds[1]!.world).toBe('q')
    })

    it('keeps nothing of a world that is forgotten', async () => {
      await store.open()
      await store.commit({ commands: [command('p', 1)], snapshots: [snapshot('p', 1, { origin: true })] })
      await store.commit({ forgotten: ['p'] })
      expect(await store.commandsOf('p', 0, 9)).toEqual([])
      expect((await reopened()).worlds).toEqual([])
    })

    it('keeps the states that cannot be come to again, and the newest of the others', async () => {
      await store.open()
      for (let sequence = 1; sequence <= MOST_SNAPSHOTS + 4; sequence++) {
        await store.commit({
          commands: [command('p', sequence)],
          snapshots: [snapshot('p', sequence, { origin: sequence === MOST_SNAPSHOTS })],
        })
      }
      const last = MOST_SNAPSHOTS + 4
      expect((await store.snapshotBefore('p', last))?.sequence).toBe(last)
      expect((await store.snapshotBefore('p', MOST_SNAPSHOTS))?.origin).toBe(keepsAnswers ? true : undefined)
      expect(await store.snapshotBefore('p', 2)).toBeUndefined()
    })

    it('replaces and removes documents', async () => {
      await store.open()
      const document = (key: string, value: unknown) => ({ kind: 'token', key, value })
      await store.commit({ documents: [document('b', 1), document('a', { x: [null] }), document('c', 2)] })
      await store.commit({ documents: [document('b', 'two'), document('c', undefined)] })
      await store.commit({ documents: [{ kind: 'other', key: 'a', value: 0 }] })
      await reopened()
      expect(await store.documents('token')).toEqual([document('a', { x: [null] }), document('b', 'two')])
      expect(await store.documents('nothing')).toEqual([])
    })

    it('keeps the last answer under a key', async () => {
      await store.open()
      await store.commit({ answer: answer('a') })
      await store.commit({ answer: answer('b') })
      await store.commit({ answer: { ...answer('a'), status: 409 } })
      const { answers } = await reopened()
      expect(answers.map(({ key, status }) => [key, status])).toEqual(
        keepsAnswers
          ? [
              ['b', 201],
              ['a', 409],
            ]
          : [],
      )
    })

    it('has everything that was given before it is closed', async () => {
      await store.open()
      for (let sequence = 1; sequence <= 50; sequence++) {
        store.commit({ commands: [command('p', sequence)] }).catch(() => {})
      }
      expect((await reopened()).worlds[0]?.commands.length).toBe(50)
    })
  })
}
