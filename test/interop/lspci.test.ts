import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { parseLspci } from '../../src/interop/index.ts'
import { readDetails } from '../../src/interop/lspci/details.ts'

const refusal = (text: string): NorthbridgeError => {
  try {
    parseLspci(text)
  } catch (error) {
    expect(error).toBeInstanceOf(NorthbridgeError)
    return error as NorthbridgeError
  }
  return expect.unreachable('it is refused')
}

describe('lspci output', () => {
  it('lists functions with and without domain, and their bytes by offset', () => {
    const text = [
      '00:1f.2 SATA controller: Maker Model (rev 02)',
      '00: 86 80 22 29',
      '10: 01 02',
      '',
      '10000:e1:00.0 Non-Volatile memory controller',
      '00: 4d 14',
    ].join('\n')
    const [first, second] = parseLspci(text)
    expect(first).toMatchObject({ address: '0000:00:1f.2', title: 'SATA controller: Maker Model (rev 02)' })
    expect(first!.config.length).toBe(0x12)
    expect([...first!.config.subarray(0, 4)]).toEqual([0x86, 0x80, 0x22, 0x29])
    expect([...first!.config.subarray(0x10)]).toEqual([1, 2])
    expect(second).toMatchObject({ segment: 0x1_0000, rid: 0xe100 })
  })

  it('may have upper case, Windows line ends, several spaces, no final newline and blank lines left out', () => {
    const text = '00:00.0 A\r\n00: AB cd  \r\n00:01.0 B\r\nF0: 01'
    const functions = parseLspci(text)
    expect(functions.map(one => one.config.length)).toEqual([2, 0xf1])
    expect(functions[0]!.config[0]).toBe(0xab)
  })

  it('may mix details and bytes, and holds lines of no meaning', () => {
    const text =
      '# saved\n00:00.0 A\n\tRegion 0: Memory at f0000000 (64-bit, prefetchable) [size=16M]\n00: 01\nWarning: x'
    expect(parseLspci(text)[0]).toMatchObject({
      details: ['\tRegion 0: Memory at f0000000 (64-bit, prefetchable) [size=16M]'],
    })
  })

  it('is refused with the line and the rule', () => {
    const cases: readonly (readonly [string, number, string])[] = [
      ['00:00.0 A\n00: 8\n', 2, 'two hexadecimal digits'],
      ['00:00.0 A\n00: 01 02 xx\n', 2, 'two hexadecimal digits'],
      ['00: 01 02\n', 1, 'belong to no device'],
      ['00:00.0 A\n1000: 01\n', 2, 'beyond the 4096 bytes'],
      ['00:00.0 A\nff8: 00 00 00 00 00 00 00 00 00\n', 2, 'beyond the 4096 bytes'],
      ['00:00.0 A\n\n0000:00:00.0 A\n', 3, 'listed twice'],
      ['00:20.0 A\n', 1, 'above 1f'],
    ]
    for (const [text, line, rule] of cases) {
      const { code, message } = refusal(text)
      expect(code).toBe('malformedInput')
      expect(message).toContain(`line ${line}:`)
      expect(message).toContain(rule)
    }
    expect(refusal('nothing here').message).toContain('no function is listed')
    expect(refusal('').code).toBe('malformedInput')
  })

  it('never crashes the parser, whatever it is', () => {
    const line = fc.oneof(
      fc.string(),
      fc
        .tuple(
          fc.integer({ min: 0, max: 0x1100 }),
          fc.string({ unit: fc.constantFrom('0', 'a', 'F', ' ', 'x') }),
        )
        .map(([offset, bytes]) => `${offset.toString(16).padStart(2, '0')}: ${bytes}`),
      fc
        .tuple(fc.nat(255), fc.nat(40), fc.nat(8))
        .map(([b, d, f]) => `${b.toString(16)}:${d.toString(16)}.${f} x`),
      fc.constant(''),
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), lines => {
        try {
          expect(parseLspci(lines.join('\n')).length).toBeGreaterThan(0)
        } catch (error) {
          if (!(error instanceof NorthbridgeError)) throw error
          expect(error.code).toBe('malformedInput')
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('lspci -v', () => {
  it('tells sizes, kinds, NUMA node and driver', () => {
    const details = readDetails([
      '\tNUMA node: 1',
      '\tRegion 0: Memory at fe000000 (32-bit, non-prefetchable) [size=128K]',
      '\tRegion 2: I/O ports at d000 [disabled] [size=32]',
      '\tRegion 3: Memory at 38ff800000 (64-bit, prefetchable) [virtual] [size=2G]',
      '\tRegion 5: Memory at <unassigned> (32-bit, non-prefetchable)',
      '\tExpansion ROM at fea00000 [disabled] [size=512K]',
      '\t\tRegion 4: Memory at 00000000fe800000 (64-bit, prefetchable)',
      '\tKernel driver in use: igb',
    ])
    expect(details).toEqual({
      regions: [
        { index: 0, kind: 'memory32', prefetchable: false, size: 0x2_0000 },
        { index: 2, kind: 'io', prefetchable: false, size: 32 },
        { index: 3, kind: 'memory64', prefetchable: true, size: 2 ** 31 },
        { index: 5, kind: 'memory32', prefetchable: false, size: undefined },
      ],
      romSize: 0x8_0000,
      numaNode: 1,
      driver: 'igb',
    })
  })
})
