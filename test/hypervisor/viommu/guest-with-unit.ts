/** A guest with a remapping unit over two assigned functions of different groups, driven by its own kernel. */
import { readFileSync } from 'node:fs'
import { PAGE_SIZE } from '../../../src/core/index.ts'
import { type Software, within } from '../../../src/engine/index.ts'
import type { GuestKernel, RemappingDriver } from '../../../src/guest/index.ts'
import type { VirtualUnitMode, VirtualUnitView } from '../../../src/hypervisor/index.ts'
import { parseTopology } from '../../../src/platform/index.ts'
import { SimulatedPlatform } from '../../../src/system/index.ts'

export const MEMORY_MIB = 16
export const VM = 'guest'

export const run = <Result>(platform: SimulatedPlatform, work: Software<Result>): Result => {
  const steps = within(platform.engine, work)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

export const topologyOf = (name: string) =>
  parseTopology(JSON.parse(readFileSync(`topologies/${name}.json`, 'utf8')))

const drive = <Result>(software: Software<Result>): Result => {
  for (;;) {
    const step = software.next()
    if (step.done) return step.value
  }
}

export class GuestWithUnit {
  platform: SimulatedPlatform
  readonly functions: readonly string[]

  constructor(mode: VirtualUnitMode | undefined, topology = 'one-socket-82576', count = 2) {
    this.platform = drive(SimulatedPlatform.create(topologyOf(topology), { id: 'p', name: 'p' }))
    const card = this.platform.host.functions().find(fn => fn.sriov !== undefined)!
    if (count > 0) this.run(this.platform.host.setNumVfs(card.address, count))
    this.functions = this.platform.host
      .functions()
      .filter(fn => fn.kind === 'VF')
      .slice(0, count)
      .map(fn => fn.address)
    this.create(mode)
  }

  create(mode: VirtualUnitMode | undefined): void {
    const viommu = mode === undefined ? undefined : { mode }
    this.run(this.platform.hypervisor.createVm({ name: VM, vcpus: 1, memoryMiB: MEMORY_MIB, viommu }))
    for (const address of this.functions) this.run(this.platform.hypervisor.attach(VM, address))
  }

  run<Result>(work: Software<Result>): Result {
    return run(this.platform, work)
  }

  get unit(): VirtualUnitView {
    return this.platform.hypervisor.vm(VM).viommu!
  }

  /** Code of the guest's kernel. */
  kernel<Result>(code: (kernel: GuestKernel) => Software<Result>) {
    return this.run(
      this.platform.hypervisor.runGuest(VM, 0, software => code(software as unknown as GuestKernel)),
    )
  }

  remapping<Result>(code: (driver: RemappingDriver) => Software<Result>) {
    return this.kernel(kernel => code(kernel.remapping!))
  }

  look<Result>(what: (kernel: GuestKernel) => Result): Result {
    return this.platform.hypervisor.lookAtGuest(VM, 0, software => what(software as unknown as GuestKernel))
  }

  start(): void {
    this.kernel(kernel => kernel.startRemapping())
  }

  map(
    which: number,
    page: number,
    frame: number,
    pages = 1,
    rights = { read: true, write: true },
    tell = true,
  ) {
    return this.remapping(driver => driver.map(which + 1, page, frame, pages, rights, tell))
  }

  unmap(which: number, page: number, pages = 1, tell = true) {
    return this.remapping(driver => driver.unmap(which + 1, page, pages, tell))
  }

  /** A write of an assigned function. Returns the host address it reached, or undefined if it was blocked. */
  write(which: number, page: number, data = Uint8Array.of(1, 2, 3, 4)): number | undefined {
    return this.#dma(which, true, page, data)
  }

  read(which: number, page: number): number | undefined {
    return this.#dma(which, false, page, new Uint8Array(4))
  }

  #dma(which: number, write: boolean, page: number, data: Uint8Array): number | undefined {
    const report = this.run(this.platform.dma(this.functions[which]!, write, page, 0, data))
    const [part] = report.parts
    return part!.status === 0 ? part!.physicalPage * PAGE_SIZE : undefined
  }

  /** Where a guest page lies in the host. */
  hostPage(page: number): number {
    const run = this.platform.hypervisor
      .hostMemoryOf(VM)
      .find(({ guestPage, pages }) => page >= guestPage && page < guestPage + pages)!
    return run.hostPage + page - run.guestPage
  }

  hostAddress(page: number): number {
    return this.hostPage(page) * PAGE_SIZE
  }

  guestBytes(page: number, length = 4): number[] {
    return [...this.platform.hypervisor.readGuest(VM, page * PAGE_SIZE, length)]
  }
}
