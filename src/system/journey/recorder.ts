/** Writes down what happens on the way of a frame or a block, and counts what it costs. */
import { formatFunctionAddress, hex, type RequesterId } from '../../core/index.ts'
import type { TraceEvent } from '../../engine/index.ts'
import { type FunctionNode, type MemoryRequest, TARGET } from '../../pcie/index.ts'

export interface JourneyStep {
  /** Who: a function, `dmar0`, a switch, a virtual machine. */
  readonly at: string
  readonly step: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** What the journey cost. */
export interface JourneyCosts {
  readonly exits: number
  readonly exitsByReason: Readonly<Record<string, number>>
  /** Accesses of processors that reached registers of functions, message tables included: no exit is among them. */
  readonly registerReads: number
  readonly registerWrites: number
  /** Requests of devices that reached the root complex, interrupt messages apart. */
  readonly dmaReads: number
  readonly dmaWrites: number
  readonly iotlbLookups: number
  readonly iotlbHits: number
  /** Reads of remapping structures. */
  readonly tableReads: number
  /** Interrupt messages. */
  readonly interrupts: number
}

/** Kinds of trace events that are steps of a journey. */
const KINDS: ReadonlySet<string> = new Set(['vmExit', 'interrupt', 'network', 'fault'])

export class Recorder {
  readonly steps: JourneyStep[] = []
  /** Names of remapping units, by number. */
  readonly #units: readonly string[]
  readonly #exits: Record<string, number> = {}
  /** Places of exits whose reason the hypervisor has still to tell. */
  readonly #openExits: number[] = []
  #exitCount = 0
  #registerReads = 0
  #registerWrites = 0
  #dmaReads = 0
  #dmaWrites = 0
  #lookups = 0
  #hits = 0
  #tableReads = 0
  #interrupts = 0

  constructor(units: readonly string[]) {
    this.#units = units
  }

  add(at: string, step: string, detail: Readonly<Record<string, unknown>>): void {
    this.steps.push({ at, step, detail })
  }

  event({ kind, message, detail }: TraceEvent): void {
    if (!KINDS.has(kind)) return
    const { vm, reason, handledBy, guestPhysicalAddress: address } = detail
    if (kind === 'vmExit') {
      // The processor tells when it happens, the hypervisor whose guest it was, once it has answered.
      if (typeof vm !== 'string' || typeof reason !== 'string') {
        this.#openExits.push(this.steps.length)
        this.add('processor', 'exit', {})
        return
      }
      this.#exitCount++
      this.#exits[reason] = (this.#exits[reason] ?? 0) + 1
      const exit = { reason, handledBy, ...(address !== undefined && { address }) }
      this.steps[this.#openExits.pop() ?? this.steps.length] = { at: vm, step: 'exit', detail: exit }
      return
    }
    this.add(typeof vm === 'string' ? vm : 'machine', kind, { message })
  }

  accessed(fn: FunctionNode, offset: number, write: boolean, value: number): void {
    if (write) this.#registerWrites++
    else this.#registerReads++
    this.add(
      formatFunctionAddress(fn.bus.host.segment, fn.rid as RequesterId),
      write ? 'registerWrite' : 'registerRead',
      {
        offset: hex(offset),
        value: hex(value >>> 0),
      },
    )
  }

  served(request: MemoryRequest): void {
    const source = formatFunctionAddress(request.segment, request.requesterId as RequesterId)
    this.#tableReads += request.tableReads
    if (request.target === TARGET.interrupt) {
      this.#interrupts++
      this.add(source, 'message', { address: hex(request.page * 4096 + request.offset) })
      return
    }
    if (request.write) this.#dmaWrites++
    else this.#dmaReads++
    if (request.unit >= 0) {
      this.#lookups++
      if (request.iotlbHit) this.#hits++
    }
    this.add(source, request.write ? 'dmaWrite' : 'dmaRead', {
      address: hex(request.page * 4096 + request.offset),
      length: request.length,
      ...(request.unit >= 0 && {
        unit: this.#units[request.unit]!,
        iotlb: request.iotlbHit ? 'hit' : 'miss',
        tableReads: request.tableReads,
      }),
      ...(request.faultReason !== 0 && { fault: hex(request.faultReason, 2) }),
    })
  }

  get costs(): JourneyCosts {
    return {
      exits: this.#exitCount,
      exitsByReason: { ...this.#exits },
      registerReads: this.#registerReads,
      registerWrites: this.#registerWrites,
      dmaReads: this.#dmaReads,
      dmaWrites: this.#dmaWrites,
      iotlbLookups: this.#lookups,
      iotlbHits: this.#hits,
      tableReads: this.#tableReads,
      interrupts: this.#interrupts,
    }
  }
}
