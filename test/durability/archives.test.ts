import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { savedFromText, savedToText } from '../../src/core/index.ts'
import { createNorthbridge, type Northbridge, type OutputOf } from '../../src/index.ts'
import { PF, TOPOLOGY, VF } from './installations.ts'

type Archive = OutputOf<'archivePlatform'>

const p = { platform: 'p' }
let home: Northbridge
let archive: Archive
let hash: string
beforeAll(() => {
  home = createNorthbridge()
  home.createPlatform({ topology: TOPOLOGY, name: 'p', seed: 9 })
  home.setNumVfs({ ...p, function: PF, numVfs: 2 })
  home.createVm({ ...p, name: 'alpha', vcpus: 1, memoryMiB: 4 })
  home.attach({ ...p, vm: 'alpha', function: VF })
  home.writeMemory({ ...p, vm: 'alpha', address: '0x2000', data: '5a'.repeat(16) })
  hash = home.platformState(p).stateHash
  // As it travels: in a file.
  archive = JSON.parse(JSON.stringify(home.archivePlatform(p))) as Archive
})

const refusal = (given: unknown): string => {
  const other = createNorthbridge()
  try {
    other.importPlatform({ archive: given as Archive })
    return 'taken'
  } catch (error) {
    expect(other.platforms()).toEqual([])
    return (error as Error).message
  }
}

describe('a platform that moves to another installation', () => {
  it('is in the same state there, with the same seed and memory', () => {
    const other = createNorthbridge()
    expect(other.importPlatform({ archive })).toMatchObject({ id: 'p', seed: 9, vms: 1 })
    expect(other.platformState(p).stateHash).toBe(hash)
    expect(other.readMemory({ ...p, vm: 'alpha', address: '0x2000', length: 4 }).data).toBe('5a5a5a5a')
  })

  it('goes on as at home', () => {
    const other = createNorthbridge()
    other.importPlatform({ archive, name: 'q' })
    const fork = createNorthbridge()
    fork.importPlatform({ archive })
    for (const [nb, platform] of [
      [other, 'q'],
      [fork, 'p'],
    ] as const) {
      nb.detach({ platform, vm: 'alpha', function: VF })
      nb.passTime({ platform, nanoseconds: 77 })
    }
    expect(other.platformState({ platform: 'q' }).stateHash).toBe(fork.platformState(p).stateHash)
  })

  it('brings its history, under its new name', () => {
    const other = createNorthbridge()
    other.importPlatform({ archive, name: 'q' })
    const q = { platform: 'q' }
    expect(other.commands(q).map(({ operation }) => operation)).toEqual([
      'createPlatform',
      'setNumVfs',
      'createVm',
      'attach',
      'writeMemory',
      'importPlatform',
    ])
    expect(other.commands(q).at(-1)!.input).toEqual({ name: 'q', from: 'p', digest: archive.digest })
    other.rewindPlatform({ ...q, to: 3 })
    expect(other.vm({ ...q, vm: 'alpha' }).devices).toEqual([])
    other.rewindPlatform({ ...q, to: 6 })
    expect(other.platformState(q).stateHash).toBe(hash)
  })

  it('goes back to where it had gone back to at home', () => {
    const nb = createNorthbridge()
    nb.importPlatform({ archive })
    nb.rewindPlatform({ ...p, to: 2 })
    const back = nb.platformState(p).stateHash
    nb.passTime({ ...p, nanoseconds: 5 })
    const other = createNorthbridge()
    other.importPlatform({ archive: nb.archivePlatform(p) })
    other.rewindPlatform({ ...p, to: 7 })
    expect(other.platformState(p).stateHash).toBe(back)
  })

  it('is refused if a name is taken, and the one that has it stays', () => {
    expect(() => home.importPlatform({ archive })).toThrow('A platform "p" already exists')
    expect(home.platformState(p).stateHash).toBe(hash)
  })

  it('stays where its disks are on files', () => {
    const files = mkdtempSync(join(tmpdir(), 'northbridge-files-'))
    try {
      const nb = createNorthbridge({ files })
      nb.createPlatform({ topology: 'nvme-sriov', name: 'p' })
      const { address } = nb.functions(p).find(fn => fn.kind === 'PF')!
      nb.createNamespace({ ...p, function: address, blocks: 64 })
      nb.putNamespaceOnFile({ ...p, function: address, namespace: 1, file: 'disk' })
      expect(() => nb.archivePlatform(p)).toThrow('its disks are on files, which stay where they are')
      expect(() => nb.forkPlatform({ ...p, name: 'q' })).toThrow('two platforms cannot both have them')
      expect(() => nb.rewindPlatform({ ...p, to: 1 })).toThrow('what was in them then is not kept')
    } finally {
      rmSync(files, { recursive: true })
    }
  })
})

describe('a file that is no whole archive', () => {
  it('is refused by what is wrong with it', () => {
    expect(refusal({ ...archive, format: 'other' })).toContain('/archive/format')
    expect(refusal({ name: 'server', hostBridges: [] })).toContain('/archive/format is required')
    expect(refusal({ ...archive, formatVersion: 2 })).toContain('/archive/formatVersion')
    expect(refusal({ ...archive, seed: 3 })).toBe('the archive is damaged: its digest is another one')
    expect(refusal({ ...archive, commands: archive.commands.slice(1) })).toContain('digest')
  })

  it('is refused whatever single character of its state or its log has changed', () => {
    const text = JSON.stringify(archive)
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('0', 'A', '"', '}', 'x'), (index, other) => {
        fc.pre(text[index] !== other)
        let damaged: unknown
        try {
          damaged = JSON.parse(text.slice(0, index) + other + text.slice(index + 1))
        } catch {
          // No JSON any more: whoever reads the file says so.
          return
        }
        expect(refusal(damaged)).not.toBe('taken')
      }),
      { numRuns: 60 },
    )
  })
})

describe('saved state as text', () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.double(),
    fc.uint8Array({ maxLength: 9 }),
    fc.uint32Array({ maxLength: 9 }),
    fc.float64Array({ maxLength: 9 }),
    fc.constant(undefined),
  )
  const { state } = fc.letrec(tie => ({
    state: fc.oneof(
      leaf,
      fc.array(
        tie('state').map(part => part ?? null),
        { maxLength: 4 },
      ),
      fc.dictionary(fc.string({ unit: fc.constantFrom('a', 'b', '_') }), tie('state'), {
        maxKeys: 4,
        noNullPrototype: true,
      }),
    ),
  }))

  it('is read as what it was', () => {
    fc.assert(
      fc.property(state, value => {
        const saved = { value } as never
        expect(savedFromText(savedToText(saved))).toStrictEqual(saved)
      }),
    )
  })

  it('is refused where it is none', () => {
    for (const text of ['{', '{"$u8":1}', '{"$date":"x"}', '{"$u8":"AA==","more":1}', '{"$u32":"AA=="}'])
      expect(() => savedFromText(text)).toThrow('the saved state cannot be read')
  })
})
