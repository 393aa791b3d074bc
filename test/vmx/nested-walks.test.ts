/**
 * Loads of paging-structure entries by the page-miss handler, counted on cold walks: n natively, (n+1)(m+1)-1 with n guest
 * levels under m levels of EPT.
 */
import { describe, expect, it } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { ApicBus } from '../../src/interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../../src/memory/index.ts'
import { LogicalProcessor } from '../../src/vmx/index.ts'
import { FIELDS } from './rig.ts'

const GUEST = 0x100_0000
const EPT = 0x20_0000
/** Guest-physical pages of the guest's tables, highest first; of the data. */
const TABLES = [0x10_000, 0x11_000, 0x12_000, 0x13_000, 0x14_000]
const DATA = 0x20_0000
const LINEAR = 0x40_1000

function machine() {
  const memory = new PhysicalMemory([{ base: 0, size: 0x400_0000 }])
  const cpu = new LogicalProcessor(
    { number: 0, apicId: 0, capabilities: { fiveLevelPaging: true } },
    {
      map: new SystemAddressMap(memory),
      bus: new ApicBus(),
      ports: { in: () => 0, out: () => undefined },
      engine: new Engine(),
    },
  )
  return { memory, cpu }
}

/** Tables of a guest at `base`, of `levels` levels whose leaf is at `leaf`: 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB. */
function writeGuestTables(memory: PhysicalMemory, base: number, levels: number, leaf: number): number {
  const tables = TABLES.slice(TABLES.length - levels)
  for (let level = levels; level >= leaf; level--) {
    const table = tables[levels - level]!
    const index = Math.floor(LINEAR / 4096 / 512 ** (level - 1)) % 512
    const next = level > leaf ? tables[levels - level + 1]! : leaf === 1 ? DATA : 0
    memory.writeDword(base + table + index * 8, (next | 0x67 | (leaf > 1 && level === leaf ? 0x80 : 0)) >>> 0)
  }
  return tables[0]!
}

/** EPT that maps the first 16 MiB (by leaf size) of guest-physical memory from GUEST, or identically for huge pages. */
function writeEpt(memory: PhysicalMemory, levels: number, leaf: number): void {
  let table = EPT
  for (let level = levels; level > leaf; level--) {
    memory.writeDword(table, (table + 0x1000) | 7)
    table += 0x1000
  }
  if (leaf === 1) {
    // One page table covers 2 MiB; the data page lies in a second one.
    memory.writeDword(table - 0x1000 + 8, (table + 0x1000) | 7)
    for (let page = 0; page < 1024; page++) {
      memory.writeDword(table + page * 8, (GUEST + page * 4096) | 0x37)
    }
  } else {
    const size = 4096 * 512 ** (leaf - 1)
    for (let i = 0; i < 8; i++) {
      memory.writeDword(table + i * 8, ((leaf === 2 ? GUEST : 0) + i * size) | 0xb7)
    }
  }
}

/** References of one cold access: [to the guest's tables, to EPT]. */
function coldWalk(n: number, m: number, guestLeaf = 1, eptLeaf = 1): readonly [number, number] {
  const { memory, cpu } = machine()
  const root = writeGuestTables(memory, eptLeaf === 3 ? 0 : GUEST, n, guestLeaf)
  writeEpt(memory, m, eptLeaf)
  cpu.execute({ op: 'wrmsr', msr: 0x3a, value: [5, 0] })
  const revision = cpu.execute({ op: 'rdmsr', msr: 0x480 }).low & 0x7fff_ffff
  for (const region of [0x1000, 0x2000]) memory.writeDword(region, revision)
  cpu.execute({ op: 'vmxon', address: 0x1000 })
  cpu.execute({ op: 'vmclear', address: 0x2000 })
  cpu.execute({ op: 'vmptrld', address: 0x2000 })
  for (const [field, low, high = 0] of FIELDS) cpu.execute({ op: 'vmwrite', field, value: [low, high] })
  const pointer = EPT | 6 | ((m - 1) << 3)
  cpu.execute({ op: 'vmwrite', field: 0x201a, value: [pointer, 0] })
  cpu.execute({ op: 'vmwrite', field: 0x6802, value: [root, 0] })
  cpu.execute({ op: 'vmwrite', field: 0x6804, value: [n === 5 ? 0x3020 : 0x2020, 0] })
  expect(cpu.execute({ op: 'vmlaunch' }).outcome).toBe('done')
  const before = cpu.walkCounts()
  const result = cpu.execute({ op: 'readLinear', address: [LINEAR, 0], width: 4 })
  expect(result.outcome).toBe('done')
  const after = cpu.walkCounts()
  // A second access finds everything in the caches.
  cpu.execute({ op: 'readLinear', address: [LINEAR, 0], width: 4 })
  expect(cpu.walkCounts()).toEqual(after)
  expect(after.misses - before.misses).toBe(1)
  return [after.paging - before.paging, after.nested - before.nested]
}

const formula = (n: number, m: number): number => (n + 1) * (m + 1) - 1

describe('a cold two-dimensional walk', () => {
  it.each([
    [4, 4, 24],
    [5, 4, 29],
    [4, 5, 29],
    [5, 5, 35],
  ])('of %i guest levels under %i EPT levels makes %i references', (n, m, references) => {
    const [paging, nested] = coldWalk(n, m)
    expect(paging).toBe(n)
    expect(paging + nested).toBe(references)
    expect(references).toBe(formula(n, m))
  })

  it.each([
    ['2-MiB guest page, 4-KiB EPT', 2, 1, formula(3, 4)],
    ['4-KiB guest page, 2-MiB EPT', 1, 2, formula(4, 3)],
    ['2-MiB pages in both', 2, 2, formula(3, 3)],
    ['1-GiB pages in both', 3, 3, formula(2, 2)],
  ])('with a %s has fewer levels', (_name, guestLeaf, eptLeaf, references) => {
    const [paging, nested] = coldWalk(4, 4, guestLeaf, eptLeaf)
    expect(paging + nested).toBe(references)
  })
})

describe('a cold one-dimensional walk', () => {
  it.each([4, 5])('of %i levels makes as many references', levels => {
    const { memory, cpu } = machine()
    const root = writeGuestTables(memory, 0, levels, 1)
    if (levels === 5) {
      // LA57 changes only outside IA-32e mode.
      cpu.execute({ op: 'jumpFar', bits: 32 })
      cpu.execute({ op: 'movToCr', cr: 0, value: [0x1_0031, 0] })
      cpu.execute({ op: 'movToCr', cr: 4, value: [0x1020, 0] })
      cpu.execute({ op: 'movToCr', cr: 3, value: [root, 0] })
      cpu.execute({ op: 'wrmsr', msr: 0xc000_0080, value: [0x901, 0] })
      cpu.execute({ op: 'movToCr', cr: 0, value: [0x8001_0031, 0] })
    } else cpu.execute({ op: 'movToCr', cr: 3, value: [root, 0] })
    const before = cpu.walkCounts()
    expect(cpu.execute({ op: 'readLinear', address: [LINEAR, 0], width: 4 }).outcome).toBe('done')
    const after = cpu.walkCounts()
    expect([after.paging - before.paging, after.nested - before.nested]).toEqual([levels, 0])
  })
})
