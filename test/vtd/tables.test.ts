/**
 * Every row of the specification's tables is met by a scenario: reason codes with their qualification, reserved bits of
 * every structure, invalidation descriptors, rules of interrupt remapping entries. What no source explains is listed
 * with the reason.
 */
import { describe, expect, test } from 'vitest'
import { DESCRIPTOR_ROWS, narrow, wide } from './descriptor-table.ts'
import { FAULT_ROWS, UNKNOWN_ROWS } from './fault-table.ts'
import { INTERRUPT_RULES } from './irte-table.ts'
import { OnePage, S_QUEUE, TYPE } from './one-page-fixture.ts'
import { RESERVED_ROWS } from './reserved-table.ts'

const hex = (code: number): string => `${code.toString(16).toUpperCase().padStart(2, '0')}h`

describe('fault reasons', () => {
  test.each(
    FAULT_ROWS.map(([code, id, qualified, scenario]) => [hex(code), id, code, qualified, scenario] as const),
  )('%s %s is met, and recorded unless FPD may suppress it', (_, __, code, qualified, scenario) => {
    expect(scenario(false)).toEqual({ reason: code, recorded: true })
    const suppressed = scenario(true)
    expect(suppressed.recorded).toBe(!qualified)
    // A page request that is refused unrecorded has no other witness than its answer.
    if (suppressed.reason !== -1) expect(suppressed.reason).toBe(code)
  })

  test('every code of the table has its row, met or unknown', () => {
    const ranges: readonly (readonly [first: number, last: number])[] = [
      [0x01, 0x0e],
      [0x20, 0x29],
      [0x30, 0x33],
      [0x38, 0x3a],
      [0x40, 0x48],
      [0x50, 0x52],
      [0x58, 0x5d],
      [0x70, 0x7d],
      [0x80, 0x89],
      [0x90, 0x91],
    ]
    const all = ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
    const listed = [...FAULT_ROWS, ...UNKNOWN_ROWS].map(([code]) => code).sort((a, b) => a - b)
    expect(listed).toEqual(all)
  })

  test.each(UNKNOWN_ROWS.map(([code, id, why]) => [hex(code), id, why]))(
    '%s %s is left out: %s',
    (_, __, why) => {
      expect(why).not.toBe('')
    },
  )
})

describe('reserved bits', () => {
  test.each(RESERVED_ROWS.map(row => [row.name, hex(row.code), row] as const))('%s: %s', (_, __, row) => {
    expect(row.make().ask(), 'nothing reserved is set').toBe(0)
    for (const [high, low] of row.bits) {
      for (let bit = low; bit <= high; bit++) {
        const { t, ask } = row.make()
        t.store(row.address, t.load(row.address) | (1n << BigInt(bit)))
        expect(ask(), `bit ${bit}`).toBe(row.code)
      }
    }
  })
})

describe('invalidation descriptors', () => {
  const bitsOf = (ranges: readonly (readonly [number, number])[]): readonly number[] =>
    ranges.flatMap(([high, low]) => Array.from({ length: high - low + 1 }, (_, i) => low + i))

  describe.each(DESCRIPTOR_ROWS.map(row => [row.type, row.name, row] as const))(
    'type %i, %s',
    (_, __, row) => {
      test.each(row.good)('%s is done', (_use, low, high) => {
        expect(wide([low, high])).toBe(0)
        expect(narrow(low, high)).toBe(row.wideOnly ? 3 : 0)
      })

      test('a reserved bit stops the queue', () => {
        const [, low, high] = row.good[0]!
        for (const bit of bitsOf(row.reserved[0])) {
          expect(wide([low | (1n << BigInt(bit)), high]), `bit ${bit}`).toBe(4)
          if (!row.wideOnly) expect(narrow(low | (1n << BigInt(bit)), high), `bit ${bit}`).toBe(4)
        }
        for (const bit of bitsOf(row.reserved[1])) {
          expect(wide([low, high | (1n << BigInt(bit))]), `bit ${64 + bit}`).toBe(4)
          if (!row.wideOnly) expect(narrow(low, high | (1n << BigInt(bit))), `bit ${64 + bit}`).toBe(4)
        }
        for (const bit of [0n, 31n, 32n, 63n]) {
          expect(wide([low, high, 1n << bit])).toBe(4)
          expect(wide([low, high, 0n, 1n << bit])).toBe(4)
        }
      })

      test('a reserved granularity stops the queue', () => {
        for (const bits of row.badGranularities ?? []) expect(wide([BigInt(row.type) | bits, 0n])).toBe(4)
      })
    },
  )

  test('every other type is invalid', () => {
    for (let type = 0; type < 128; type++) {
      if (DESCRIPTOR_ROWS.some(row => row.type === type)) continue
      const low = BigInt((type & 15) | ((type >>> 4) << 9))
      expect(narrow(low, 0n), `type ${type}`).toBe(3)
      expect(wide([low, 0n]), `type ${type}`).toBe(3)
    }
  })

  test('page-request drain is reserved without ECAP.PDS, and a larger mask than CAP.MAMV too', () => {
    expect(narrow(0xc5n, 0n)).toBe(4)
    expect(wide([0xc5n, 0n])).toBe(0)
    expect([narrow(0x32n, 18n), narrow(0x32n, 19n)]).toEqual([0, 4])
  })

  test('the width of descriptors fits the mode and the unit', () => {
    const t = new OnePage(TYPE.second)
    t.write64(0x90, S_QUEUE)
    t.command(26)
    t.store(S_QUEUE, 0x45n)
    t.write64(0x88, 16)
    expect([t.read32(0x34) & 0x10, t.read64(0xb0) & 15n]).toEqual([0x10, 5n])
  })
})

describe('interrupt remapping rules', () => {
  test.each(INTERRUPT_RULES.map(rule => [rule.name, rule] as const))('%s', (_, rule) => {
    expect(rule.run()).toMatchObject(rule.expect)
  })
})
