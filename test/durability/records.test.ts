/** Snapshots of virtual machines, protections and moves between platforms outlive the process, as all else does. */
import { beforeEach, describe, expect, it } from 'vitest'
import { MemoryStore } from '../../src/store/index.ts'
import { build, hashOf, opened, run } from './installations.ts'

const PLAIN = { vm: 'plain' } as const

let store: MemoryStore
beforeEach(() => {
  store = new MemoryStore()
})

describe('an installation that is opened again', () => {
  it('has the snapshots of virtual machines, and goes back to them', async () => {
    const before = await opened(store)
    await build(before.journal, 'p')
    await run(before.journal, 'createVm', { platform: 'p', name: 'plain', vcpus: 1, memoryMiB: 2 })
    await run(before.journal, 'writeMemory', { platform: 'p', ...PLAIN, address: '0x1000', data: 'cafe' })
    await run(before.journal, 'takeSnapshot', { platform: 'p', ...PLAIN, name: 'first' })
    await run(before.journal, 'writeMemory', { platform: 'p', ...PLAIN, address: '0x1000', data: 'beef' })
    await run(before.journal, 'takeSnapshot', { platform: 'p', ...PLAIN, name: 'second' })
    await run(before.journal, 'deleteSnapshot', { snapshot: 'second' })
    const after = await opened(store)
    expect(after.refused.size).toBe(0)
    expect(await run(after.journal, 'snapshots', {})).toEqual(await run(before.journal, 'snapshots', {}))
    await run(after.journal, 'rewindVm', { platform: 'p', ...PLAIN, snapshot: 'first' })
    const read = { platform: 'p', ...PLAIN, address: '0x1000', length: 2 } as const
    expect((await run(after.journal, 'readMemory', read)).data).toBe('cafe')
    const again = await opened(store)
    expect(again.refused.size).toBe(0)
    expect(hashOf(again.journal, 'p')).toBe(hashOf(after.journal, 'p'))
  })

  it('has both platforms of a migration as it left them', async () => {
    const before = await opened(store)
    await build(before.journal, 'p')
    await build(before.journal, 'q')
    await run(before.journal, 'createVm', { platform: 'p', name: 'plain', vcpus: 1, memoryMiB: 2 })
    await run(before.journal, 'migrateVm', { platform: 'p', ...PLAIN, to: 'q' })
    const after = await opened(store)
    expect(after.refused.size).toBe(0)
    for (const name of ['p', 'q']) expect(hashOf(after.journal, name)).toBe(hashOf(before.journal, name))
    const machines = await run(after.journal, 'vms', { platform: 'q' })
    expect(machines.map(({ name }) => name)).toContain('plain')
  })

  it('has protections, and fails over by them', async () => {
    const before = await opened(store)
    await build(before.journal, 'p')
    await build(before.journal, 'q')
    await run(before.journal, 'createVm', { platform: 'p', name: 'plain', vcpus: 1, memoryMiB: 2 })
    await run(before.journal, 'protectVm', { platform: 'p', ...PLAIN, to: 'q' })
    const after = await opened(store)
    expect(await run(after.journal, 'protections', {})).toEqual(await run(before.journal, 'protections', {}))
    await run(after.journal, 'failOver', { platform: 'p', fence: true })
    const again = await opened(store)
    expect(again.refused.size).toBe(0)
    expect(hashOf(again.journal, 'q')).toBe(hashOf(after.journal, 'q'))
    expect(await run(again.journal, 'protections', {})).toEqual([])
  })
})
