/**
 * A 1000BASE-T transceiver behind MDIO: the standard registers (IEEE 802.3 clause 22 and 40), and storage for those of the
 * maker. Autonegotiation is over as soon as there is a carrier.
 */
import type { Saved } from '../../../core/index.ts'

const CONTROL = 0
const STATUS = 1
const ID_HIGH = 2
const ID_LOW = 3
const PARTNER_ABILITY = 5
const EXPANSION = 6
const GIGABIT_STATUS = 10
const EXTENDED_STATUS = 15
/** "IGP01E1000 port status": speed 15:14, MDI-X 11, link 10, full duplex 9. */
const PORT_STATUS = 17
const PAGE_SELECT = 31

const CONTROL_BIT = { RESET: 0x8000, POWER_DOWN: 0x0800, RESTART: 0x0200 } as const
const CONTROL_DEFAULT = 0x1140
/** 10 and 100 Mb/s both duplexes, extended status, autonegotiation able, extended capability. */
const STATUS_FIXED = 0x7949
const STATUS_LINK = 0x0024
/** Default advertisement: 10 and 100 Mb/s, both duplexes, pause. */
const ADVERTISEMENT = 0x0de1
const GIGABIT_CONTROL = 0x0300

/** `IGP03E1000`: what igb drives the 82576's transceiver as. */
const ID = 0x02a8_0390

export class Phy {
  /** By page and register: page * 32 + register. */
  readonly #registers = new Map<number, number>()
  #page = 0
  readonly #carrier: () => boolean
  readonly #powered: (on: boolean) => void

  /** @param powered called when software powers it down or up. */
  constructor(carrier: () => boolean, powered: (on: boolean) => void) {
    this.#carrier = carrier
    this.#powered = powered
    this.reset()
  }

  reset(): void {
    this.#registers.clear()
    this.#registers.set(CONTROL, CONTROL_DEFAULT)
    this.#registers.set(4, ADVERTISEMENT)
    this.#registers.set(9, GIGABIT_CONTROL)
    this.#page = 0
  }

  read(register: number): number {
    const linked = this.#carrier()
    switch (register) {
      case CONTROL:
        return this.#registers.get(CONTROL)!
      case STATUS:
        return STATUS_FIXED | (linked ? STATUS_LINK : 0)
      case ID_HIGH:
        return ID >>> 16
      case ID_LOW:
        return ID & 0xffff
      case PARTNER_ABILITY:
        return linked ? 0xcde1 : 0
      case EXPANSION:
        return linked ? 0x0d : 0x04
      case GIGABIT_STATUS:
        return linked ? 0x7c00 : 0
      case EXTENDED_STATUS:
        return 0x3000
      case PORT_STATUS:
        return linked ? 0xce00 : 0
      case PAGE_SELECT:
        return this.#page
    }
    return this.#registers.get(this.#at(register)) ?? 0
  }

  write(register: number, value: number): void {
    if (register === PAGE_SELECT) this.#page = value
    else if (register === CONTROL) this.#writeControl(value)
    else this.#registers.set(this.#at(register), value)
  }

  #at(register: number): number {
    return (register < 16 ? 0 : this.#page * 32) + register
  }

  #writeControl(value: number): void {
    if (value & CONTROL_BIT.RESET) this.reset()
    else this.#registers.set(CONTROL, value & ~CONTROL_BIT.RESTART)
    this.#powered(!(this.#registers.get(CONTROL)! & CONTROL_BIT.POWER_DOWN))
  }

  save(): Saved {
    const registers = [...this.#registers].sort(([a], [b]) => a - b).map(pair => [...pair])
    return { page: this.#page, registers }
  }

  /** The port that it powers has a state of its own. */
  load(saved: Saved): void {
    const state = saved as unknown as { page: number; registers: readonly [number, number][] }
    this.#page = state.page
    this.#registers.clear()
    for (const [at, value] of state.registers) this.#registers.set(at, value)
  }
}
