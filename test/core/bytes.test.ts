import fc from 'fast-check'
import { expect, test } from 'vitest'
import { copyBytes } from '../../src/core/index.ts'

test('copyBytes copies the range and nothing else, at every length and offset', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 300, maxLength: 300 }),
      fc.nat(150),
      fc.nat(150),
      fc.nat(150),
      (source, from, to, length) => {
        const target = new Uint8Array(300).fill(0xaa)
        const expected = [...target]
        expected.splice(to, length, ...source.slice(from, from + length))
        copyBytes(source, from, target, to, length)
        expect([...target]).toEqual(expected)
      },
    ),
  )
})
