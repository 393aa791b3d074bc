/** NVM Express 1.4, §6 and §4.3, §4.4: contents against a reference disk, whatever shape the data pointers have. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Rig } from './rig.ts'

const PAGE = 4096
/** Data pages of the host, lists above them. */
const DATA = 0x40_0000
const DATA_PAGES = 512
const LISTS = 0x80_0000
const BLOCKS = 2 ** 21

function rigWithQueues(): Rig {
  const rig = new Rig()
  rig.enable()
  rig.createPair(1, 0x10_0000)
  return rig
}

const rw = (
  opcode: number,
  block: number,
  blocks: number,
  pointer: readonly number[],
  flags = 0,
): number[] => [opcode | flags, 1, 0, 0, 0, 0, ...pointer, block, 0, blocks - 1]

/** PRPs for `length` bytes that begin at `offset` of the first of `pages`: with lists where two entries do not do. */
function prps(
  rig: Rig,
  pages: readonly number[],
  offset: number,
  length: number,
  listOffset: number,
): number[] {
  const count = Math.ceil((offset + length) / PAGE)
  const first = pages[0]! * PAGE + offset
  if (count === 1) return [first, 0, 0, 0]
  if (count === 2) return [first, 0, pages[1]! * PAGE, 0]
  const entries = pages.slice(1, count).map(page => page * PAGE)
  let at = LISTS + listOffset
  const pointer = at
  while (entries.length > 0) {
    const room = (PAGE - (at % PAGE)) / 8
    const next = Math.floor(at / PAGE) * PAGE + PAGE
    const taken = entries.length <= room ? entries.splice(0) : [...entries.splice(0, room - 1), next]
    rig.words(at, ...taken.flatMap(entry => [entry, 0]))
    at = next
  }
  return [first, 0, pointer, 0]
}

/** SGL descriptors: data blocks of the given lengths, cut into segments of `perSegment`. */
function sgl(
  rig: Rig,
  pieces: readonly (readonly [address: number, length: number])[],
  perSegment: number,
): number[] {
  const descriptors = pieces.map(([address, length]) => [address, 0, length, 0])
  if (descriptors.length === 1) return descriptors[0]!
  const segments: number[][][] = []
  for (let i = 0; i < descriptors.length; i += perSegment) segments.push(descriptors.slice(i, i + perSegment))
  const addressOf = (i: number): number => LISTS + i * PAGE
  const pointerTo = (i: number): number[] => {
    const last = i === segments.length - 1
    const length = (segments[i]!.length + (last ? 0 : 1)) * 16
    return [addressOf(i), 0, length, (last ? 0x30 : 0x20) << 24]
  }
  for (const [i, segment] of segments.entries()) {
    const words = i === segments.length - 1 ? segment : [...segment, pointerTo(i + 1)]
    rig.words(addressOf(i), ...words.flat())
  }
  return pointerTo(0)
}

const pages = fc.uniqueArray(fc.integer({ min: DATA / PAGE, max: DATA / PAGE + DATA_PAGES - 1 }), {
  minLength: 130,
  maxLength: 130,
})

describe('reads and writes', () => {
  it('move what a reference disk holds, for every shape of PRP lists', () => {
    const rig = rigWithQueues()
    const disk = new Uint8Array(4096 * 512)
    fc.assert(
      fc.property(
        pages,
        fc.integer({ min: 0, max: 1023 }).map(dwords => dwords * 4),
        fc.integer({ min: 1, max: 1024 }),
        fc.integer({ min: 0, max: 3000 }),
        // Lists that begin near the end of their page are continued in the next.
        fc.constantFrom(0, 8, 2048, 4096 - 24, 4096 - 16, 4096 - 8),
        fc.boolean(),
        fc.integer(),
        (numbers, offset, blocks, block, listOffset, write, seed) => {
          const length = blocks * 512
          const pointer = prps(rig, numbers, offset, length, listOffset)
          const host = Uint8Array.from({ length }, (_, i) => (i * 31 + seed + (i >>> 9)) & 0xff)
          const scatter = (bytes: Uint8Array): void => {
            for (let done = 0, page = 0; done < length; page++) {
              const at = page === 0 ? offset : 0
              const part = Math.min(PAGE - at, length - done)
              rig.poke(numbers[page]! * PAGE + at, bytes.subarray(done, done + part))
              done += part
            }
          }
          const gather = (): Uint8Array => {
            const bytes = new Uint8Array(length)
            for (let done = 0, page = 0; done < length; page++) {
              const at = page === 0 ? offset : 0
              const part = Math.min(PAGE - at, length - done)
              bytes.set(rig.bytes(numbers[page]! * PAGE + at, part), done)
              done += part
            }
            return bytes
          }
          scatter(host)
          expect(rig.execute(1, rw(write ? 1 : 2, block, blocks, pointer)).status).toBe(0)
          const here = disk.subarray(block * 512, block * 512 + length)
          if (write) here.set(host)
          expect(Buffer.compare(gather(), here)).toBe(0)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('move the same by SGLs, whatever their segments', () => {
    const rig = rigWithQueues()
    const disk = new Uint8Array(64 * 512)
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 0, max: 31 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 255 }),
        (lengths, perSegment, block, write, seed) => {
          const blocks = 32
          const length = blocks * 512
          // Lengths that add up to the data exactly, at odd addresses, with gaps.
          const pieces: [number, number][] = []
          let rest = length
          for (const [i, wanted] of [...lengths, length].entries()) {
            const part = Math.min(wanted, rest)
            pieces.push([DATA + i * 0x5000 + (i % 7), part])
            rest -= part
          }
          const pointer = sgl(rig, pieces, perSegment)
          const host = Uint8Array.from({ length }, (_, i) => (i * 17 + seed) & 0xff)
          let done = 0
          for (const [address, part] of pieces) {
            if (part > 0) rig.poke(address, host.subarray(done, done + part))
            done += part
          }
          expect(rig.execute(1, rw(write ? 1 : 2, block, blocks, pointer, 0x4000)).status).toBe(0)
          const here = disk.subarray(block * 512, block * 512 + length)
          if (write) here.set(host)
          const read = Buffer.concat(pieces.map(([address, part]) => rig.bytes(address, part)))
          expect(Buffer.compare(read, here)).toBe(0)
        },
      ),
      { numRuns: 40 },
    )
  })

  it.each([
    ['beyond the last block', rw(2, BLOCKS - 1, 2, [DATA, 0, 0, 0]), 0x080],
    ['more than MDTS', rw(2, 0, 1025, [DATA, 0, LISTS, 0]), 0x002],
    ['a PRP between dwords', rw(2, 0, 1, [DATA + 2, 0, 0, 0]), 0x013],
    ['a second PRP with an offset', rw(2, 0, 16, [DATA, 0, DATA + 8, 0]), 0x013],
    ['a PRP list between qwords', rw(2, 0, 32, [DATA, 0, LISTS + 4, 0]), 0x013],
    ['data outside memory', rw(2, 0, 1, [0x7000_0000, 0, 0, 0]), 0x004],
    ['data at the end of the address space', rw(2, 0, 16, [0xffff_f800, 0xffff_ffff, DATA, 0]), 0x004],
    ['a list outside memory', rw(2, 0, 32, [DATA, 0, 0x7000_0000, 0]), 0x004],
    ['a reserved kind of data pointer', rw(2, 0, 1, [DATA, 0, 0, 0], 0xc000), 0x002],
    ['a fused operation', rw(2, 0, 1, [DATA, 0, 0, 0], 0x100), 0x002],
    ['namespace 0', [2, 0, 0, 0, 0, 0, DATA], 0x00b],
    ['a namespace that is not active', [2, 2, 0, 0, 0, 0, DATA], 0x002],
    ['a namespace above NN', [2, 65, 0, 0, 0, 0, DATA], 0x00b],
    ['a command that there is not', [0x7d, 1], 0x001],
    ['an SGL that is too short', rw(2, 0, 1, [DATA, 0, 511, 0], 0x4000), 0x00f],
    ['an SGL that is too long', rw(2, 0, 1, [DATA, 0, 513, 0], 0x4000), 0x00f],
    ['an SGL descriptor of no known type', rw(2, 0, 1, [DATA, 0, 512, 0x5000_0000], 0x4000), 0x011],
    ['an SGL offset, which is for fabrics', rw(2, 0, 1, [DATA, 0, 512, 0x0100_0000], 0x4000), 0x011],
    ['an SGL segment of half a descriptor', rw(2, 0, 1, [LISTS, 0, 24, 0x3000_0000], 0x4000), 0x00d],
    ['an SGL segment without descriptors', rw(2, 0, 1, [LISTS, 0, 0, 0x2000_0000], 0x4000), 0x00d],
    ['an SGL of too many descriptors', rw(2, 0, 1, [LISTS, 0, 0x2_0000, 0x3000_0000], 0x4000), 0x00e],
  ])('refuse %s', (_, words, status) => {
    const rig = rigWithQueues()
    expect(rig.execute(1, words)).toMatchObject({ status, dnr: true })
    expect(rig.read(0x1c)).toBe(1)
  })

  it('refuse an SGL that leads back to itself without end', () => {
    const rig = rigWithQueues()
    // A segment of an empty data block, then a pointer to the same segment.
    rig.words(LISTS, DATA, 0, 0, 0, LISTS, 0, 32, 0x2000_0000)
    expect(rig.execute(1, rw(2, 0, 1, [LISTS, 0, 32, 0x2000_0000], 0x4000)).status).toBe(0x00e)
  })

  it('refuse a segment that leads on though it is the last', () => {
    const rig = rigWithQueues()
    rig.words(LISTS, LISTS, 0, 16, 0x2000_0000)
    expect(rig.execute(1, rw(2, 0, 1, [LISTS, 0, 16, 0x3000_0000], 0x4000)).status).toBe(0x00d)
  })

  it('leave out what a bit bucket stands for', () => {
    const rig = rigWithQueues()
    rig.poke(
      DATA,
      Uint8Array.from({ length: 512 }, (_, i) => i & 0xff),
    )
    rig.io(1, 0, 1, DATA)
    rig.words(LISTS, 0, 0, 500, 0x1000_0000, DATA + 0x1000, 0, 12, 0)
    expect(rig.execute(1, rw(2, 0, 1, [LISTS, 0, 32, 0x3000_0000], 0x4000)).status).toBe(0)
    expect([...rig.bytes(DATA + 0x1000, 12)]).toEqual([...Array(12).keys()].map(i => (500 + i) & 0xff))
  })

  it('change no block when a part of the data cannot be read', () => {
    const rig = rigWithQueues()
    rig.poke(DATA, new Uint8Array(PAGE).fill(0x11))
    rig.io(1, 0, 8, DATA)
    rig.poke(DATA, new Uint8Array(PAGE).fill(0x22))
    expect(rig.execute(1, rw(1, 0, 16, [DATA, 0, 0x7000_0000, 0])).status).toBe(0x004)
    rig.io(2, 0, 8, DATA)
    expect(rig.bytes(DATA, PAGE).every(byte => byte === 0x11)).toBe(true)
  })
})

describe('the other commands', () => {
  const filled = (): Rig => {
    const rig = rigWithQueues()
    rig.poke(DATA, new Uint8Array(PAGE * 2).fill(0x5a))
    rig.io(1, 0, 16, DATA, DATA + PAGE)
    return rig
  }
  const zeros = (rig: Rig, block: number, blocks: number): boolean => {
    rig.io(2, block, blocks, DATA + 0x10_0000)
    return rig.bytes(DATA + 0x10_0000, blocks * 512).every(byte => byte === 0)
  }

  it('compare', () => {
    const rig = filled()
    expect(rig.io(5, 0, 8, DATA).status).toBe(0)
    rig.poke(DATA + 4095, new Uint8Array([0]))
    expect(rig.io(5, 0, 8, DATA).status).toBe(0x285)
  })

  it('write zeros', () => {
    const rig = filled()
    expect(rig.execute(1, [0x08, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4]).status).toBe(0)
    expect([zeros(rig, 3, 5), zeros(rig, 2, 1), zeros(rig, 8, 1)]).toEqual([true, false, false])
    expect(rig.execute(1, [0x08, 1, 0, 0, 0, 0, 0, 0, 0, 0, BLOCKS - 1, 0, 1]).status).toBe(0x080)
  })

  it('deallocate ranges, all or none', () => {
    const rig = filled()
    rig.words(LISTS, 0, 2, 1, 0, 0, 1, 9, 0)
    expect(rig.execute(1, [0x09, 1, 0, 0, 0, 0, LISTS, 0, 0, 0, 1, 4]).status).toBe(0)
    expect([zeros(rig, 1, 2), zeros(rig, 9, 1), zeros(rig, 0, 1), zeros(rig, 3, 1)]).toEqual([
      true,
      true,
      false,
      false,
    ])
    rig.words(LISTS, 0, 1, 5, 0, 0, 1, BLOCKS, 0)
    expect(rig.execute(1, [0x09, 1, 0, 0, 0, 0, LISTS, 0, 0, 0, 1, 4]).status).toBe(0x080)
    expect(zeros(rig, 5, 1)).toBe(false)
  })

  it('flush one namespace or all', () => {
    const rig = rigWithQueues()
    expect(rig.execute(1, [0, 1]).status).toBe(0)
    expect(rig.execute(1, [0, 0xffff_ffff]).status).toBe(0)
    expect(rig.execute(1, [0, 0xffff_fffe]).status).toBe(0x00b)
  })

  it('report what the medium refuses', () => {
    const rig = rigWithQueues()
    const asked: string[] = []
    const broken = (what: string) => (): boolean => {
      asked.push(what)
      return false
    }
    rig.subsystem.namespaces.replaceStore(1, {
      size: 2 ** 20,
      read: broken('read'),
      write: broken('write'),
      discard: broken('discard'),
      flush: broken('flush'),
      save: () => null,
      load: () => {},
    })
    expect([2, 1, 8, 0].map(opcode => rig.io(opcode, 0, 1, DATA).status)).toEqual([
      0x281, 0x280, 0x280, 0x280,
    ])
    expect(asked).toEqual(['read', 'write', 'discard', 'flush'])
  })
})

describe('any 64 bytes as a command', () => {
  it('end with a status, in memory that is the host’s', () => {
    const rig = rigWithQueues()
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1),
        fc.array(
          fc.oneof(
            fc.integer({ min: 0, max: 0xffff_ffff }),
            fc.integer({ min: 0, max: 8 }),
            fc.constant(DATA),
          ),
          {
            minLength: 16,
            maxLength: 16,
          },
        ),
        (queue, words) => {
          // Deletion of the queue under test and requests that stay outstanding are other tests' subjects.
          const opcode = words[0]! & 0xff
          fc.pre(queue === 1 || ![0x00, 0x04, 0x0c, 0x80, 0x09].includes(opcode))
          const completion = rig.execute(queue, words)
          expect(completion.status).toBeLessThan(0x300)
          expect(rig.read(0x1c)).toBe(1)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('state', () => {
  it('goes on from where it was saved', () => {
    const rig = rigWithQueues()
    rig.poke(DATA, new Uint8Array(512).fill(0x77))
    rig.io(1, 5, 1, DATA)
    const saved = structuredClone(rig.subsystem.save())
    rig.poke(DATA, new Uint8Array(512).fill(0x88))
    rig.io(1, 5, 1, DATA)
    rig.write(0x14, 0)
    rig.subsystem.load(saved)
    expect(rig.subsystem.save()).toEqual(saved)
    expect(rig.read(0x1c)).toBe(1)
  })
})
