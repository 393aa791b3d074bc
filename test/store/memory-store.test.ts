import { describe, expect, it } from 'vitest'
import { MemoryStore } from '../../src/store/index.ts'
import { command, snapshot, storeSuite } from './store-suite.ts'

storeSuite(
  'memory',
  () => {
    const store = new MemoryStore()
    return { store: () => store, remove: () => {} }
  },
  false,
)

describe('a store in memory', () => {
  it('forgets what lies before the state before last', () => {
    const store = new MemoryStore()
    for (let sequence = 1; sequence <= 9; sequence++) {
      const snapshots = sequence % 3 === 0 ? [snapshot('p', sequence)] : []
      store.commit({ commands: [command('p', sequence)], snapshots })
    }
    expect(store.commandsOf('p', 0, 9).map(({ sequence }) => sequence)).toEqual([7, 8, 9])
    expect(store.snapshotBefore('p', 8)?.sequence).toBe(6)
    expect(store.snapshotBefore('p', 5)).toBeUndefined()
  })

  it('is not changed by who changes an input later', () => {
    const store = new MemoryStore()
    const input = { requests: ['a'] }
    store.commit({ commands: [command('p', 1, { input })] })
    input.requests.push('b')
    expect(store.commandsOf('p', 0, 1)[0]!.input).toEqual({ requests: ['a'] })
  })
})
