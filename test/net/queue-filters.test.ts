/** Filters that choose a queue before RSS does: by EtherType, SYN and five-tuple, 82576 and 82599 alike. */
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { NicEvent } from '../../src/devices/nic/common/nic-model.ts'
import { frame, mac, NicRig, TestReceiveQueue } from './nic-rig.ts'
import { type PacketOptions, packet } from './packets.ts'

const PROTOCOL = { tcp: 6, udp: 17 } as const
const SYN = 0x02
const LLDP = 0x88cc

/** What is given is compared. */
interface Tuple {
  readonly queue: number
  readonly priority?: number
  readonly source?: readonly number[]
  readonly destination?: readonly number[]
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly protocol?: number
  readonly pool?: number
}

interface Chip {
  readonly sheet: string
  /** First register of receive queue 0, and where SRRCTL is. */
  readonly queues: number
  readonly srrctl: number
  /** Receiver on, everything accepted. */
  start(rig: NicRig): void
  /** Every hash leads to a queue. */
  rss(rig: NicRig, queue: number): void
  etherType(rig: NicRig, filter: number, type: number, queue: number): void
  syn(rig: NicRig, queue: number, first: boolean): void
  tuple(rig: NicRig, filter: number, tuple: Tuple): void
}

/** Addresses and ports are in the registers as they are on the wire, first byte lowest. */
const wire = (bytes: readonly number[] = [0, 0, 0, 0]): number =>
  bytes.reduce((word, byte, i) => word | (byte << (8 * i)), 0)
const wirePort = (port = 0): number => (port >>> 8) | ((port & 0xff) << 8)
const unless = (value: unknown, bit: number): number => (value === undefined ? 2 ** bit : 0)

const I82576: Chip = {
  sheet: 'intel-82576',
  queues: 0xc000,
  srrctl: 0x0c,
  start: rig => rig.write(0x100, (1 << 1) | (1 << 3) | (1 << 4) | (1 << 15) | (1 << 26)),
  rss(rig, queue) {
    rig.write(0x5818, 2 | (3 << 16))
    for (let i = 0; i < 32; i++) rig.write(0x5c00 + 4 * i, queue * 0x0101_0101)
  },
  etherType: (rig, filter, type, queue) =>
    rig.write(0x5cb0 + 4 * filter, type + queue * 2 ** 16 + 2 ** 26 + 2 ** 31),
  syn(rig, queue, first) {
    rig.write(0x55fc, (queue << 1) | 1)
    rig.write(0x5008, first ? 1 << 19 : 0)
  },
  tuple(
    rig,
    filter,
    { queue, priority = 0, source, destination, sourcePort, destinationPort, protocol, pool },
  ) {
    rig.write(0x5980 + 4 * filter, wire(source))
    rig.write(0x59a0 + 4 * filter, wire(destination))
    rig.write(0x59c0 + 4 * filter, wirePort(sourcePort))
    rig.write(
      0x5a80 + 4 * filter,
      wirePort(destinationPort) + unless(destinationPort, 17) + priority * 2 ** 29,
    )
    // Neither length nor TCP flags.
    rig.write(0x5aa0 + 4 * filter, (1 << 12) | (1 << 19))
    const bypass =
      unless(protocol, 28) + unless(source, 29) + unless(destination, 30) + unless(sourcePort, 31)
    const place = (1 << 8) + (pool ?? 0) * 2 ** 9 + unless(pool, 15) + queue * 2 ** 16
    rig.write(0x59e0 + 4 * filter, (protocol ?? 0) + place + bypass)
  },
}

const I82599: Chip = {
  sheet: 'intel-82599',
  queues: 0x1000,
  srrctl: 0x14,
  start(rig) {
    rig.write(0x5080, 7 << 8)
    rig.write(0x3000, 1)
  },
  rss(rig, queue) {
    rig.write(0x5818, 1 | (3 << 16))
    for (let i = 0; i < 32; i++) rig.write(0x5c00 + 4 * i, queue * 0x0101_0101)
  },
  etherType(rig, filter, type, queue) {
    rig.write(0x5128 + 4 * filter, type + 2 ** 31)
    rig.write(0xec00 + 4 * filter, queue * 2 ** 16 + 2 ** 31)
  },
  syn: (rig, queue, first) => rig.write(0xec30, queue * 2 + 1 + (first ? 2 ** 31 : 0)),
  tuple(
    rig,
    filter,
    { queue, priority = 0, source, destination, sourcePort, destinationPort, protocol, pool },
  ) {
    rig.write(0xe000 + 4 * filter, wire(source))
    rig.write(0xe200 + 4 * filter, wire(destination))
    rig.write(0xe400 + 4 * filter, wirePort(sourcePort) + wirePort(destinationPort) * 2 ** 16)
    rig.write(0xe800 + 4 * filter, queue * 2 ** 21)
    const kind = protocol === PROTOCOL.udp ? 1 : 0
    const bypass =
      unless(source, 25) + unless(destination, 26) + unless(sourcePort, 27) + unless(destinationPort, 28)
    const rest = unless(protocol, 29) + unless(pool, 30) + 2 ** 31
    rig.write(0xe600 + 4 * filter, kind + priority * 4 + (pool ?? 0) * 2 ** 8 + bypass + rest)
  },
}

/** Sends a frame and returns the queue that it was stored in. */
function queueOf(rig: NicRig, bytes: Uint8Array): number | undefined {
  let queue: number | undefined
  rig.nic.observer = {
    note(event: NicEvent) {
      if (event.step === 'stored') queue = event.queue
    },
  }
  rig.arrive(bytes)
  return queue
}

function machine(chip: Chip, queues: readonly number[]): [NicRig, Map<number, TestReceiveQueue>] {
  const rig = new NicRig(chip.sheet)
  chip.start(rig)
  const rings = new Map(
    queues.map((queue, i) => {
      const place = { ring: 0x1_0000 + i * 0x1000, buffers: 0x4_0000 + i * 0x2_0000, count: 32 }
      const registers = chip.queues + queue * 0x40
      const ring = new TestReceiveQueue(rig, { ...place, registers, srrctl: chip.srrctl })
      ring.post(31)
      return [queue, ring]
    }),
  )
  return [rig, rings]
}

const withFlags = (flags: number, options: PacketOptions = {}): Uint8Array => {
  const bytes = packet({ ...options, tcp: true })
  bytes[47] = flags
  return bytes
}

describe.each([
  ['82576', I82576],
  ['82599', I82599],
])('of the %s', (_name, chip) => {
  let rig: NicRig
  let rings: Map<number, TestReceiveQueue>
  beforeEach(() => {
    ;[rig, rings] = machine(chip, [0, 1, 2, 3, 5])
  })

  it('an EtherType leads to a queue, and the report names the filter', () => {
    chip.etherType(rig, 6, LLDP, 5)
    expect(queueOf(rig, frame(mac(1), mac(2), 64, undefined, LLDP))).toBe(5)
    const [received] = rings.get(5)!.take()
    // Packet type, bits 16:4 of the first dword: bit 11 and the number of the filter.
    expect((received!.info >>> 4) & 0x1fff).toBe(0x800 | 6)
    expect(queueOf(rig, frame(mac(1), mac(2), 64, 7, LLDP))).toBe(5)
    expect(queueOf(rig, frame(mac(1), mac(2), 64, undefined, LLDP + 1))).toBe(0)
  })

  it('a filter that is disabled again leads nowhere', () => {
    chip.tuple(rig, 0, { queue: 3, protocol: PROTOCOL.tcp })
    expect(queueOf(rig, packet())).toBe(3)
    rig.write((chip === I82576 ? 0x59e0 : 0xe600) + 0, 0)
    expect(queueOf(rig, packet())).toBe(0)
  })

  const TUPLE = { source: [10, 0, 0, 2], destination: [10, 0, 0, 1], sourcePort: 1000, destinationPort: 80 }
  it('a flow is its two addresses, two ports and protocol: one that differs is another', () => {
    chip.tuple(rig, 3, { queue: 3, ...TUPLE, protocol: PROTOCOL.tcp })
    expect(queueOf(rig, packet({ ...TUPLE }))).toBe(3)
    for (const other of [
      { source: [10, 0, 0, 3] },
      { destination: [10, 0, 1, 1] },
      { sourcePort: 1001 },
      { destinationPort: 0x5000 },
      { tcp: false },
    ]) {
      expect(queueOf(rig, packet({ ...TUPLE, ...other }))).toBe(0)
    }
  })

  it.each([
    ['source', { source: [10, 9, 9, 9] }],
    ['destination', { destination: [10, 9, 9, 9] }],
    ['sourcePort', { sourcePort: 7 }],
    ['destinationPort', { destinationPort: 7 }],
    ['protocol', { tcp: false }],
  ] as const)('what a filter leaves out may be anything: %s', (part, other) => {
    const { [part as 'source']: _left, ...rest } = { ...TUPLE, protocol: PROTOCOL.tcp }
    chip.tuple(rig, 3, { queue: 3, ...rest })
    expect(queueOf(rig, packet({ ...TUPLE, ...other }))).toBe(3)
  })

  it('fragments have no five-tuple', () => {
    chip.tuple(rig, 0, { queue: 3, source: [10, 0, 0, 2] })
    const fragment = packet()
    fragment[20] = 0x20
    expect([queueOf(rig, packet()), queueOf(rig, fragment)]).toEqual([3, 0])
  })

  it('of several that match the one of the highest priority counts, then the lowest number', () => {
    chip.tuple(rig, 0, { queue: 1, priority: 2, protocol: PROTOCOL.tcp })
    chip.tuple(rig, 1, { queue: 2, priority: 5, destinationPort: 80 })
    chip.tuple(rig, 2, { queue: 3, priority: 5, source: [10, 0, 0, 2] })
    expect(queueOf(rig, packet())).toBe(2)
    expect(queueOf(rig, packet({ destinationPort: 81 }))).toBe(3)
    expect(queueOf(rig, packet({ destinationPort: 81, source: [10, 1, 1, 1] }))).toBe(1)
  })

  it('a connection that begins goes to the queue of SYN, before or behind the flows', () => {
    chip.tuple(rig, 0, { queue: 1, destinationPort: 80 })
    chip.syn(rig, 3, false)
    const open = (destinationPort: number): number | undefined =>
      queueOf(rig, withFlags(SYN, { destinationPort }))
    expect([open(80), open(81)]).toEqual([1, 3])
    chip.syn(rig, 3, true)
    expect([open(80), open(81)]).toEqual([3, 3])
    expect(queueOf(rig, withFlags(0x10, { destinationPort: 80 }))).toBe(1)
    expect(queueOf(rig, packet({ tcp: false, destinationPort: 81 }))).toBe(0)
  })

  it('RSS has what no filter wanted', () => {
    chip.rss(rig, 2)
    chip.tuple(rig, 0, { queue: 1, destinationPort: 80 })
    chip.etherType(rig, 0, LLDP, 5)
    expect(queueOf(rig, packet({ destinationPort: 80 }))).toBe(1)
    expect(queueOf(rig, packet({ destinationPort: 81 }))).toBe(2)
    expect(queueOf(rig, frame(mac(1), mac(2), 64, undefined, LLDP))).toBe(5)
  })

  it('chooses as a reading of the rules does, whatever the filters are', () => {
    const octet = fc.constantFrom(1, 2)
    const address = octet.map(last => [10, 0, 0, last])
    const port = fc.constantFrom(80, 0x5000)
    const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })
    const tuple = fc.record({
      queue: fc.constantFrom(1, 2, 3),
      priority: fc.nat(7),
      source: maybe(address),
      destination: maybe(address),
      sourcePort: maybe(port),
      destinationPort: maybe(port),
      protocol: maybe(fc.constantFrom(PROTOCOL.tcp, PROTOCOL.udp)),
    })
    const sent = fc.record({
      source: address,
      destination: address,
      sourcePort: port,
      destinationPort: port,
      tcp: fc.boolean(),
    })
    fc.assert(
      fc.property(
        fc.array(tuple, { maxLength: 8 }),
        fc.array(sent, { minLength: 1, maxLength: 6 }),
        (tuples, frames) => {
          const [rig] = machine(chip, [0, 1, 2, 3])
          for (const [i, given] of tuples.entries()) chip.tuple(rig, i, given as Tuple)
          for (const one of frames) {
            const packetOf = { ...one, protocol: one.tcp ? PROTOCOL.tcp : PROTOCOL.udp } as const
            const keys = ['source', 'destination', 'sourcePort', 'destinationPort', 'protocol'] as const
            const fits = tuples.filter(given =>
              keys.every(key => given[key] === undefined || String(given[key]) === String(packetOf[key])),
            )
            const best = Math.max(...fits.map(({ priority }) => priority))
            const expected = fits.find(({ priority }) => priority === best)?.queue ?? 0
            expect(queueOf(rig, packet(one))).toBe(expected)
          }
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('with pools', () => {
  /** Three pools that all hear broadcast, of which number 1 has address 1. */
  function pools(chip: Chip, queues: readonly number[]): NicRig {
    const [rig] = machine(chip, queues)
    if (chip === I82576) {
      rig.write(0x5818, 3)
      for (let pool = 0; pool < 3; pool++) rig.write(0x5ad0 + 4 * pool, (1 << 24) | (1 << 27))
      rig.write(0xc8c, 7)
      rig.write(0x5400, 2)
      rig.write(0x5404, 0x8000_0100 | (2 << 18))
    } else {
      rig.write(0x51b0, 1 | (1 << 30))
      rig.write(0x5818, 8)
      for (let pool = 0; pool < 3; pool++) rig.write(0xf000 + 4 * pool, (1 << 24) | (1 << 27))
      rig.write(0x51e0, 7)
      rig.write(0xa200, 2)
      rig.write(0xa204, 0x8000_0100)
      rig.write(0xa600, 2)
      rig.write(0xa604, 0)
    }
    return rig
  }

  it('an EtherType of the 82599 leads to its pool instead of those that want the frame', () => {
    const rig = pools(I82599, [0, 2, 4])
    expect(queueOf(rig, frame(mac(1), mac(2), 64, undefined, LLDP))).toBe(2)
    rig.write(0x5128, LLDP + 2 * 2 ** 20 + 2 ** 26 + 2 ** 31)
    expect(queueOf(rig, frame(mac(1), mac(2), 64, undefined, LLDP))).toBe(4)
    // The pool has to be enabled like any other.
    rig.write(0x51e0, 3)
    expect(queueOf(rig, frame(mac(1), mac(2), 64, undefined, LLDP))).toBe(undefined)
    expect(rig.nic.inspect().drops).toEqual({ poolDisabled: 1 })
  })

  it('an EtherType of the 82576 leads to the pool whose first queue it names', () => {
    const rig = pools(I82576, [0, 1, 2])
    I82576.etherType(rig, 1, LLDP, 2)
    expect(queueOf(rig, frame(mac(1), mac(2), 64, undefined, LLDP))).toBe(2)
    rig.write(0xc8c, 3)
    expect(queueOf(rig, frame(mac(1), mac(2), 64, undefined, LLDP))).toBe(undefined)
  })

  it.each([
    ['82576', I82576, [0, 1, 2, 9], 9, 1],
    ['82599', I82599, [0, 2, 3, 4], 3, 2],
  ] as const)('a five-tuple of the %s may be of one pool only', (_name, chip, queues, filtered, first) => {
    const rig = pools(chip, queues)
    chip.tuple(rig, 0, { queue: filtered, destinationPort: 80, pool: 2 })
    expect(queueOf(rig, packet({ to: mac(1) }))).toBe(first)
    chip.tuple(rig, 0, { queue: filtered, destinationPort: 80, pool: 1 })
    expect(queueOf(rig, packet({ to: mac(1) }))).toBe(filtered)
    expect(queueOf(rig, packet({ to: mac(1), destinationPort: 81 }))).toBe(first)
  })
})

describe('of the 82576 also', () => {
  const extension = (rig: NicRig, value: number): void => rig.write(0x5aa0, value)

  it('one of the TCP flags that a filter names has to be set', () => {
    const [rig] = machine(I82576, [0, 3])
    I82576.tuple(rig, 0, { queue: 3, destinationPort: 80 })
    // PSH (15) and FIN (18).
    extension(rig, (1 << 12) | (1 << 15) | (1 << 18))
    expect([0x08, 0x01, 0x19, 0x10, SYN].map(flags => queueOf(rig, withFlags(flags)))).toEqual([
      3, 3, 3, 0, 0,
    ])
  })

  it('the packet has to be shorter than a filter says', () => {
    const [rig] = machine(I82576, [0, 3])
    I82576.tuple(rig, 0, { queue: 3, destinationPort: 80 })
    extension(rig, (1 << 19) | 84)
    const sized = (length: number) => queueOf(rig, packet({ payload: new Array(length).fill(0) }))
    expect([sized(29), sized(30)]).toEqual([3, 0])
  })
})

it('who follows a frame hears that a filter steered it', () => {
  const [rig] = machine(I82599, [0, 3])
  I82599.tuple(rig, 0, { queue: 3, destinationPort: 80 })
  const steps: string[] = []
  rig.nic.observer = { note: ({ step }) => steps.push(step) }
  rig.arrive(packet())
  rig.arrive(packet({ destinationPort: 81 }))
  const way = ['fromWire', 'classified', 'stored']
  expect(steps.filter(step => step !== 'interrupt')).toEqual([
    'fromWire',
    'classified',
    'steered',
    'stored',
    ...way,
  ])
})

it('filters are shown', () => {
  const rig = new NicRig('intel-82599')
  I82599.etherType(rig, 0, LLDP, 5)
  I82599.syn(rig, 7, true)
  I82599.tuple(rig, 100, { queue: 9, priority: 1, source: [10, 0, 0, 2], destinationPort: 443, protocol: 17 })
  expect(rig.nic.inspect().queueFilters).toEqual({
    etherTypes: [{ etherType: '0x88cc', pool: null, queue: 5 }],
    synQueue: 7,
    fiveTuples: [{ priority: 1, queue: 9, source: '10.0.0.2', destinationPort: 443, protocol: 17 }],
  })
})
