/** Namespaces through the table of operations, and who reaches the guest of a disk on a queue pair. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { createNorthbridge, type Northbridge } from '../../src/index.ts'

const P = { platform: 'p' } as const
const PF = { ...P, function: '0000:01:00.0' } as const
const VF = '0000:01:00.1'
const folder = mkdtempSync(join(tmpdir(), 'operations-'))
afterAll(() => rmSync(folder, { recursive: true }))

let northbridge: Northbridge
const begin = (files?: string): void => {
  northbridge = createNorthbridge(files === undefined ? {} : { files })
  northbridge.createPlatform({ topology: 'nvme-sriov', name: 'p' })
  northbridge.createVm({ ...P, name: 'a', vcpus: 1, memoryMiB: 4 })
}
beforeEach(() => begin(folder))

const hash = (): string => northbridge.platformState(P).stateHash
const code = (work: () => unknown): string | undefined => {
  const before = hash()
  try {
    work()
  } catch (error) {
    expect(hash()).toBe(before)
    return (error as { code: string }).code
  }
  return undefined
}

describe('namespaces', () => {
  it('are listed once something has used the chip', () => {
    expect(northbridge.nvmeNamespaces(PF)).toEqual([])
    const made = northbridge.createNamespace({ ...PF, blocks: 64, blockSize: 4096, private: true })
    expect(made).toEqual({ id: 2, blocks: 64, blockSize: 4096, shared: false, functions: [], file: null })
    northbridge.attachNamespace({ ...PF, namespace: 2, to: VF })
    expect(northbridge.nvmeNamespaces({ ...P, function: VF })).toMatchObject([
      { id: 1, shared: true },
      { id: 2, functions: [VF] },
    ])
    northbridge.detachNamespace({ ...PF, namespace: 2, to: VF })
    northbridge.deleteNamespace({ ...PF, namespace: 2 })
    expect(northbridge.nvmeNamespaces(PF).map(({ id }) => id)).toEqual([1])
  })

  it('leave everything as it was when they are refused', () => {
    northbridge.createNamespace({ ...PF, blocks: 64 })
    expect([
      code(() => northbridge.createNamespace({ ...PF, blocks: 2 ** 30 })),
      code(() => northbridge.attachNamespace({ ...PF, namespace: 2, to: '0000:02:00.1' })),
      code(() => northbridge.detachNamespace({ ...PF, namespace: 2, to: VF })),
      code(() => northbridge.deleteNamespace({ ...PF, namespace: 9 })),
      code(() => northbridge.createNamespace({ ...P, function: '0000:03:00.0', blocks: 8 })),
      code(() => northbridge.putNamespaceOnFile({ ...PF, namespace: 9, file: 'nothing' })),
    ]).toEqual(['unsupported', 'invalidArgument', 'unsupported', 'notFound', 'invalidArgument', 'notFound'])
  })

  it('are looked for by a guest that finds none: it has no disk then, and everything is as it was', () => {
    northbridge.createNamespace({ ...PF, blocks: 64 })
    northbridge.detachNamespace({ ...PF, namespace: 1, to: VF })
    const open = () => northbridge.openDisk({ ...P, vm: 'a', model: 'virtualFunction', function: VF })
    expect(code(open)).toBe('unsupported')
    northbridge.attachNamespace({ ...PF, namespace: 2, to: VF })
    expect(open()).toMatchObject({ sectors: 64 })
  })

  it('are put on files of the folder that the installation names, and on no others', () => {
    northbridge.putNamespaceOnFile({ ...PF, namespace: 1, file: 'disk.img' })
    northbridge.openDisk({ ...P, vm: 'a', model: 'queuePair', function: PF.function })
    northbridge.writeBlocks({ ...P, vm: 'a', sector: 2, data: 'a5'.repeat(512) })
    expect(
      readFileSync(join(folder, 'disk.img'))
        .subarray(1024, 1536)
        .every(byte => byte === 0xa5),
    ).toBe(true)
    expect(code(() => northbridge.putNamespaceOnFile({ ...PF, namespace: 1, file: '../escaped' }))).toBe(
      'invalidArgument',
    )
    begin()
    expect(code(() => northbridge.putNamespaceOnFile({ ...PF, namespace: 1, file: 'disk.img' }))).toBe(
      'unsupported',
    )
  })
})

describe('a disk on a queue pair', () => {
  it('puts the guest among what the host’s function reaches, in the isolation report', () => {
    const reached = (): boolean =>
      northbridge
        .isolationReport(P)
        .functions.find(({ function: fn }) => fn === PF.function)!
        .memory.some(({ owner }) => owner.kind === 'vm' && owner.name === 'a')
    northbridge.openDisk({ ...P, vm: 'a', model: 'queuePair', function: PF.function })
    expect(reached()).toBe(true)
    northbridge.closeDisk({ ...P, vm: 'a' })
    expect(reached()).toBe(false)
  })

  it('is refused without a function', () => {
    expect(code(() => northbridge.openDisk({ ...P, vm: 'a', model: 'queuePair' }))).toBe('invalidArgument')
  })
})
