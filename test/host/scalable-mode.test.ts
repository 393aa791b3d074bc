import { describe, expect, it } from 'vitest'
import { type Booted, boot, machine } from './machine.ts'

const PF = '0000:01:00.0'
const VF = '0000:01:10.0'
const READ_WRITE = { read: true, write: true }
const SM = 'intel_iommu=on,sm_on'

/** Both stages, with all that goes with them. */
const BOTH = { SMTS: 1, FSTS: 1, SSTS: 1, SMPWCS: 1, SSADS: 1 } as const

/** Tables below an entry, read as 64-bit integers at literal offsets. */
function qword(booted: Booted, address: number): bigint {
  const { port } = booted.platform
  return (BigInt(port.readDword(address + 4) >>> 0) << 32n) | BigInt(port.readDword(address) >>> 0)
}

const pointer = (entry: bigint): number => Number(entry & 0xf_ffff_ffff_f000n)

/** "PGTT" of a requester's PASID 0, by root, context, directory and table. */
function pasidEntry(booted: Booted, rid: number): { pgtt: number; words: bigint[] } {
  const root = pointer(qword(booted, 0xfed9_0020))
  const half = (rid & 0x80) === 0 ? 0 : 8
  const contexts = pointer(qword(booted, root + (rid >>> 8) * 16 + half))
  const context = qword(booted, contexts + (rid & 0x7f) * 32)
  expect(context & 1n).toBe(1n)
  const directory = qword(booted, pointer(context))
  expect(directory & 1n).toBe(1n)
  const words = Array.from({ length: 8 }, (_, i) => qword(booted, pointer(directory) + i * 8))
  expect(words[0]! & 1n).toBe(1n)
  return { pgtt: Number((words[0]! >> 6n) & 7n), words }
}

describe('scalable mode', () => {
  it('is what a unit runs in if it has it and the command line asks for it', () => {
    const ttm = (capabilities: object, commandLine: string): number => {
      const { platform } = boot(machine(capabilities), { commandLine })
      return (platform.port.readDword(0xfed9_0020) >>> 10) & 3
    }
    expect(ttm(BOTH, 'intel_iommu=on')).toBe(0)
    expect(ttm(BOTH, SM)).toBe(1)
    expect(ttm({}, SM)).toBe(0)
  })

  it('gives the kernel first-stage tables, and users second-stage ones, where there are both', () => {
    const booted = boot(machine(BOTH), { commandLine: SM, bootVfs: { [PF]: 1 } })
    expect(pasidEntry(booted, 0x0100).pgtt).toBe(1)
    booted.run(booted.host.vfio.attach(VF, 'guest'))
    expect(pasidEntry(booted, 0x0180).pgtt).toBe(2)
  })

  it.each([
    ['first', { ...BOTH, SSTS: 0, SSADS: 0 }, 1],
    ['second', { ...BOTH, FSTS: 0 }, 2],
  ])('uses the %s stage for everybody where there is no other', (_, capabilities, pgtt) => {
    const booted = boot(machine(capabilities), { commandLine: SM, bootVfs: { [PF]: 1 } })
    booted.run(booted.host.vfio.attach(VF, 'guest'))
    expect(pasidEntry(booted, 0x0100).pgtt).toBe(pgtt)
    expect(pasidEntry(booted, 0x0180).pgtt).toBe(pgtt)
  })

  it('passes addresses through with iommu=pt', () => {
    const booted = boot(machine(BOTH), { commandLine: `${SM} iommu=pt` })
    expect(pasidEntry(booted, 0x0100).pgtt).toBe(4)
    expect(booted.dma(PF, true, 0x2000)).toMatchObject({ ended: 'memory', page: 0x2000 })
  })

  it.each([
    ['first-stage', { ...BOTH, SSTS: 0, SSADS: 0 }],
    ['second-stage', { ...BOTH, FSTS: 0 }],
    ['first-stage, where walks are not snooped and no bit can be set', { SMTS: 1, FSTS: 1 }],
    ['five-level first-stage', { SMTS: 1, FSTS: 1, FS5LP: 1, MGAW: 56, SAGAW: 0b1100 }],
  ])('translates an assigned function by %s tables, and forgets what is unmapped', (_, capabilities) => {
    const booted = boot(machine(capabilities), { commandLine: SM, bootVfs: { [PF]: 2 } })
    const { host, run, dma } = booted
    const before = host.save()
    const handle = run(host.vfio.attach(VF, 'guest'))
    handle.writeConfig(4, 2, 0x4)
    const small = host.memory.allocate(3)
    const large = host.memory.allocate(512, 512)
    run(handle.map(0x1000, small, 3, READ_WRITE))
    run(handle.map(0x4000_0000, large, 512, READ_WRITE))
    expect(dma(VF, true, 1)).toMatchObject({ ended: 'memory', page: small })
    expect(dma(VF, false, 3)).toMatchObject({ ended: 'memory', page: small + 2 })
    expect(dma(VF, true, 0x4_0000 + 77)).toMatchObject({ ended: 'memory', page: large + 77 })
    expect(dma(VF, true, 4).ended).toBe('fault')
    run(handle.unmap(0x4000_0000, 512))
    expect(dma(VF, true, 0x4_0000 + 77).ended).toBe('fault')
    run(handle.unmap(0x1000, 3))
    expect(dma(VF, true, 1).ended).toBe('fault')
    host.memory.free(small, 3)
    host.memory.free(large, 512)
    run(handle.release())
    expect(host.save()).toEqual(before)
  })

  it('of a unit beside one without it, with second-stage tables that both walk', () => {
    const units = [
      { id: 'old', capabilities: {} },
      { id: 'new', includeAll: true, capabilities: BOTH },
    ]
    const document = machine({}, { iommu: { kind: 'intel-vtd', units } })
    document.hostBridges[0]!.devices![1]!.remappingUnit = 'old'
    const booted = boot(document, { commandLine: SM })
    const { port } = booted.platform
    const base = (n: number): number => booted.platform.port.board.remapping.units[n]!.registerBase
    expect((port.readDword(base(0) + 0x20) >>> 10) & 3).toBe(0)
    expect((port.readDword(base(1) + 0x20) >>> 10) & 3).toBe(1)
    const buffer = booted.run(booted.host.allocateBuffer('0000:00:1f.2', 1, READ_WRITE))
    expect(booted.dma('0000:00:1f.2', true, buffer.address / 4096)).toMatchObject({ page: buffer.hostPage })
  })
})

describe('dirty pages', () => {
  const tracked = (): Booted & { handle: ReturnType<typeof attach>; page: number } => {
    const booted = boot(machine(BOTH), { commandLine: SM, bootVfs: { [PF]: 1 } })
    const handle = attach(booted)
    const page = booted.host.memory.allocate(1024, 512)
    booted.run(handle.map(0, page, 1024, READ_WRITE))
    booted.run(handle.map(0x1000_0000, page, 3, READ_WRITE))
    booted.run(handle.trackDirty(true))
    return { ...booted, handle, page }
  }
  const attach = (booted: Booted) => {
    const handle = booted.run(booted.host.vfio.attach(VF, 'guest'))
    handle.writeConfig(4, 2, 0x4)
    return handle
  }

  it('are those that a device wrote since they were last read', () => {
    const { run, dma, handle } = tracked()
    const dirty = () => [...run(handle.dirtyPages(0x1000_0000, 3))]
    expect(dirty()).toEqual([0])
    dma(VF, false, 0x1_0000)
    expect(dirty()).toEqual([0])
    dma(VF, true, 0x1_0001)
    expect(dirty()).toEqual([0b010])
    expect(dirty()).toEqual([0])
    // The IOTLB held a translation that was dirty already: it had to be forgotten.
    dma(VF, true, 0x1_0001)
    dma(VF, true, 0x1_0002)
    expect(dirty()).toEqual([0b110])
  })

  it('come in the size of the leaf', () => {
    const { run, dma, handle } = tracked()
    dma(VF, true, 515)
    const bitmap = run(handle.dirtyPages(0, 1024))
    expect([...bitmap.subarray(0, 64)].every(byte => byte === 0)).toBe(true)
    expect([...bitmap.subarray(64)].every(byte => byte === 0xff)).toBe(true)
  })

  it('are not known unless tracked, nor on units that set no dirty bits', () => {
    const { run, handle } = tracked()
    run(handle.trackDirty(false))
    expect(() => run(handle.dirtyPages(0, 1))).toThrow(/not tracked/)
    const plain = boot(machine(), { bootVfs: { [PF]: 1 } })
    expect(() => plain.run(attach(plain).trackDirty(true))).toThrow(/ECAP.SSADS/)
    const first = boot(machine({ ...BOTH, SSTS: 0, SSADS: 0 }), { commandLine: SM, bootVfs: { [PF]: 1 } })
    expect(() => first.run(attach(first).trackDirty(true))).toThrow(/ECAP.SSADS/)
  })
})
