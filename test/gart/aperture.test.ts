import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { ApertureUnit } from '../../src/gart/index.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import { MemoryRequest } from '../../src/pcie/index.ts'

const APCTL = 0x00
const APBASE = 0x08
const APTABLE = 0x10
const APERR = 0x18
const ENABLE = 1
const FLUSH = 0x100
const ALL = 0xffff_ffff
const MIB = 2 ** 20
const SUCCESSFUL = 0
const COMPLETER_ABORT = 4

/** The aperture lies at 1 GiB, where there is no RAM; the table at 1 MiB. */
const APERTURE = 0x4000_0000
const TABLE = 0x10_0000

let memory: PhysicalMemory
let unit: ApertureUnit
beforeEach(() => {
  memory = new PhysicalMemory([{ base: 0, size: 0x1000_0000 }])
  unit = new ApertureUnit({ id: 'gart' }, memory)
})

function program(size = 0): void {
  unit.writeDword(APBASE, APERTURE, ALL)
  unit.writeDword(APTABLE, TABLE, ALL)
  unit.writeDword(APCTL, ENABLE | (size << 1), ALL)
}

const write = (index: number, entry: number): void => {
  memory.writeDword(TABLE + index * 4, entry)
}

function translate(address: number, requesterId = 0x0100, isWrite = true): MemoryRequest {
  const request = new MemoryRequest()
  request.begin()
  request.requesterId = requesterId
  request.write = isWrite
  request.page = Math.floor(address / 4096)
  unit.translate(request)
  return request
}

describe('an aperture', () => {
  it('does nothing until it is enabled', () => {
    unit.writeDword(APBASE, APERTURE, ALL)
    unit.writeDword(APTABLE, TABLE, ALL)
    expect(translate(APERTURE)).toMatchObject({ physicalPage: APERTURE / 4096, tableReads: 0 })
  })

  it.each([0, 1, 6])('of size %d covers 32 MiB times two to that power, and passes all else', size => {
    program(size)
    const bytes = 32 * MIB * 2 ** size
    const base = APERTURE - (APERTURE % bytes)
    expect(translate(base - 4096)).toMatchObject({ physicalPage: base / 4096 - 1, status: SUCCESSFUL })
    expect(translate(base + bytes)).toMatchObject({ physicalPage: (base + bytes) / 4096, status: SUCCESSFUL })
    expect(translate(base).status).toBe(COMPLETER_ABORT)
    expect(translate(base + bytes - 4096).status).toBe(COMPLETER_ABORT)
  })

  it('puts a page where its entry says, bits 39:32 of the address from bits 11:4 of the entry', () => {
    program()
    write(3, 0x1234_5001)
    write(4, 0x1234_5a51)
    expect(translate(APERTURE + 3 * 4096).physicalPage).toBe(0x1_2345)
    expect(translate(APERTURE + 4 * 4096).physicalPage).toBe(0xa51_2345)
  })

  it('does not look at who asks, nor whether to read or to write', () => {
    program()
    write(0, 0x0200_0001)
    for (const requester of [0x0100, 0x0210, 0xffff]) {
      for (const isWrite of [false, true]) {
        expect(translate(APERTURE, requester, isWrite).physicalPage).toBe(0x2000)
      }
    }
  })

  it('goes on using an entry that it has read, until it is flushed', () => {
    program()
    write(0, 0x0200_0001)
    expect(translate(APERTURE)).toMatchObject({ physicalPage: 0x2000, tableReads: 1, iotlbHit: false })
    write(0, 0x0300_0001)
    expect(translate(APERTURE)).toMatchObject({ physicalPage: 0x2000, tableReads: 0, iotlbHit: true })
    unit.writeDword(APCTL, ENABLE | FLUSH, ALL)
    expect(unit.readDword(APCTL)).toBe(ENABLE)
    expect(translate(APERTURE).physicalPage).toBe(0x3000)
  })

  it('aborts an access without valid entry, and keeps the first until it is cleared', () => {
    program()
    expect(translate(APERTURE + 0x5000, 0x0100, true).status).toBe(COMPLETER_ABORT)
    expect(translate(APERTURE + 0x6000, 0x0100, false).status).toBe(COMPLETER_ABORT)
    expect(unit.readDword(APERR)).toBe(APERTURE + 0x5003)
    unit.writeDword(APERR, 1, ALL)
    expect(unit.readDword(APERR)).toBe(0)
    translate(APERTURE + 0x6000, 0x0100, false)
    expect(unit.readDword(APERR)).toBe(APERTURE + 0x6001)
  })

  it('takes a table outside memory for one without valid entries', () => {
    program()
    unit.writeDword(APTABLE, 0x2000_0000, ALL)
    expect(translate(APERTURE).status).toBe(COMPLETER_ABORT)
  })

  it('explains what it does without doing it', () => {
    program()
    write(1, 0x0200_0001)
    const before = unit.save()
    expect(unit.explain(1, 0)).toMatchObject({ outcome: 'notTranslated', physicalAddress: '0x1000' })
    expect(unit.explain(APERTURE / 4096 + 1, 0x123)).toMatchObject({
      outcome: 'translated',
      physicalAddress: '0x2000123',
      steps: [{}, { entryAddress: '0x100004', raw: '0x02000001', from: 'memory' }],
    })
    expect(unit.explain(APERTURE / 4096, 0)).toMatchObject({ outcome: 'blocked' })
    expect(unit.save()).toEqual(before)
  })

  it('is after loading what it was when saved, and empty after reset', () => {
    program(2)
    write(0, 0x0200_0001)
    translate(APERTURE)
    translate(APERTURE + 4096)
    const saved = unit.save()
    const other = new ApertureUnit({ id: 'gart' }, memory)
    other.load(structuredClone(saved))
    expect(other.save()).toEqual(saved)
    expect(other.registers()).toEqual(unit.registers())
    unit.reset()
    expect(unit.save()).toEqual(new ApertureUnit({ id: 'gart' }, memory).save())
  })

  it('answers every access as its table alone says, whatever was flushed', () => {
    const step = fc.record({
      index: fc.nat(70),
      entry: fc.constantFrom(0, 0x0200_0001, 0x0300_0011, 0x0400_0000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        unit.reset()
        program()
        const table = new Map<number, number>()
        for (const { index, entry } of steps) {
          write(index, entry)
          table.set(index, entry)
          unit.writeDword(APCTL, ENABLE | FLUSH, ALL)
          for (const [at, value] of table) {
            const request = translate(APERTURE + at * 4096)
            expect(request.status).toBe(value & 1 ? SUCCESSFUL : COMPLETER_ABORT)
            const page = (value >>> 12) + ((value >>> 4) & 0xff) * 2 ** 20
            if (value & 1) expect(request.physicalPage).toBe(page)
          }
        }
        for (let index = 0; index <= 70; index++) write(index, 0)
      }),
      { numRuns: 40 },
    )
  })
})
