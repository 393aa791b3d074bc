import { beforeEach, describe, expect, it } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { remappableRte } from '../../src/interrupts/formats/io-apic.ts'
import {
  ApicBus,
  decodeCompatibility,
  InterruptMessage,
  IoApic,
  LocalApic,
} from '../../src/interrupts/index.ts'

const IOREGSEL = 0
const IOWIN = 0x10
const EOI = 0x40
const ALL = 0xffff_ffff
const MASK = 1 << 16
const LEVEL = 1 << 15
const REMOTE_IRR = 1 << 14
const ACTIVE_LOW = 1 << 13

let ioApic: IoApic
let sent: [address: number, data: number][]

beforeEach(() => {
  sent = []
  ioApic = new IoApic({ id: 2, entries: 24, send: (address, data) => void sent.push([address, data]) })
})

const read = (index: number): number => {
  ioApic.writeDword(IOREGSEL, index, ALL)
  return ioApic.readDword(IOWIN)
}
const write = (index: number, value: number): void => {
  ioApic.writeDword(IOREGSEL, index, ALL)
  ioApic.writeDword(IOWIN, value, ALL)
}
const entry = (pin: number, low: number, high = 0): void => {
  write(0x11 + 2 * pin, high)
  write(0x10 + 2 * pin, low)
}

describe('registers', () => {
  it('ID has four writable bits, version 20H and 24 entries', () => {
    expect(read(0)).toBe(0x0200_0000)
    write(0, ALL)
    expect(read(0)).toBe(0x0f00_0000)
    expect(read(1)).toBe(0x0017_0020)
    expect(read(2)).toBe(0x0f00_0000)
  })

  it('entries are masked after reset; delivery status and Remote IRR are read-only', () => {
    expect(read(0x10)).toBe(MASK)
    entry(3, ALL)
    expect(read(0x16)).toBe(0x0001_afff)
    expect(read(0x10 + 48)).toBe(0)
  })
})

describe('an edge-triggered entry', () => {
  it('sends one message on the asserting edge', () => {
    entry(4, 0x41, 0x0300_0000)
    ioApic.assertLine(4, true)
    ioApic.assertLine(4, true)
    expect(sent).toEqual([[0xfee0_3000, 0x4041]])
    ioApic.assertLine(4, false)
    ioApic.assertLine(4, true)
    expect(sent).toHaveLength(2)
  })

  it('active low asserts on the falling edge', () => {
    ioApic.assertLine(4, true)
    entry(4, 0x41 | ACTIVE_LOW)
    expect(sent).toEqual([])
    ioApic.assertLine(4, false)
    expect(sent).toHaveLength(1)
  })

  it('loses an edge while masked', () => {
    ioApic.assertLine(4, true)
    entry(4, 0x41)
    expect(sent).toEqual([])
  })
})

describe('a level-triggered entry', () => {
  it('sends once, sets Remote IRR, and sends again after EOI while still asserted', () => {
    entry(5, 0x51 | LEVEL)
    ioApic.assertLine(5, true)
    expect(sent).toEqual([[0xfee0_0000, 0xc051]])
    expect(read(0x1a) & REMOTE_IRR).toBe(REMOTE_IRR)
    ioApic.assertLine(5, true)
    expect(sent).toHaveLength(1)
    ioApic.endOfInterrupt(0x52)
    expect(sent).toHaveLength(1)
    ioApic.endOfInterrupt(0x51)
    expect(sent).toHaveLength(2)
    ioApic.assertLine(5, false)
    ioApic.writeDword(EOI, 0x51, ALL)
    expect(sent).toHaveLength(2)
    expect(read(0x1a) & REMOTE_IRR).toBe(0)
  })

  it('sends when unmasked while asserted', () => {
    entry(5, 0x51 | LEVEL | MASK)
    ioApic.assertLine(5, true)
    expect(sent).toEqual([])
    entry(5, 0x51 | LEVEL)
    expect(sent).toHaveLength(1)
  })

  it('loses Remote IRR when it becomes edge-triggered', () => {
    entry(5, 0x51 | LEVEL)
    ioApic.assertLine(5, true)
    entry(5, 0x51)
    expect(read(0x1a) & REMOTE_IRR).toBe(0)
  })
})

describe('messages', () => {
  it('carry destination mode, delivery mode, and a redirection hint for lowest priority', () => {
    entry(6, 0x61 | (1 << 8) | (1 << 11), 0x0f00_0000)
    ioApic.assertLine(6, true)
    expect(sent).toEqual([[0xfee0_f00c, 0x4161]])
  })

  it('of a remappable entry carry the handle, SHV 0, and vector and trigger mode as data', () => {
    const [low, high] = remappableRte(0x8123, 0x71, true, false)
    entry(7, low, high)
    ioApic.assertLine(7, true)
    expect(sent).toEqual([[(0xfee0_0000 | (0x123 << 5) | 0x10 | 4) >>> 0, 0xc071]])
    expect(ioApic.view()[7]).toMatchObject({ irteIndex: 0x8123, remoteIrr: true, vector: 0x71 })
  })
})

describe('with a local APIC', () => {
  it('a level interrupt is delivered, completed by EOI, and repeated while asserted', () => {
    const bus = new ApicBus()
    const apic = new LocalApic(0, 0, bus, new Engine())
    const message = new InterruptMessage()
    const chip = new IoApic({
      id: 0,
      entries: 24,
      send: (address, data) => {
        decodeCompatibility(address, data, message)
        bus.deliver(message)
      },
    })
    bus.add(apic)
    bus.addListener(chip)
    apic.writeDword(0xf0, 0x1ff, ALL)
    chip.writeDword(IOREGSEL, 0x10, ALL)
    chip.writeDword(IOWIN, 0x51 | LEVEL, ALL)
    chip.assertLine(0, true)
    for (let i = 0; i < 3; i++) {
      expect(apic.acknowledge()).toBe(0x51)
      expect(apic.deliverable).toBe(-1)
      if (i === 2) chip.assertLine(0, false)
      apic.writeDword(0xb0, 0, ALL)
    }
    expect(apic.deliverable).toBe(-1)
    expect(chip.view()[0]!.remoteIrr).toBe(false)
  })

  it('saves and loads', () => {
    entry(5, 0x51 | LEVEL)
    ioApic.assertLine(5, true)
    const saved = ioApic.save()
    const other = new IoApic({ id: 0, entries: 24, send: () => undefined })
    other.load(saved)
    expect(other.save()).toEqual(saved)
    expect(other.view()[5]).toMatchObject({ remoteIrr: true, asserted: true })
  })
})
