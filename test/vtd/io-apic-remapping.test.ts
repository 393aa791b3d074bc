/** Interrupts of the board's own sources through a remapping unit: I/O APIC redirection entries, and an HPET's messages. */
import { describe, expect, test } from 'vitest'
import { IoApic } from '../../src/interrupts/index.ts'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

/** As the DMAR table's scopes would name them: f0:1f.0 and f0:0f.0. */
const IO_APIC_SID = 0xf0f8
const HPET_SID = 0xf078
const PIN = 9
const INDEX = 0x45

/** An I/O APIC whose messages pass the unit; reasons of blocked ones, and messages delivered. */
class Board {
  readonly t = new TestUnit()
  readonly reasons: number[] = []
  readonly vectors: number[] = []
  readonly ioApic: IoApic

  constructor({ size = 7, eime = false } = {}) {
    const { t } = this
    t.write64(0xb8, F.IRT + (eime ? 0x800 : 0) + size)
    t.command(24)
    t.command(25)
    this.ioApic = new IoApic({
      id: 8,
      entries: 24,
      send: (addressLow, data) => {
        const reason = t.interrupt(addressLow, data, { sid: IO_APIC_SID })
        if (reason === 0) this.vectors.push(t.message.vector)
        else this.reasons.push(reason)
      },
    })
  }

  write(index: number, value: number): void {
    this.ioApic.writeDword(0x00, index, 0xff)
    this.ioApic.writeDword(0x10, value >>> 0, F.ALL)
  }

  read(index: number): number {
    this.ioApic.writeDword(0x00, index, 0xff)
    return this.ioApic.readDword(0x10) >>> 0
  }

  /** "I/O xAPIC RTE" in remappable format: index 14:0 in bits 63:49, index 15 in bit 11, format in bit 48. */
  entry(index: number, vector: number, level = true): void {
    this.write(0x11 + PIN * 2, (((index & 0x7fff) << 17) | (1 << 16)) >>> 0)
    this.write(0x10 + PIN * 2, vector | ((index >>> 15) << 11) | (level ? 0x8000 : 0))
  }

  irte(index: number, vector: number, { level = true, sid = IO_APIC_SID } = {}): void {
    this.t.store(F.IRT + index * 16, 0x0000_1200_0000_0001n + (BigInt(vector) << 16n) + (level ? 0x10n : 0n))
    this.t.store(F.IRT + index * 16 + 8, 0x4_0000 + sid)
  }

  get remoteIrr(): boolean {
    return (this.read(0x10 + PIN * 2) & 0x4000) !== 0
  }
}

describe('an I/O APIC entry in remappable format', () => {
  test('sends an interrupt request with its index; the remapping entry says what is delivered', () => {
    const b = new Board()
    b.irte(INDEX, 0x51)
    b.entry(INDEX, 0x51)
    b.ioApic.assertLine(PIN, true)
    expect(b.vectors).toEqual([0x51])
    expect(b.t.message).toMatchObject({ destination: 0x12, levelTriggered: true, vector: 0x51 })
    expect(b.t.request.interrupt).toMatchObject({ remapped: true, irteIndex: INDEX })
  })

  test('has bit 15 of its index in bit 11', () => {
    const b = new Board({ size: 15 })
    b.irte(0x8003, 0x51)
    b.entry(0x8003, 0x51)
    b.ioApic.assertLine(PIN, true)
    expect(b.t.request.interrupt.irteIndex).toBe(0x8003)
  })

  test('is sent again after EOI only if its own vector is the one that the remapping entry delivers', () => {
    for (const [vector, again] of [
      [0x51, true],
      [0x52, false],
    ] as const) {
      const b = new Board()
      b.irte(INDEX, 0x51)
      b.entry(INDEX, vector)
      b.ioApic.assertLine(PIN, true)
      b.ioApic.endOfInterrupt(b.vectors[0]!)
      expect(b.vectors).toEqual(again ? [0x51, 0x51] : [0x51])
      expect(b.remoteIrr).toBe(true)
    }
  })

  test('is validated by the source-id of the I/O APIC', () => {
    const b = new Board()
    b.irte(INDEX, 0x51, { sid: HPET_SID })
    b.entry(INDEX, 0x51)
    b.ioApic.assertLine(PIN, true)
    expect([b.vectors, b.reasons]).toEqual([[], [0x26]])
    expect(b.t.record()).toMatchObject({ reason: 0x26, sid: IO_APIC_SID, address: BigInt(INDEX) << 48n })
  })

  test('in compatibility format is blocked unless CFIS is set', () => {
    const b = new Board()
    b.write(0x11 + PIN * 2, 0x1200_0000)
    b.write(0x10 + PIN * 2, 0x51)
    b.ioApic.assertLine(PIN, true)
    expect([b.vectors, b.reasons]).toEqual([[], [0x25]])
    b.t.command(23)
    b.ioApic.assertLine(PIN, false)
    b.ioApic.assertLine(PIN, true)
    expect(b.vectors).toEqual([0x51])
  })
})

describe('a message of an HPET', () => {
  test('is an MSI under the source-id of its scope', () => {
    const b = new Board()
    b.irte(3, 0x61, { level: false, sid: HPET_SID })
    expect(b.t.interrupt(0xfee0_0010 + 3 * 32, 0, { sid: HPET_SID })).toBe(0)
    expect(b.t.message).toMatchObject({ vector: 0x61, levelTriggered: false })
    expect(b.t.interrupt(0xfee0_0010 + 3 * 32, 0, { sid: IO_APIC_SID })).toBe(0x26)
  })
})
