/**
 * An emulated gigabit adapter, an 82540EM with MSI: every register access of its guest exits and ends here, and every
 * frame is copied by the hypervisor between guest memory and the switch.
 */
import { opened, type Saved } from '../../../core/index.ts'
import type { Software } from '../../../engine/index.ts'
import { macHigh, macLow } from '../../../net/formats/index.ts'
import type { DevicePort, EmulatedDevice } from '../../emulated-device.ts'
import {
  E1000,
  E1000_CTRL,
  E1000_EERD,
  E1000_ID,
  E1000_MDIC,
  E1000_RAH,
  E1000_STATUS,
  E1000_WINDOW,
} from '../../formats/e1000.ts'
import type { DropCause, DropTally } from '../drop-tally.ts'
import type { FrameExit, FrameJournal } from '../network-device.ts'
import type { SwitchClient } from '../switch-port.ts'
import { eepromOf } from './eeprom.ts'
import { E1000Rings, type SavedRings } from './rings.ts'

const ETHERNET_CLASS = 0x02_0000
/** Registers of the PHY (Marvell 88E1011): control, status with link and completed negotiation, identifiers. */
const PHY = new Map<number, number>([
  [0, 0x1140],
  [1, 0x796d],
  [2, 0x0141],
  [3, 0x0c20],
])

const STATISTICS: ReadonlySet<number> = new Set([
  E1000.MPC,
  E1000.GPRC,
  E1000.BPRC,
  E1000.MPRC,
  E1000.GPTC,
  E1000.GORCL,
  E1000.GORCL + 4,
  E1000.GOTCL,
  E1000.GOTCL + 4,
  E1000.TPR,
  E1000.TPT,
])

export class E1000Device implements EmulatedDevice, SwitchClient {
  readonly kind = 'e1000'
  readonly identity = {
    ...E1000_ID,
    subsystemVendorId: 0x8086,
    subsystemId: 0x001e,
    classCode: ETHERNET_CLASS,
  }
  readonly bars = [{ index: 0, size: E1000_WINDOW, is64: false, prefetchable: false }]
  readonly messages = 'msi'
  readonly mac: Uint8Array
  readonly #words = new Uint32Array(E1000_WINDOW / 4)
  readonly #eeprom: Uint16Array
  readonly #rings: E1000Rings
  #port: DevicePort | undefined

  /** @param exit where its frames go. */
  constructor(mac: Uint8Array, exit: FrameExit, journal: FrameJournal) {
    this.mac = mac
    this.#eeprom = eepromOf(mac, E1000_ID.vendorId, E1000_ID.deviceId)
    this.#rings = new E1000Rings(this.#words, { exit, journal, raise: cause => this.#raise(cause) })
    this.#reset()
  }

  connect(port: DevicePort): void {
    this.#port = port
    this.#rings.port = port
  }

  disconnect(): void {
    this.#reset()
  }

  /** "Software Reset": the card as after power-on, its address from the EEPROM. */
  #reset(): void {
    const words = this.#words
    words.fill(0)
    words[E1000.CTRL >>> 2] = E1000_CTRL.FD
    words[E1000.STATUS >>> 2] = E1000_STATUS.FD | E1000_STATUS.LU | E1000_STATUS.SPEED_1000
    words[E1000.RAL >>> 2] = macLow(this.mac, 0)
    words[E1000.RAH >>> 2] = (E1000_RAH.AV | macHigh(this.mac, 0)) >>> 0
    this.#rings.reset()
  }

  readRegister(_bar: number, offset: number): number {
    const words = this.#words
    const at = offset >>> 2
    const value = words[at]!
    switch (offset) {
      case E1000.ICR:
        // "All register bits are cleared upon read."
        words[at] = 0
        return value
      case E1000.ICS:
      case E1000.IMC:
        return 0
    }
    // Statistics clear on read.
    if (STATISTICS.has(offset)) words[at] = 0
    return value
  }

  // biome-ignore lint/correctness/useYield: other devices wait where this one does not
  *writeRegister(_bar: number, offset: number, value: number, lanes: number): Software {
    const words = this.#words
    const at = offset >>> 2
    const merged = ((words[at]! & ~lanes) | (value & lanes)) >>> 0
    switch (offset) {
      case E1000.STATUS:
      case E1000.ICR:
        // Writing ones clears causes; STATUS is read-only.
        if (offset === E1000.ICR) words[at]! &= ~(value & lanes)
        return
      case E1000.CTRL:
        if (merged & E1000_CTRL.RST) this.#reset()
        else words[at] = merged
        return
      case E1000.ICS:
        return this.#raise(value & lanes)
      case E1000.IMS:
        words[at]! |= value & lanes
        // What is pending already interrupts as soon as it may.
        return this.#raise(0)
      case E1000.IMC:
        words[E1000.IMS >>> 2]! &= ~(value & lanes)
        return
      case E1000.EERD:
        words[at] = this.#readEeprom(merged)
        return
      case E1000.MDIC:
        words[at] = accessPhy(merged)
        return
    }
    if (STATISTICS.has(offset)) return
    words[at] = merged
    if (offset === E1000.TDT) this.#rings.transmit()
  }

  #readEeprom(value: number): number {
    if ((value & E1000_EERD.START) === 0) return value
    const address = (value >>> E1000_EERD.ADDRESS_SHIFT) & 0xff
    const word = this.#eeprom[address] ?? 0xffff
    return ((word << E1000_EERD.DATA_SHIFT) | (address << E1000_EERD.ADDRESS_SHIFT) | E1000_EERD.DONE) >>> 0
  }

  /** Sets causes. A message is sent when an enabled cause is pending that was not before, or may interrupt only now. */
  #raise(causes: number): void {
    const words = this.#words
    const mask = words[E1000.IMS >>> 2]!
    const before = words[E1000.ICR >>> 2]!
    words[E1000.ICR >>> 2] = before | causes
    const fresh = causes === 0 ? before & mask : causes & mask & ~before
    if (fresh !== 0) this.#port?.signal(0)
  }

  get drops(): DropTally {
    return this.#rings.drops
  }

  deliver(frame: Parameters<SwitchClient['deliver']>[0]): DropCause | undefined {
    return this.#rings.receive(frame)
  }

  save(): Saved {
    return { version: 1, words: this.#words.slice(), rings: this.#rings.save() }
  }

  load(saved: Saved): void {
    const { words, rings } = opened<{ words: Uint32Array; rings: SavedRings }>(saved, 'an e1000', 1)
    this.#words.set(words)
    this.#rings.load(rings)
  }
}

/** "MDI Control Register": reads are answered at once; writes are taken and forgotten. */
function accessPhy(value: number): number {
  const ready = (value | E1000_MDIC.READY) >>> 0
  if ((value & E1000_MDIC.OP_READ) === 0) return ready
  const found = PHY.get((value >>> E1000_MDIC.REGISTER_SHIFT) & 31) ?? 0
  return ((ready & 0xffff_0000) | found) >>> 0
}
