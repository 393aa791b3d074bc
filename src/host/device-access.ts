/**
 * What a driver of the host kernel has of its function: registers behind its BARs, memory that it shares with the
 * function, and the interrupts that were armed when it was bound.
 */
import { ALL_LANES, assert, NorthbridgeError, PAGE_SIZE } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import type { Binding, DriverCode, DriverCore } from './driver-core.ts'
import type { HostRun, KernelDma, LentMemory } from './kernel-dma.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import type { DmaBuffer, HostFunction } from './types.ts'

export class DeviceAccess {
  readonly function: HostFunction
  readonly #fn: HostPciFunction
  readonly #machine: MachinePort
  readonly #dma: KernelDma
  readonly #drivers: DriverCore
  /** Physical address by BAR index; 0 for one that is not there. */
  readonly #bases = new Float64Array(6)
  readonly #binding: Binding | undefined

  /** Throws `functionInUse` unless a driver of this kernel has the function. */
  constructor(machine: MachinePort, fn: HostPciFunction, dma: KernelDma, drivers: DriverCore) {
    if (fn.owner.kind !== 'driver') {
      throw new NorthbridgeError('functionInUse', `no driver of the host has ${fn.address}`, {
        owner: fn.owner,
      })
    }
    this.function = fn
    this.#fn = fn
    this.#machine = machine
    this.#dma = dma
    this.#drivers = drivers
    this.#binding = drivers.bindingOf(fn)
    for (const { index, kind, address } of fn.bars) if (kind !== 'io') this.#bases[index] = address
  }

  /** Whether the driver still has the function: afterwards its buffers are somebody else's. */
  get bound(): boolean {
    return this.#drivers.bindingOf(this.#fn) === this.#binding
  }

  /** Whether a BAR was given an address. */
  hasBar(bar: number): boolean {
    return this.#bases[bar]! !== 0
  }

  /** An aligned dword of the registers behind a BAR. */
  readRegister(bar: number, offset: number): number {
    return this.#machine.readDword(this.#bases[bar]! + offset)
  }

  writeRegister(bar: number, offset: number, value: number, lanes: number = ALL_LANES): void {
    assert(this.#bases[bar]! !== 0, 'a driver writes to registers that have an address')
    this.#machine.writeDword(this.#bases[bar]! + offset, value, lanes)
  }

  /** Zeroed memory, contiguous for both sides. Throws `outOfMemory`, `outOfResources`; nothing has changed then. */
  *allocate(
    pages: number,
    access: { readonly read: boolean; readonly write: boolean } = BOTH_WAYS,
  ): Software<DmaBuffer> {
    return yield* this.#dma.allocate(this.#fn, pages, access, true)
  }

  *free(buffer: DmaBuffer): Software {
    yield* this.#dma.free(this.#fn, buffer.address)
  }

  /** Lets the function reach memory that is not the driver's. Throws as {@link allocate}. */
  *lend(memory: readonly HostRun[]): Software<readonly LentMemory[]> {
    return yield* this.#dma.lend(this.#fn, memory, BOTH_WAYS)
  }

  /** The function reaches it no more when this returns. */
  *takeBack(lent: readonly LentMemory[]): Software {
    yield* this.#dma.takeBack(this.#fn, lent)
  }

  /** A buffer that the driver had when it was saved, by the address at which the function reaches it. */
  buffer(address: number): DmaBuffer {
    const found = this.#dma.buffers(this.#fn).find(buffer => buffer.address === address)
    assert(found !== undefined, 'a driver has the buffers that it had')
    return found
  }

  /** An aligned dword of a buffer. */
  readDword(buffer: DmaBuffer, offset: number): number {
    return this.#machine.readDword(buffer.hostPage * PAGE_SIZE + offset)
  }

  writeDword(buffer: DmaBuffer, offset: number, value: number): void {
    this.#machine.writeDword(buffer.hostPage * PAGE_SIZE + offset, value)
  }

  /** Copies `length` bytes out of a buffer. */
  read(
    buffer: DmaBuffer,
    offset: number,
    target: Uint8Array,
    start = 0,
    length = target.length - start,
  ): void {
    const done = this.#machine.readBytes(buffer.hostPage * PAGE_SIZE + offset, target, start, length)
    assert(done, 'buffers are RAM')
  }

  /** Copies `length` bytes into a buffer. */
  write(
    buffer: DmaBuffer,
    offset: number,
    source: Uint8Array,
    start = 0,
    length = source.length - start,
  ): void {
    const done = this.#machine.writeBytes(buffer.hostPage * PAGE_SIZE + offset, source, start, length)
    assert(done, 'buffers are RAM')
  }

  /** Message-signalled interrupts that are armed: 0 if the driver got none. */
  get interrupts(): number {
    return this.#drivers.armedMessages(this.#fn)
  }

  /** Has the kernel call `code` for the function, until its driver is unbound; `undefined` ends it. */
  serve(code: DriverCode | undefined): void {
    this.#drivers.serve(this.#fn, code)
  }
}

const BOTH_WAYS = { read: true, write: true } as const
