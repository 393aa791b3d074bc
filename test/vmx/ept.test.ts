import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import { exitOf, GUEST_MEMORY, guestRig, PD, PDPT, PML4, PT, type Rig } from './rig.ts'

const READ: Operation = { op: 'read', address: 0x5000, width: 4 }
const WRITE: Operation = { op: 'write', address: 0x5000, width: 4, value: [1, 0] }
const FETCH: Operation = { op: 'fetch', address: 0x5000 }
/** Entry of guest page 5. */
const PTE = PT + 5 * 8
const LEAF = GUEST_MEMORY + 0x5000

/** A guest with one entry of the tables replaced: [address, low, high]. */
const withEntry = (...entries: readonly (readonly [number, number, number?])[]): Rig =>
  guestRig(rig => {
    for (const [address, low, high = 0] of entries) {
      rig.map.writeDword(address, low)
      rig.map.writeDword(address + 4, high)
    }
  })

describe('guest memory', () => {
  it('is host memory at the page that the tables name', () => {
    const rig = guestRig()
    rig.run({ op: 'write', address: 0x5ffc, width: 8, value: [0x1111_1111, 0x2222_2222] })
    expect(rig.dword(GUEST_MEMORY + 0x5ffc)).toBe(0x1111_1111)
    expect(rig.dword(GUEST_MEMORY + 0x6000)).toBe(0x2222_2222)
    expect(rig.run({ op: 'read', address: 0x5ffc, width: 8 })).toMatchObject({
      low: 0x1111_1111,
      high: 0x2222_2222,
    })
  })

  it.each([
    ['2 MiB', [[PD + 8, 0x120_0000 | 0xb7]], 0x20_5008, 0x120_5008],
    ['1 GiB', [[PDPT + 8, 0xb7]], 0x4123_4560, 0x0123_4560],
  ] as const)('of a %s page', (_, entries, guest, host) => {
    const rig = withEntry(...entries)
    rig.run({ op: 'write', address: guest, width: 4, value: [0xcafe, 0] })
    expect(rig.dword(host)).toBe(0xcafe)
  })

  it('may be a register window', () => {
    const rig = withEntry([PTE, 0xf000_0037])
    const seen: [number, number, number][] = []
    rig.map.add({
      name: 'device',
      base: 0xf000_0000,
      size: 0x1000,
      target: {
        readDword: offset => 0xab00_0000 + offset,
        writeDword: (offset, value, lanes) => void seen.push([offset, value, lanes]),
      },
    })
    expect(rig.run({ op: 'read', address: 0x5010, width: 4 }).low).toBe(0xab00_0010)
    expect(rig.run({ op: 'read', address: 0x5013, width: 1 }).low).toBe(0xab)
    expect(rig.run({ op: 'read', address: 0x5010, width: 8 })).toMatchObject({
      low: 0xab00_0010,
      high: 0xab00_0014,
    })
    rig.run({ op: 'write', address: 0x5012, width: 2, value: [0x1234, 0] })
    rig.run({ op: 'write', address: 0x5018, width: 8, value: [1, 2] })
    expect(seen).toEqual([
      [0x10, 0x1234_0000, 0xffff_0000],
      [0x18, 1, 0xffff_ffff],
      [0x1c, 2, 0xffff_ffff],
    ])
  })

  it('without EPT is host-physical memory', () => {
    const rig = guestRig(r => r.vmwrite(0x401e, 0))
    rig.run(WRITE)
    expect(rig.dword(0x5000)).toBe(1)
  })
})

describe('an EPT violation', () => {
  it.each([
    ['a read of a page that is not present', READ, 0, 0x781],
    ['a write of a page that is not present', WRITE, 0, 0x782],
    ['a fetch of a page that is not present', FETCH, 0, 0x784],
    ['a write of a read-only page', WRITE, 1, 0x782 | 0x08],
    ['a write of a read-execute page', WRITE, 5, 0x782 | 0x28],
    ['a fetch of a read-write page', FETCH, 3, 0x784 | 0x18],
    ['a read of an execute-only page', READ, 4, 0x781 | 0x20],
  ] as const)(
    '%s exits 48 with access and rights in the qualification',
    (_, operation, rights, qualification) => {
      const rig = withEntry([PTE, rights === 0 ? 0 : LEAF | 0x30 | rights])
      expect(rig.run(operation).outcome).toBe('vmExit')
      expect(exitOf(rig)).toMatchObject({ reason: 48, qualification })
      expect(rig.run({ op: 'vmread', field: 0x2400 })).toMatchObject({ low: 0x5000, high: 0 })
      expect(rig.run({ op: 'vmread', field: 0x640a })).toMatchObject({ low: 0x5000, high: 0 })
      expect(rig.vmread(0x6820)).toBe(0x1_0202)
    },
  )

  it('combines the rights of all levels', () => {
    const rig = withEntry([PD, PT | 1])
    rig.run(WRITE)
    expect(exitOf(rig)).toMatchObject({ reason: 48, qualification: 0x782 | 0x08 })
  })

  it('of an access that crosses pages names the page refused, and nothing is written', () => {
    const rig = withEntry([PT + 6 * 8, 0])
    expect(rig.run({ op: 'write', address: 0x5ffe, width: 4, value: [0xffff_ffff, 0] }).outcome).toBe(
      'vmExit',
    )
    expect(rig.vmread(0x2400)).toBe(0x6000)
    expect(rig.dword(GUEST_MEMORY + 0x5ffc)).toBe(0)
  })

  it('of an address wider than 48 bits', () => {
    const rig = guestRig()
    rig.run({ op: 'read', address: 2 ** 48 + 0x5000, width: 4 })
    expect(exitOf(rig)).toMatchObject({ reason: 48, qualification: 0x781 })
    expect(rig.run({ op: 'vmread', field: 0x2400 })).toMatchObject({ low: 0x5000, high: 0x1_0000 })
  })

  it('of an entry whose bits 2:0 are 0 is no misconfiguration, whatever else is set', () => {
    const rig = withEntry([PTE, 0xffff_fff8, 0xffff_ffff])
    rig.run(READ)
    expect(exitOf(rig)).toMatchObject({ reason: 48, qualification: 0x781 })
  })
})

describe('an EPT misconfiguration', () => {
  it.each([
    ['W without R', [PTE, LEAF | 0x32]],
    ['W and X without R', [PTE, LEAF | 0x36]],
    ['W without R in a table entry', [PDPT, PD | 2]],
    ['memory type 2', [PTE, LEAF | 0x17]],
    ['memory type 3', [PTE, LEAF | 0x1f]],
    ['memory type 7', [PTE, LEAF | 0x3f]],
    ['an address beyond MAXPHYADDR', [PTE, LEAF | 0x37, 1 << 14]],
    ['bit 7 in a PML4 entry', [PML4, PDPT | 0x87]],
    ['bit 3 in a PML4 entry', [PML4, PDPT | 0x0f]],
    ['bit 6 in a PDPT entry that names a table', [PDPT, PD | 0x47]],
    ['bit 4 in a PD entry that names a table', [PD, PT | 0x17]],
    ['a 2-MiB page not aligned', [PD, 0x120_1000 | 0xb7]],
    ['a 1-GiB page not aligned', [PDPT, 0x120_0000 | 0xb7]],
    ['a table where there is no memory', [PD, 0x800_0007]],
  ] as const)('%s exits 49 with the guest-physical address', (_, entry) => {
    const rig = withEntry(entry)
    expect(rig.run(READ).outcome).toBe('vmExit')
    expect(exitOf(rig)).toMatchObject({ reason: 49, qualification: 0 })
    expect(rig.vmread(0x2400)).toBe(0x5000)
  })

  it('wins over missing rights above it', () => {
    const rig = withEntry([PD, PT | 1], [PTE, LEAF | 0x32])
    rig.run(WRITE)
    expect(rig.vmread(0x4402)).toBe(49)
  })
})

describe('accessed and dirty flags', () => {
  const enable = (rig: Rig): void => rig.vmwrite(0x201a, PML4 | 0x5e)

  it('are not set while EPTP bit 6 is 0', () => {
    const rig = guestRig()
    rig.run(WRITE)
    expect(rig.dword(PTE) & 0x300).toBe(0)
  })

  it('a read sets A along the walk, a write D in the leaf, also after the mapping was cached', () => {
    const rig = guestRig(enable)
    rig.run(READ)
    expect([PML4, PDPT, PD, PTE].map(entry => rig.dword(entry) & 0x300)).toEqual([0x100, 0x100, 0x100, 0x100])
    rig.run(WRITE)
    expect([PML4, PDPT, PD, PTE].map(entry => rig.dword(entry) & 0x300)).toEqual([0x100, 0x100, 0x100, 0x300])
  })
})

describe('the EPT cache', () => {
  it('keeps a mapping over VM exits and entries until INVEPT', () => {
    const rig = guestRig()
    rig.run(READ)
    rig.map.writeDword(PTE, 0x180_0037)
    rig.map.writeDword(0x180_0000, 0x7777)
    expect(rig.run(READ).low).toBe(0)
    rig.run({ op: 'vmcall', number: 0 })
    rig.run({ op: 'vmresume' })
    expect(rig.run(READ).low).toBe(0)
    rig.run({ op: 'vmcall', number: 0 })
    rig.run({ op: 'invept', type: 1, eptp: [0x20_001e, 0] })
    rig.run({ op: 'vmresume' })
    expect(rig.run(READ).low).toBe(0)
    rig.run({ op: 'vmcall', number: 0 })
    rig.run({ op: 'invept', type: 1, eptp: [PML4 | 0x1e, 0] })
    rig.run({ op: 'vmresume' })
    expect(rig.run(READ).low).toBe(0x7777)
  })

  it('never holds what is not present: giving a right needs no INVEPT', () => {
    const rig = withEntry([PTE, LEAF | 0x31])
    rig.run(READ)
    rig.run(WRITE)
    expect(rig.vmread(0x4402)).toBe(48)
    rig.map.writeDword(PTE, LEAF | 0x37)
    rig.run({ op: 'vmresume' })
    expect(rig.run(WRITE).outcome).toBe('done')
  })

  it('taking a right away shows only after INVEPT', () => {
    const rig = guestRig()
    rig.run(WRITE)
    rig.map.writeDword(PTE, 0)
    expect(rig.run(WRITE).outcome).toBe('done')
    rig.run({ op: 'vmcall', number: 0 })
    rig.run({ op: 'invept', type: 2 })
    rig.run({ op: 'vmresume' })
    expect(rig.run(WRITE).outcome).toBe('vmExit')
    expect(rig.vmread(0x4402)).toBe(48)
  })

  it('tells tables apart: another EPTP does not hit', () => {
    const rig = guestRig()
    rig.run(READ)
    rig.run({ op: 'vmcall', number: 0 })
    rig.map.writeDword(0x20_0000, 0)
    rig.vmwrite(0x201a, 0x20_001e)
    rig.run({ op: 'vmresume' })
    expect(rig.run(READ).outcome).toBe('vmExit')
    expect(rig.vmread(0x4402)).toBe(48)
  })
})

describe('the walk', () => {
  const WIDTH = 46n
  type Read = (address: bigint) => bigint
  type Walk = { host: bigint } | { reason: 48; rights: number } | { reason: 49 }

  /** The manual's tables once more, with 64-bit entries. */
  function reference(read: Read, guest: bigint, access: number): Walk {
    let table = BigInt(PML4)
    let rights = 7n
    for (let level = 4; ; level--) {
      const shift = BigInt(12 + 9 * (level - 1))
      const entry = read(table + ((guest >> shift) & 511n) * 8n)
      if ((entry & 7n) === 0n) return { reason: 48, rights: 0 }
      const leaf = level === 1 || (level < 4 && (entry & 0x80n) !== 0n)
      const address = entry & 0xf_ffff_ffff_f000n
      const misconfigured =
        (entry & 3n) === 2n ||
        address >> WIDTH !== 0n ||
        (leaf
          ? [2n, 3n, 7n].includes((entry >> 3n) & 7n) || address % (1n << shift) !== 0n
          : (entry & (level === 4 ? 0xf8n : 0x78n)) !== 0n)
      if (misconfigured) return { reason: 49 }
      rights &= entry
      if (!leaf) {
        table = address
        continue
      }
      if ((Number(rights) & access) === 0) return { reason: 48, rights: Number(rights) }
      return { host: address + (guest & ((1n << shift) - 1n)) }
    }
  }

  /** Mostly sensible entries, with any low bits and sometimes a wild high word. */
  const entry = (table: number) =>
    fc.record({
      low: fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: 0, max: 7 }).map(bits => table | bits) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xfff }).map(bits => table | bits) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xff }).map(bits => 0x4000_0000 | 0x80 | bits) },
      ),
      high: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(0xff_ffff) }),
    })

  it('equals a bigint walk of the same tables, for every access', () => {
    fc.assert(
      fc.property(
        fc.tuple(entry(PDPT), entry(PD), entry(PT), entry(GUEST_MEMORY + 0x3000)),
        fc.constantFrom(0x5123, 0x12_3456, 0x1fff_ffff, 0x40_0000_0000, 0x7f_8040_2008),
        fc.constantFrom('read', 'write', 'fetch'),
        (entries, guest, kind) => {
          const guestRun = guestRig(r => {
            for (const [i, table] of [PML4, PDPT, PD, PT].entries()) {
              const at = table + Number((BigInt(guest) >> BigInt(39 - 9 * i)) & 511n) * 8
              r.map.writeDword(at, entries[i]!.low)
              r.map.writeDword(at + 4, entries[i]!.high)
            }
          })
          const read: Read = address => {
            const at = Number(address)
            return BigInt(guestRun.dword(at)) | (BigInt(guestRun.dword(at + 4)) << 32n)
          }
          const access = { read: 1, write: 2, fetch: 4 }[kind]
          const expected = reference(read, BigInt(guest), access)
          const operation: Operation =
            kind === 'fetch'
              ? { op: 'fetch', address: guest }
              : kind === 'read'
                ? { op: 'read', address: guest, width: 1 }
                : { op: 'write', address: guest, width: 1, value: [0x5a, 0] }
          const { outcome } = guestRun.run(operation)
          if ('host' in expected) {
            expect(outcome).toBe('done')
            const [mapping] = guestRun.cpu.eptCache()
            expect(BigInt(mapping!.hostPage)).toBe(expected.host >> 12n)
          } else {
            expect(outcome).toBe('vmExit')
            expect(guestRun.vmread(0x4402)).toBe(expected.reason)
            const qualification = expected.reason === 48 ? access | (expected.rights << 3) | 0x780 : 0
            expect(guestRun.vmread(0x6400)).toBe(qualification)
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})
