import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Operation, Width } from '../../src/vmx/formats/operations.ts'
import { GUEST_MEMORY, guestRig, PT } from './rig.ts'

const BASE = 0x6000
/** Bytes around the border of two pages, which are not neighbours in the host. */
const WINDOW = 32
const FIRST = BASE + 4096 - WINDOW / 2

const access = fc.record({
  write: fc.boolean(),
  width: fc.constantFrom<Width>(1, 2, 4, 8),
  at: fc.nat(WINDOW - 8),
  low: fc.integer({ min: 0, max: 0xffff_ffff }),
  high: fc.integer({ min: 0, max: 0xffff_ffff }),
})

it('an access of any width, anywhere, reads and writes its bytes and no others', () => {
  fc.assert(
    fc.property(fc.array(access, { minLength: 1, maxLength: 12 }), accesses => {
      const rig = guestRig(r => {
        // The second page lies elsewhere, in front of the first.
        r.map.writeDword(PT + 7 * 8, (GUEST_MEMORY + 3 * 4096) | 0x37)
      })
      const hostOf = (i: number): number =>
        GUEST_MEMORY + (i < WINDOW / 2 ? FIRST + i : 3 * 4096 + i - WINDOW / 2)
      const expected = new Uint8Array(WINDOW)
      for (const { write, width, at, low, high } of accesses) {
        const bytes = new Uint8Array(8)
        if (write) {
          new DataView(bytes.buffer).setUint32(0, low, true)
          new DataView(bytes.buffer).setUint32(4, high, true)
          expected.set(bytes.subarray(0, width), at)
          const operation: Operation = { op: 'write', address: FIRST + at, width, value: [low, high] }
          expect(rig.run(operation).outcome).toBe('done')
        } else {
          bytes.set(expected.subarray(at, at + width))
          const words = new DataView(bytes.buffer)
          const result = rig.run({ op: 'read', address: FIRST + at, width })
          expect([result.low, result.high]).toEqual([words.getUint32(0, true), words.getUint32(4, true)])
        }
      }
      const found = Uint8Array.from({ length: WINDOW }, (_, i) => {
        const byte = new Uint8Array(1)
        rig.memory.read(hostOf(i), byte)
        return byte[0]!
      })
      expect(found).toEqual(expected)
    }),
    { numRuns: 60 },
  )
})
