/** One frame's journey: everything that adapters, remapping units, hypervisor and guest did while it was on its way. */
import { formatFunctionAddress, hex, type RequesterId } from '../../core/index.ts'
import type { NicEvent, NicModel } from '../../devices/index.ts'
import type { Software, TraceEvent } from '../../engine/index.ts'
import { type MemoryRequest, type PcieFunction, TARGET } from '../../pcie/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'

export interface FrameTraceStep {
  /** Who: a function, `dmar0`, a switch, a virtual machine. */
  readonly at: string
  readonly step: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** What the journey cost. */
export interface FrameCosts {
  readonly exits: number
  readonly exitsByReason: Readonly<Record<string, number>>
  /** Copies by the hypervisor's processor. */
  readonly copies: number
  readonly copiedBytes: number
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

export interface FrameTrace {
  readonly steps: readonly FrameTraceStep[]
  readonly costs: FrameCosts
}

/** Follows what `happens` brings about until nothing is left to do. Ends an earlier watch over DMA for as long. */
export function* followFrame(platform: SimulatedPlatform, happens: () => Software): Software<FrameTrace> {
  const { networking, hardware, engine, hypervisor } = platform
  const { journal } = networking
  const recorder = new Recorder(platform)
  const before = { copies: journal.copies, copiedBytes: journal.copiedBytes }
  journal.follow(step => recorder.add(step.at, step.step, step.detail))
  const unfollow = engine.trace.follow(event => recorder.event(event))
  const unobserve = observeAdapters(platform, recorder)
  const watcher = hardware.watcher
  hardware.watch({
    wrote: (address, length) => watcher?.wrote(address, length),
    served(request) {
      recorder.served(request)
      watcher?.served(request)
    },
  })
  try {
    yield* happens()
    yield* hypervisor.settle()
    // Interrupts that an adapter holds back come now.
    while (engine.pending > 0) {
      engine.advance()
      yield* hypervisor.settle()
    }
  } finally {
    hardware.watch(watcher)
    unobserve()
    unfollow()
    journal.follow(undefined)
  }
  return {
    steps: recorder.steps,
    costs: {
      ...recorder.costs,
      copies: journal.copies - before.copies,
      copiedBytes: journal.copiedBytes - before.copiedBytes,
    },
  }
}

/** Has every adapter tell of its decisions; the returned function ends it. */
function observeAdapters(platform: SimulatedPlatform, recorder: Recorder): () => void {
  const adapters = platform.hardware.network.ports.flatMap(({ function: fn }) => {
    const model = fn.modelMade as NicModel | undefined
    return model === undefined ? [] : [{ model, address: addressOf(fn) }]
  })
  for (const { model, address } of adapters) {
    model.observer = { note: event => recorder.nic(address, event) }
  }
  return () => {
    for (const { model } of adapters) model.observer = undefined
  }
}

const addressOf = (fn: PcieFunction): string => formatFunctionAddress(fn.bus.host.segment, fn.rid)

/** Kinds of trace events that are steps of the journey. */
const KINDS: ReadonlySet<string> = new Set(['vmExit', 'interrupt', 'network', 'fault'])

class Recorder {
  readonly steps: FrameTraceStep[] = []
  readonly #platform: SimulatedPlatform
  readonly #exits: Record<string, number> = {}
  #exitCount = 0
  #dmaReads = 0
  #dmaWrites = 0
  #lookups = 0
  #hits = 0
  #tableReads = 0
  #interrupts = 0

  constructor(platform: SimulatedPlatform) {
    this.#platform = platform
  }

  add(at: string, step: string, detail: Readonly<Record<string, unknown>>): void {
    this.steps.push({ at, step, detail })
  }

  nic(at: string, { step, ...detail }: NicEvent): void {
    this.add(at, step, detail)
  }

  event({ kind, message, detail }: TraceEvent): void {
    if (!KINDS.has(kind)) return
    const { vm, reason, handledBy, guestPhysicalAddress: address } = detail
    if (kind === 'vmExit') {
      // The processor tells of it too, without knowing whose guest it was.
      if (typeof vm !== 'string' || typeof reason !== 'string') return
      this.#exitCount++
      this.#exits[reason] = (this.#exits[reason] ?? 0) + 1
      this.add(vm, 'exit', { reason, handledBy, ...(address !== undefined && { address }) })
      return
    }
    this.add(typeof vm === 'string' ? vm : 'machine', kind, { message })
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
        unit: this.#platform.hardware.units[request.unit]!.id,
        iotlb: request.iotlbHit ? 'hit' : 'miss',
        tableReads: request.tableReads,
      }),
      ...(request.faultReason !== 0 && { fault: hex(request.faultReason, 2) }),
    })
  }

  get costs(): Omit<FrameCosts, 'copies' | 'copiedBytes'> {
    return {
      exits: this.#exitCount,
      exitsByReason: this.#exits,
      dmaReads: this.#dmaReads,
      dmaWrites: this.#dmaWrites,
      iotlbLookups: this.#lookups,
      iotlbHits: this.#hits,
      tableReads: this.#tableReads,
      interrupts: this.#interrupts,
    }
  }
}
