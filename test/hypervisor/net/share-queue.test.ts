import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ShareQueue } from '../../../src/hypervisor/net/share-queue.ts'
import { Frame, lineOccupancy } from '../../../src/net/formats/index.ts'

/** A line that takes frames only while it is given room. */
class Line {
  readonly sent: { readonly from: number; readonly number: number; readonly length: number }[] = []
  room = 0
  readonly queue = new ShareQueue(frame => {
    if (this.room === 0) return false
    this.room--
    this.sent.push({ from: frame.bytes[0]!, number: frame.bytes[1]!, length: frame.length })
    return true
  })

  drain(frames: number): void {
    this.room = frames
    this.queue.drain()
  }
}

const frameOf = (from: number, number: number, length: number): Frame =>
  Frame.of(Uint8Array.of(from, number, ...new Array(length - 2).fill(0)))

const lengths = fc.constantFrom(60, 300, 1514)
const share = fc.integer({ min: 1, max: 100 })

describe('frames that wait for an uplink', () => {
  it('share the line as their shares say, whatever their lengths, while all want it', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(share, lengths), { minLength: 2, maxLength: 4 }), ports => {
        const line = new Line()
        const bytes = ports.map(() => 0)
        for (let round = 0; round < 3000; round++) {
          // Nobody's queue runs dry.
          for (const [from, [shares, length]] of ports.entries()) {
            while (line.queue.put(frameOf(from, round & 0xff, length), from, shares));
          }
          line.drain(1)
        }
        for (const { from, length } of line.sent) bytes[from]! += lineOccupancy(length)
        const total = bytes.reduce((sum, count) => sum + count)
        const all = ports.reduce((sum, [shares]) => sum + shares, 0)
        // "Deficit Round Robin" is off by less than a frame and a quantum for each.
        const most = 1538 + 1600
        for (const [from, [shares]] of ports.entries()) {
          const due = (total * shares) / all
          expect(Math.abs(bytes[from]! - due)).toBeLessThan(most * ports.length + 1600)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('leave in the order of each port, none twice, none lost, and leave no room unused', () => {
    const happening = fc.oneof(
      fc.record({ from: fc.nat(3), length: lengths, share }),
      fc.record({ room: fc.nat(5) }),
    )
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 200 }), happenings => {
        const line = new Line()
        const put = [0, 0, 0, 0]
        for (const what of happenings) {
          if ('room' in what) {
            const before = { sent: line.sent.length, waiting: line.queue.waiting }
            line.drain(what.room)
            expect(line.sent.length - before.sent).toBe(Math.min(what.room, before.waiting))
          } else if (
            line.queue.put(frameOf(what.from, put[what.from]!, what.length), what.from, what.share)
          ) {
            put[what.from]!++
          }
        }
        line.drain(1000)
        for (const [from, count] of put.entries()) {
          const numbers = line.sent.filter(one => one.from === from).map(({ number }) => number)
          expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i))
        }
      }),
    )
  })

  it('wait 64 for each port at most, however few the others have', () => {
    const line = new Line()
    for (let i = 0; i < 64; i++) expect(line.queue.put(frameOf(0, i, 60), 0, 50)).toBe(true)
    expect(line.queue.put(frameOf(0, 64, 60), 0, 50)).toBe(false)
    expect(line.queue.put(frameOf(1, 0, 60), 1, 50)).toBe(true)
    expect(line.queue.waiting).toBe(65)
  })

  it('are the same after save and load, and leave in the same order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3), lengths, share), { maxLength: 60 }),
        fc.nat(40),
        (puts, some) => {
          const [line, again] = [new Line(), new Line()]
          for (const [i, [from, length, shares]] of puts.entries()) {
            line.queue.put(frameOf(from, i, length), from, shares)
          }
          line.drain(some)
          again.queue.load(structuredClone(line.queue.save()))
          expect(again.queue.save()).toEqual(line.queue.save())
          line.sent.length = 0
          line.drain(1000)
          again.drain(1000)
          expect(again.sent).toEqual(line.sent)
        },
      ),
    )
  })
})
