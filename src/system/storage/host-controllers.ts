/** The host's drivers of NVMe controllers that serve disks, each brought up when it is first needed. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { type HostKernel, NvmeDriver } from '../../host/index.ts'
import { invalid } from './disk-requests.ts'

const NVME_CLASS = 0x01_08_02

type SavedControllers = readonly (readonly [address: string, driver: Saved])[]

export class HostControllers {
  readonly #host: HostKernel
  /** By function. One that the function was taken from stays until another takes its place: it is of no use. */
  readonly #drivers = new Map<string, NvmeDriver>()

  constructor(host: HostKernel) {
    this.#host = host
  }

  /** The driver of a function, if it has one. */
  find(address: string): NvmeDriver | undefined {
    const driver = this.#drivers.get(address)
    return driver?.bound === true ? driver : undefined
  }

  /** Throws `notFound`; `invalidArgument` for what is no NVMe controller. */
  check(address: string): void {
    if (this.#host.find(address).classCode !== NVME_CLASS) {
      throw invalid('/function', `names no NVMe controller: ${address}`)
    }
  }

  /** Throws what {@link check} and {@link NvmeDriver.start} do, and `functionInUse` if no driver of the host may have the function. */
  *open(address: string): Software<NvmeDriver> {
    const found = this.find(address)
    if (found !== undefined) return found
    this.check(address)
    const driver = yield* NvmeDriver.start(this.#host.device(address))
    this.#drivers.set(address, driver)
    return driver
  }

  save(): SavedControllers {
    return [...this.#drivers]
      .filter(([, driver]) => driver.bound)
      .map(([address, driver]) => [address, driver.save()] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
  }

  load(saved: SavedControllers): void {
    for (const [address, driver] of saved) {
      this.#drivers.set(address, NvmeDriver.restore(this.#host.device(address), driver))
    }
  }
}
