/** Where sysfs has a function: `devices/pciDDDD:BB/` and one folder per bridge on the way down. */
import { busOf } from '../../core/index.ts'
import type { HostFunction } from '../../host/index.ts'

const digits = (value: number, width: number): string => value.toString(16).padStart(width, '0')

export class DevicePaths {
  readonly #functions: ReadonlyMap<string, HostFunction>

  constructor(functions: readonly HostFunction[]) {
    this.#functions = new Map(functions.map(fn => [fn.address, fn]))
  }

  /** Relative to `/sys`. */
  of(fn: HostFunction): string {
    const above = fn.parent ?? this.#parentOfPhysical(fn)
    const bridge = above === undefined ? undefined : this.#functions.get(above)
    return bridge === undefined
      ? `devices/pci${digits(fn.segment, 4)}:${digits(busOf(fn.rid), 2)}/${fn.address}`
      : `${this.of(bridge)}/${fn.address}`
  }

  /** A virtual function hangs below the bridge of its physical function, whatever its bus number. */
  #parentOfPhysical({ physicalFunction }: HostFunction): string | undefined {
    return physicalFunction === undefined ? undefined : this.#functions.get(physicalFunction)?.parent
  }
}
