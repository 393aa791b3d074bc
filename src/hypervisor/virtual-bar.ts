/** "Base Address Registers" as a guest sees them: sizes of the function, addresses of the guest's choice. */
import { opened, type Saved } from '../core/index.ts'
import type { DeviceRegion } from '../host/index.ts'
import { BAR } from '../pcie/formats/index.ts'

const TWO_32 = 2 ** 32

export class VirtualBarRegisters {
  readonly #words = new Uint32Array(6)
  readonly #writable = new Uint32Array(6)
  readonly #regions: readonly DeviceRegion[]

  constructor(regions: readonly DeviceRegion[]) {
    this.#regions = regions
    for (const { index, size, prefetchable, is64 } of regions) {
      this.#words[index] = (prefetchable ? BAR.PREFETCHABLE : 0) | (is64 ? BAR.MEMORY_64 : 0)
      this.#writable[index] = size >= TWO_32 ? 0 : (~(size - 1) & BAR.MEMORY_ADDRESS) >>> 0
      if (is64) this.#writable[index + 1] = size > TWO_32 ? ~(size / TWO_32 - 1) : 0xffff_ffff
    }
  }

  /** @param index of the dword, 0 to 5. */
  read(index: number): number {
    return this.#words[index]!
  }

  write(index: number, value: number, lanes: number): void {
    const writable = this.#writable[index]! & lanes
    this.#words[index] = (this.#words[index]! & ~writable) | (value & writable)
  }

  /** The address that the guest programmed into the BAR of a region. */
  address(region: DeviceRegion): number {
    const low = (this.#words[region.index]! & BAR.MEMORY_ADDRESS) >>> 0
    return region.is64 ? this.#words[region.index + 1]! * TWO_32 + low : low
  }

  /** As after a reset: type and prefetchability are all that is left. */
  reset(): void {
    for (const [i, writable] of this.#writable.entries()) this.#words[i]! &= ~writable
  }

  get regions(): readonly DeviceRegion[] {
    return this.#regions
  }

  save(): Saved {
    return { version: 1, words: this.#words.slice() }
  }

  load(saved: Saved): void {
    this.#words.set(opened<{ words: Uint32Array }>(saved, 'virtual base address registers', 1).words)
  }
}
