/** "PCI Configuration Mechanism #1": config space of the virtual bus through two I/O ports. */
import type { Software } from '../engine/index.ts'
import { CONFIG_ADDRESS, CONFIG_DATA } from '../hypervisor/formats/virtual-board.ts'
import type { GuestPort } from './guest-port.ts'

const ENABLE = 0x8000_0000

export class ConfigAccess {
  readonly #port: GuestPort

  constructor(port: GuestPort) {
    this.#port = port
  }

  /** @param offset a multiple of 4, below 256. */
  *read(slot: number, offset: number): Software<number> {
    yield* this.#select(slot, offset)
    return (yield* this.#port.execute({ op: 'in', port: CONFIG_DATA, width: 4 })).low
  }

  *write(slot: number, offset: number, value: number): Software {
    yield* this.#select(slot, offset)
    yield* this.#port.execute({ op: 'out', port: CONFIG_DATA, width: 4, value: value >>> 0 })
  }

  /** A 16-bit register, so that the other half of its dword is left alone. */
  *write16(slot: number, offset: number, value: number): Software {
    yield* this.#select(slot, offset & ~3)
    const port = CONFIG_DATA + (offset & 2)
    yield* this.#port.execute({ op: 'out', port, width: 2, value: value & 0xffff })
  }

  *#select(slot: number, offset: number): Software {
    const value = (ENABLE | (slot << 11) | offset) >>> 0
    yield* this.#port.execute({ op: 'out', port: CONFIG_ADDRESS, width: 4, value })
  }
}
