/** A window of a host bridge in the system address map: accesses of processors on their way to the BARs below. */
import type { MmioTarget } from '../memory/index.ts'
import type { Fabric } from '../pcie/index.ts'

export class RegisterWindow implements MmioTarget {
  readonly #fabric: Fabric
  readonly #base: number

  constructor(fabric: Fabric, base: number) {
    this.#fabric = fabric
    this.#base = base
  }

  readDword(offset: number): number {
    return this.#fabric.readMemory(this.#base + offset)
  }

  writeDword(offset: number, value: number, lanes: number): void {
    this.#fabric.writeMemory(this.#base + offset, value, lanes)
  }
}
