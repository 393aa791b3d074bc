/** Host vectors and interrupt remapping entries behind the MSI-X or MSI of one function. */
import { assert, NorthbridgeError } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { compatibilityAddress, remappableAddress } from '../interrupts/formats/message.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { dmaAliases } from './grouping/dma-aliases.ts'
import type { HostInterrupts, HostVector } from './interrupts.ts'
import type { InterruptSource, InterruptTable, PostedTarget } from './iommu/interrupt-table.ts'
import { isGone } from './pci/function-reset.ts'
import {
  disableMessages,
  enableMsi,
  enableMsix,
  type Message,
  msiOf,
  msixOf,
} from './pci/message-interrupts.ts'
import type { HostPciFunction } from './pci/pci-function.ts'

/** The 8-bit destination of compatibility format reaches no APIC id beyond. */
const LARGEST_COMPATIBILITY_ID = 254

export type SavedFunctionInterrupts = {
  readonly vectors: readonly (readonly [processor: number, vector: number])[]
  readonly firstEntry: number
  readonly entries: number
  readonly posted: readonly number[]
}

export class FunctionInterrupts {
  readonly #machine: MachinePort
  readonly #interrupts: HostInterrupts
  readonly #fn: HostPciFunction
  /** The table that remaps the function's requests; undefined without interrupt remapping. */
  readonly #table: InterruptTable | undefined
  #vectors: HostVector[] = []
  /** Interrupt remapping table entries: first and number. */
  #firstEntry = -1
  #entries = 0
  /** Messages that are posted: 1, by index. */
  #posted: number[] = []

  constructor(
    machine: MachinePort,
    interrupts: HostInterrupts,
    fn: HostPciFunction,
    table: InterruptTable | undefined,
  ) {
    this.#machine = machine
    this.#interrupts = interrupts
    this.#fn = fn
    this.#table = table
  }

  /** Messages that can be armed. MSI without remapping carries one: further ones need consecutive vectors. */
  get available(): number {
    const msix = msixOf(this.#fn)
    if (msix !== undefined && this.#placed(msix.tableBar)) return msix.count
    const msi = msiOf(this.#fn)
    return msi === undefined ? 0 : this.#table === undefined ? 1 : msi.count
  }

  get armed(): number {
    return this.#vectors.length
  }

  /**
   * Arms messages 0 to `count - 1` on a processor. Throws `invalidArgument`, `outOfResources`,
   * `noInterruptRemapping`, with nothing changed.
   */
  *enable(count: number, handler: (index: number) => unknown, processor: number): Software {
    const { address } = this.#fn
    if (this.#vectors.length > 0) {
      throw new NorthbridgeError('alreadyDone', `interrupts of ${address} are armed already`)
    }
    if (!Number.isInteger(count) || count < 1 || count > this.available) {
      throw new NorthbridgeError(
        'invalidArgument',
        `${address} has ${this.available} message-signalled interrupts, ${count} cannot be armed`,
      )
    }
    const msix = msixOf(this.#fn)
    const withMsix = msix !== undefined && this.#placed(msix.tableBar)
    const exponent = Math.ceil(Math.log2(count))
    const entries = withMsix ? count : 2 ** exponent
    const vectors = this.#allocateVectors(count, handler, processor)
    try {
      if (this.#table !== undefined) this.#firstEntry = this.#table.allocate(entries, withMsix ? 1 : entries)
    } catch (error) {
      for (const vector of vectors) this.#interrupts.release(vector)
      throw error
    }
    this.#vectors = vectors
    this.#entries = entries
    if (this.#table !== undefined) {
      const source = sourceOf(this.#fn)
      for (const [i, vector] of vectors.entries())
        yield* this.#table.point(this.#firstEntry + i, source, vector)
    }
    if (withMsix) {
      enableMsix(
        this.#machine,
        this.#fn,
        vectors.map((vector, i) => this.#message(vector, this.#firstEntry + i)),
      )
    } else {
      enableMsi(this.#fn, this.#message(vectors[0]!, this.#firstEntry), exponent)
    }
  }

  /** Whether a unit on the way can post. */
  get postable(): boolean {
    return this.#table?.posts ?? false
  }

  /** Posts an armed message to a descriptor; with `undefined`, its entry names the host vector again. */
  *post(index: number, target: PostedTarget | undefined): Software {
    const vector = this.#vectors[index]
    assert(vector !== undefined && this.#table !== undefined, 'what is posted is armed and remapped')
    if ((this.#posted[index] ?? 0) === 0 && target === undefined) return
    this.#posted[index] = target === undefined ? 0 : 1
    const source = sourceOf(this.#fn)
    if (target === undefined) yield* this.#table.point(this.#firstEntry + index, source, vector)
    else yield* this.#table.post(this.#firstEntry + index, source, target)
  }

  *disable(): Software {
    if (this.#vectors.length === 0) return
    if (!isGone(this.#fn)) disableMessages(this.#machine, this.#fn)
    yield* this.forget()
  }

  /** Frees vectors and entries after a reset of the function has disabled its messages. */
  *forget(): Software {
    if (this.#vectors.length === 0) return
    for (const vector of this.#vectors) this.#interrupts.release(vector)
    if (this.#table !== undefined) yield* this.#table.free(this.#firstEntry, this.#entries)
    this.#vectors = []
    this.#posted = []
    this.#firstEntry = -1
    this.#entries = 0
  }

  save(): SavedFunctionInterrupts {
    return {
      vectors: this.#vectors.map(({ processor, vector }) => [processor, vector]),
      firstEntry: this.#firstEntry,
      entries: this.#entries,
      posted: this.#vectors.map((_, i) => this.#posted[i] ?? 0),
    }
  }

  /** Takes the vectors and entries over that were saved; registers and tables hold what they did. */
  load(saved: SavedFunctionInterrupts, handler: (index: number) => unknown): void {
    this.#firstEntry = saved.firstEntry
    this.#entries = saved.entries
    this.#posted = [...saved.posted]
    this.#vectors = saved.vectors.map(([processor, vector], i) => {
      this.#interrupts.resume(processor, this.#nameOf(i), () => handler(i))
      return { processor, apicId: this.#interrupts.apicId(processor), vector }
    })
  }

  #nameOf(index: number): string {
    return `${this.#fn.address}/${index}`
  }

  #placed(bar: number): boolean {
    return this.#fn.bars.some(({ index, address }) => index === bar && address !== 0)
  }

  #allocateVectors(count: number, handler: (index: number) => unknown, processor: number): HostVector[] {
    const vectors: HostVector[] = []
    try {
      for (let i = 0; i < count; i++) {
        const vector = this.#interrupts.allocate(processor, this.#nameOf(i), () => handler(i))
        vectors.push(vector)
        if (this.#table === undefined && vector.apicId > LARGEST_COMPATIBILITY_ID) {
          throw new NorthbridgeError(
            'noInterruptRemapping',
            `without interrupt remapping no message reaches processor ${processor}, whose APIC id is ${vector.apicId}`,
          )
        }
      }
    } catch (error) {
      for (const vector of vectors) this.#interrupts.release(vector)
      throw error
    }
    return vectors
  }

  /** Remappable format carries a handle, with a subhandle that MSI counts up; compatibility format the vector. */
  #message({ apicId, vector }: HostVector, entry: number): Message {
    return this.#table === undefined
      ? { addressLow: compatibilityAddress(apicId), addressHigh: 0, data: vector }
      : { addressLow: remappableAddress(entry, true), addressHigh: 0, data: 0 }
  }
}

/** Under which source-ids the unit sees interrupt requests of a function. */
function sourceOf(fn: HostPciFunction): InterruptSource {
  const aliases = dmaAliases(fn)
  const last = aliases.at(-1)!
  if (last.rid === fn.rid) return { kind: 'requester', rid: fn.rid }
  const bus = fn.rid >>> 8
  const other = last.rid >>> 8
  // Behind a bridge that keeps its own bus number every request carries the bridge's id.
  if (last.stampedBy !== fn && other === last.stampedBy.rid >>> 8) return { kind: 'requester', rid: last.rid }
  return { kind: 'buses', first: Math.min(bus, other), last: Math.max(bus, other) }
}
