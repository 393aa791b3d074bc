import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { drive } from '../../../src/engine/index.ts'
import type { DropCause } from '../../../src/hypervisor/net/drop-tally.ts'
import { E1000Device } from '../../../src/hypervisor/net/e1000/e1000.ts'
import { FrameJournal } from '../../../src/hypervisor/net/network-device.ts'
import { Frame } from '../../../src/net/formats/index.ts'

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1)
const MEMORY = 0x1_0000
const RX = 0x1000
const TX = 0x2000
const BUFFERS = 0x4000

/** Offsets and bits once more, from the manual. */
const R = {
  CTRL: 0,
  STATUS: 8,
  EERD: 0x14,
  MDIC: 0x20,
  ICR: 0xc0,
  ICS: 0xc8,
  IMS: 0xd0,
  IMC: 0xd8,
  RCTL: 0x100,
  TCTL: 0x400,
  RDBAL: 0x2800,
  RDLEN: 0x2808,
  RDH: 0x2810,
  RDT: 0x2818,
  TDBAL: 0x3800,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TDT: 0x3818,
  MPC: 0x4010,
  GPRC: 0x4074,
  BPRC: 0x4078,
  MPRC: 0x407c,
  GPTC: 0x4080,
  GORCL: 0x4088,
  MTA: 0x5200,
  RAL: 0x5400,
  RAH: 0x5404,
  VFTA: 0x5600,
}
const EN = 2
const BAM = 0x8000
const SECRC = 0x400_0000

function card() {
  const memory = new Uint8Array(MEMORY)
  const view = new DataView(memory.buffer)
  const sent: Uint8Array[] = []
  const journal = new FrameJournal()
  let messages = 0
  const device = new E1000Device(
    MAC,
    frame => {
      sent.push(frame.toBytes())
      return undefined
    },
    journal,
  )
  const inside = (address: number, length: number) => address >= 0 && address + length <= MEMORY
  device.connect({
    busMaster: true,
    read(address, target, start, length) {
      if (!inside(address, length)) return false
      target.set(memory.subarray(address, address + length), start)
      return true
    },
    write(address, source, start, length) {
      if (!inside(address, length)) return false
      memory.set(source.subarray(start, start + length), address)
      return true
    },
    signal: () => void messages++,
  })
  const write = (offset: number, value: number) =>
    drive(device.writeRegister(0, offset, value >>> 0, 0xffff_ffff), () => false)
  const read = (offset: number) => device.readRegister(0, offset) >>> 0
  return { memory, view, sent, journal, device, write, read, messages: () => messages }
}

type Card = ReturnType<typeof card>

/** A receive ring of 8 with 7 buffers of 256 bytes given to the card. */
function listening(control = EN | BAM | SECRC | (3 << 16)): Card {
  const made = card()
  for (let i = 0; i < 8; i++) made.view.setUint32(RX + 16 * i, BUFFERS + 0x100 * i, true)
  made.write(R.RDBAL, RX)
  made.write(R.RDLEN, 128)
  made.write(R.RDT, 7)
  made.write(R.RCTL, control)
  return made
}

const to =
  (...mac: number[]) =>
  (length = 60) => {
    const bytes = new Uint8Array(length).map((_, i) => i)
    bytes.set(mac)
    bytes.set([2, 0, 0, 0, 0, 9], 6)
    return Frame.of(bytes)
  }
const mine = to(...MAC)
const other = to(2, 0, 0, 0, 0, 77)
const broadcast = to(255, 255, 255, 255, 255, 255)

describe('The EEPROM, PHY and reset of an 82540', () => {
  it('has the address in its first words, its ids, and a checksum that makes the sum BABAh', () => {
    const { write, read } = card()
    const words = Array.from({ length: 64 }, (_, word) => {
      write(R.EERD, (word << 8) | 1)
      const answer = read(R.EERD)
      expect(answer & 0x10).toBe(0x10)
      return answer >>> 16
    })
    expect(words.slice(0, 3)).toEqual([0x0002, 0x0000, 0x0100])
    expect(words.reduce((sum, word) => (sum + word) & 0xffff)).toBe(0xbaba)
    expect([words[13], words[14]]).toEqual([0x100e, 0x8086])
  })

  it('has its address in the first receive address, valid, and a gigabit link that is up', () => {
    const { read } = card()
    expect([read(R.RAL), read(R.RAH)]).toEqual([0x0000_0002, 0x8000_0100])
    expect(read(R.STATUS) & 0x83).toBe(0x83)
  })

  it('answers for its PHY', () => {
    const { write, read } = card()
    write(R.MDIC, (1 << 27) | (1 << 21) | (2 << 16))
    expect(read(R.MDIC) & 0x1000_ffff).toBe(0x1000_0141)
  })

  it('forgets everything but its EEPROM on a software reset', () => {
    const made = listening()
    made.write(R.CTRL, 1 << 26)
    expect([made.read(R.RCTL), made.read(R.RDLEN), made.read(R.RAH)]).toEqual([0, 0, 0x8000_0100])
    expect(made.read(R.CTRL) & (1 << 26)).toBe(0)
  })
})

describe('Receive Packet Filtering', () => {
  it.each([
    ['its own address', mine, 0, undefined],
    ['another address', other, 0, 'filtered'],
    ['another address, unicast promiscuous', other, 8, undefined],
    ['broadcast', broadcast, 0, undefined],
    ['a group that nobody asked for', to(1, 0, 0x5e, 0, 0, 1), 0, 'filtered'],
    ['a group, multicast promiscuous', to(1, 0, 0x5e, 0, 0, 1), 16, undefined],
  ] as const)('%s', (_what, frame, extra, cause) => {
    const made = listening(EN | BAM | SECRC | (3 << 16) | extra)
    expect(made.device.deliver(frame())).toBe(cause)
    expect(made.read(R.GPRC)).toBe(cause === undefined ? 1 : 0)
  })

  it('hashes a group address into the multicast table by bits 47:36', () => {
    const made = listening()
    // Bytes 4 and 5 are 00 and 01: 0100h >> 4 = 10h.
    made.write(R.MTA, 1 << 16)
    expect(made.device.deliver(to(1, 0, 0x5e, 0, 0, 1)())).toBeUndefined()
    expect(made.read(R.MPRC)).toBe(1)
  })

  it('takes tagged frames of the VLANs in the filter table only, once that is on', () => {
    const made = listening(EN | BAM | SECRC | (3 << 16) | (1 << 18))
    const tagged = (vlan: number) => {
      const frame = mine(64)
      frame.bytes.set([0x81, 0, vlan >>> 8, vlan & 0xff], 12)
      return frame
    }
    made.write(R.VFTA + 4 * (40 >>> 5), 1 << (40 & 31))
    expect(made.device.deliver(tagged(40))).toBeUndefined()
    expect(made.device.deliver(tagged(41))).toBe('filtered')
    expect(made.device.deliver(mine())).toBeUndefined()
  })

  it('takes no frame longer than 1,518 bytes with its check sequence unless LPE allows it', () => {
    const made = listening(EN | SECRC)
    expect(made.device.deliver(mine(1514))).toBeUndefined()
    expect(made.device.deliver(mine(1515))).toBe('filtered')
    const long = listening(EN | SECRC | (1 << 5))
    expect(long.device.deliver(mine(1515))).toBeUndefined()
  })

  it('takes nothing while the receiver is off', () => {
    expect(card().device.deliver(mine())).toBe('receiverDisabled')
  })
})

describe('The receive ring', () => {
  it('writes the frame, its length, DD and EOP, and moves the head', () => {
    const made = listening()
    const frame = mine(100)
    made.device.deliver(frame)
    expect(made.memory.slice(BUFFERS, BUFFERS + 100)).toEqual(frame.bytes)
    expect(made.view.getUint16(RX + 8, true)).toBe(100)
    expect(made.memory[RX + 12]).toBe(3)
    expect(made.read(R.RDH)).toBe(1)
    expect(made.read(R.GORCL)).toBe(104)
  })

  it('pads a short frame, and appends the frame check sequence unless it is to be stripped', () => {
    const made = listening(EN | BAM | (3 << 16))
    const frame = mine(20)
    made.device.deliver(frame)
    const body = new Uint8Array(60)
    body.set(frame.bytes)
    expect(made.view.getUint16(RX + 8, true)).toBe(64)
    expect(made.memory.slice(BUFFERS, BUFFERS + 60)).toEqual(body)
    expect(made.view.getUint32(BUFFERS + 60, true)).toBe(crc32(body))
  })

  it('uses as many buffers as a frame needs; only the last has EOP', () => {
    const made = listening()
    const frame = mine(600)
    made.device.deliver(frame)
    expect(
      [0, 1, 2].map(i => [made.view.getUint16(RX + 16 * i + 8, true), made.memory[RX + 16 * i + 12]]),
    ).toEqual([
      [256, 1],
      [256, 1],
      [88, 3],
    ])
    expect(made.memory.slice(BUFFERS + 0x200, BUFFERS + 0x200 + 88)).toEqual(frame.bytes.subarray(512))
  })

  it('drops what finds too few buffers, counts it and says RXO', () => {
    const made = listening()
    made.write(R.IMS, 1 << 6)
    made.write(R.RDT, 2)
    expect(made.device.deliver(mine(600))).toBe('noReceiveBuffer')
    expect([made.read(R.MPC), made.read(R.RDH), made.messages()]).toEqual([1, 0, 1])
    expect(made.device.deliver(mine(512))).toBeUndefined()
    expect(made.device.deliver(mine())).toBe('noReceiveBuffer')
  })

  it('wraps around', () => {
    const made = listening()
    for (let i = 0; i < 20; i++) {
      expect(made.device.deliver(mine())).toBeUndefined()
      made.write(R.RDT, i % 8)
    }
    expect([made.read(R.RDH), made.read(R.GPRC)]).toEqual([20 % 8, 20])
  })

  it('never writes outside of guest memory, nor anywhere else, whatever the ring says', () => {
    fc.assert(
      fc.property(
        fc.record({
          base: fc.constantFrom(RX, MEMORY - 16, MEMORY, 0xffff_fff0),
          length: fc.constantFrom(0, 16, 128, 0xffff_ff80),
          head: fc.nat(10),
          tail: fc.constantFrom(0, 7, 8, 0xffff),
          buffer: fc.constantFrom(BUFFERS, MEMORY - 30, MEMORY, 0xffff_ffff),
          size: fc.integer({ min: 14, max: 1514 }),
        }),
        ({ base, length, head, tail, buffer, size }) => {
          const made = listening()
          for (let i = 0; i < 8; i++) made.view.setUint32(RX + 16 * i, buffer, true)
          made.write(R.RDBAL, base)
          made.write(R.RDLEN, length)
          made.write(R.RDH, head)
          made.write(R.RDT, tail)
          const before = made.memory.slice()
          const cause = made.device.deliver(mine(size))
          expect([undefined, 'noReceiveBuffer', 'receiveFault']).toContain(cause as DropCause | undefined)
          if (cause === 'noReceiveBuffer') expect(Buffer.compare(made.memory, before)).toBe(0)
        },
      ),
      { numRuns: 200 },
    )
  })
})

/** Puts frames into the transmit ring as descriptors of the given lengths, in one buffer after the other. */
function transmit(
  made: Card,
  descriptors: readonly { length: number; command: number; cso?: number; css?: number }[],
) {
  made.write(R.TDBAL, TX)
  made.write(R.TDLEN, 128)
  made.write(R.TCTL, EN)
  let at = BUFFERS
  for (const [i, { length, command, cso = 0, css = 0 }] of descriptors.entries()) {
    made.view.setUint32(TX + 16 * i, at, true)
    made.view.setUint16(TX + 16 * i + 8, length, true)
    made.memory.set([cso, command, 0, css], TX + 16 * i + 10)
    at += length
  }
  made.write(R.TDT, descriptors.length)
}

describe('The transmit ring', () => {
  it('sends a frame from several descriptors when one says EOP, and writes back those that say RS', () => {
    const made = card()
    made.memory.set(mine(100).bytes, BUFFERS)
    transmit(made, [
      { length: 40, command: 8 },
      { length: 60, command: 1 },
    ])
    expect(made.sent).toEqual([mine(100).bytes])
    expect([made.memory[TX + 12], made.memory[TX + 28]]).toEqual([1, 0])
    expect([made.read(R.TDH), made.read(R.GPTC)]).toEqual([2, 1])
  })

  it('inserts a checksum from CSS on at CSO where IC asks for it', () => {
    const made = card()
    made.memory.set(new Uint8Array(60).fill(1), BUFFERS)
    made.memory.set([0, 0], BUFFERS + 50)
    transmit(made, [{ length: 60, command: 1 | 4, cso: 50, css: 40 }])
    // Nine words of 0101h: 0909h, of which the complement is F6F6h.
    expect([...made.sent[0]!.subarray(50, 52)]).toEqual([0xf6, 0xf6])
  })

  it('pads what is shorter than a frame may be, and sends no frame without a header', () => {
    const made = card()
    transmit(made, [
      { length: 20, command: 1 },
      { length: 13, command: 1 },
    ])
    expect(made.sent.map(({ length }) => length)).toEqual([60])
    expect(made.device.drops.byCause).toEqual({ tooShort: 1 })
  })

  it('sends nothing while the transmitter is off or the tail lies beyond the ring', () => {
    const made = card()
    made.write(R.TDLEN, 128)
    made.write(R.TDT, 4)
    made.write(R.TCTL, EN)
    made.write(R.TDT, 8)
    expect(made.sent).toEqual([])
  })

  it('drops a frame of which a buffer lies outside of guest memory, and counts it', () => {
    const made = card()
    made.write(R.TDBAL, TX)
    made.write(R.TDLEN, 128)
    made.write(R.TCTL, EN)
    for (const [i, [address, command]] of [[BUFFERS, 0] as const, [MEMORY, 1 | 8] as const].entries()) {
      made.view.setUint32(TX + i * 16, address, true)
      made.view.setUint16(TX + i * 16 + 8, 60, true)
      made.memory[TX + i * 16 + 11] = command
    }
    made.write(R.TDT, 2)
    expect(made.sent).toEqual([])
    expect(made.device.drops.byCause).toEqual({ sendFault: 1 })
    expect(made.memory[TX + 28]).toBe(1)
  })
})

describe('Interrupts', () => {
  it('sends a message for an enabled cause, none for others, and clears what was read', () => {
    const made = listening()
    made.device.deliver(mine())
    expect(made.messages()).toBe(0)
    made.write(R.IMS, 0x80)
    expect(made.messages()).toBe(1)
    expect(made.read(R.ICR)).toBe(0x80)
    expect(made.read(R.ICR)).toBe(0)
    made.device.deliver(mine())
    made.device.deliver(mine())
    expect(made.messages()).toBe(2)
    made.write(R.IMC, 0x80)
    made.read(R.ICR)
    made.device.deliver(mine())
    expect(made.messages()).toBe(2)
  })

  it('may be asked for by software', () => {
    const made = card()
    made.write(R.IMS, 4)
    made.write(R.ICS, 4)
    expect([made.messages(), made.read(R.ICR)]).toEqual([1, 4])
  })
})
