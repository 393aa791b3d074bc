/**
 * A memory request on its way from a requester to a completer, and the completion on its way back: one reused
 * record per bus master, so that a DMA allocates nothing. Each hop reads or fills fields of it and calls the next.
 */
import type { PageNumber } from '../core/index.ts'
import type { RouteListener } from './route-events.ts'

/** "Address Type" field of a memory request. */
export const ADDRESS_TYPE = { untranslated: 0, translationRequest: 1, translated: 2 } as const

/** How a request ended. The first four are completion statuses; a posted write has the same outcome, unseen by its requester. */
export const STATUS = {
  /** Successful Completion. */
  successful: 0,
  /** Unsupported Request: nobody claims the address, or decode is off. */
  unsupportedRequest: 1,
  /** Completer Abort. */
  completerAbort: 4,
  /** Blocked by a remapping unit: see `faultReason`. The requester sees UR or CA. */
  remappingFault: 5,
  /** Not sent: Bus Master Enable of the function is clear, or the function is in reset or gone. */
  notIssued: 6,
  /** Blocked by a port's access control services. */
  acsBlocked: 7,
  /** Blocked because a bridge or port above has Bus Master Enable clear. */
  bridgeBusMasterDisabled: 8,
  /** Not sent: the translation that the function asked for does not permit the access. */
  translationDenied: 9,
  /** Not sent yet: the function has asked software for the page. */
  pageRequested: 10,
  /** Not sent: PASIDs, or the execute or privileged mode asked for, are not enabled in the function. */
  pasidDisabled: 11,
  /** Completion Timeout: the completion of a read never came back. */
  completionTimeout: 12,
  /** The data arrived poisoned and was dropped. */
  poisoned: 13,
  /** Not sent: the function may not use this phantom function number. */
  phantomDisabled: 14,
  /** A read that has no completion yet, and of a function that waits for ever. */
  outstanding: 15,
} as const
export type Status = (typeof STATUS)[keyof typeof STATUS]

/** Permissions in the completion of a translation request. */
export const PERMISSION = { read: 1, write: 2, execute: 4, privileged: 8 } as const

/** Who completed a successful request. */
export const TARGET = { none: 0, memory: 1, peer: 2, interrupt: 3 } as const
export type Target = (typeof TARGET)[keyof typeof TARGET]

/** What became of an interrupt request (a DWORD write into the interrupt range). */
export class InterruptOutcome {
  /** Whether interrupt remapping was applied. */
  remapped = false
  /** Whether it was posted: entered into a descriptor in memory, for a virtual processor. */
  posted = false
  /** Whether the posted interrupt was announced by a notification, whose destination and vector are below. */
  notified = false
  /** Whether the descriptor alone forbade that (SN); else one was outstanding. */
  suppressed = false
  /** Index of the IRTE used; -1 if none. */
  irteIndex = -1
  /** Where the message went, if it was not blocked. */
  destination = 0
  logical = false
  deliveryMode = 0
  vector = 0
  /** Number of the logical processor that accepted it, -1 if none. */
  processor = -1

  /** As if no message had ever been sent with it. */
  clear(): void {
    this.remapped = false
    this.posted = false
    this.notified = false
    this.suppressed = false
    this.irteIndex = -1
    this.destination = 0
    this.logical = false
    this.deliveryMode = 0
    this.vector = 0
    this.processor = -1
  }
}

/** Requests with one array before it gets a view. */
const REPEATS = 4

export class MemoryRequest {
  // The request header.
  segment = 0
  /** Routing id of the requester, 16 bits; bridges on the way may replace it by their own. */
  requesterId = 0
  write = false
  /** Bits 63:12 of the address. */
  page: PageNumber = 0
  /** Bits 11:0 of the address. `offset + length` never exceeds 4096. */
  offset = 0
  /** Bytes, 1 to 4096. */
  length = 0
  addressType = 0
  /** PASID of the request, -1 without PASID prefix. */
  pasid = -1
  /** Privileged Mode Requested and Execute Requested of the PASID prefix. */
  privileged = false
  execute = false
  /** A read that carries no data (all byte enables off); so is a read of length 0. */
  zeroLength = false
  /** An AtomicOp: reads and writes. */
  atomic = false
  /** Relaxed Ordering: its completion need not stay behind posted requests. */
  relaxedOrdering = false
  /** EP: the payload is known to be corrupt. */
  poisoned = false

  // The payload: source of a write, destination of a read.
  data: Uint8Array = NO_DATA
  dataStart = 0
  #viewed: Uint8Array = NO_DATA
  #view: Uint32Array | undefined
  /** How often the array that is viewed has come again. */
  #repeats = 0

  // The completion.
  status: Status = STATUS.successful
  target: Target = TARGET.none
  /** Host page number accessed, valid if `target` is memory or peer. */
  physicalPage: PageNumber = 0
  /** Reason code of a remapping fault (`FRCD.FR`), else 0. */
  faultReason = 0
  /** Index of the remapping unit that translated or blocked the request; -1 if none was on the way. */
  unit = -1
  readonly interrupt = new InterruptOutcome()
  // The completion of a translation request, whose `write` says that write permission is asked for (No Write clear).
  /** Host page of the page asked for; the whole naturally aligned block of `size` pages around it is translated alike. */
  translatedPage: PageNumber = 0
  /** Pages, a power of two. */
  size = 0
  /** Union of {@link PERMISSION}; 0 if the page cannot be accessed. */
  permissions = 0
  /** N: accesses with this translation must be snooped (No Snoop clear). */
  nonSnooped = false
  /** U: the page may be accessed by untranslated requests only. */
  untranslatedOnly = false
  global = false

  // What it cost: filled on the way, turned into time by the engine if time is being simulated.
  /** Reads of remapping structures in memory. */
  tableReads = 0
  /** Whether an IOTLB entry answered. */
  iotlbHit = false
  /** Links and ports crossed. */
  hops = 0

  /** Inspection: whom to tell of every decision on the way. A request that is watched moves no data and logs no error. */
  observer: RouteListener | undefined = undefined

  /**
   * The payload as dwords of its array, where that can be. A view costs more than it saves a few times, so there is one
   * only for an array that comes again and again: a sender that takes turns among several allocates nothing.
   */
  get dataWords(): Uint32Array | undefined {
    const { data } = this
    if (this.#viewed !== data) {
      this.#viewed = data
      this.#view = undefined
      this.#repeats = 0
    } else if (this.#view === undefined && (data.byteOffset & 3) === 0 && ++this.#repeats === REPEATS) {
      this.#view = new Uint32Array(data.buffer, data.byteOffset, data.length >>> 2)
    }
    return this.#view
  }

  /** Clears completion and cost before the request is sent. The header and payload are the sender's to set. */
  begin(): void {
    this.status = STATUS.successful
    this.target = TARGET.none
    this.physicalPage = 0
    this.faultReason = 0
    this.unit = -1
    this.tableReads = 0
    this.iotlbHit = false
    this.hops = 0
    // Few requests have an answer of this kind, and all of those have a size.
    if (this.size !== 0) this.#forgetAnswer()
  }

  #forgetAnswer(): void {
    this.translatedPage = 0
    this.size = 0
    this.permissions = 0
    this.nonSnooped = false
    this.untranslatedOnly = false
    this.global = false
  }
}

const NO_DATA = new Uint8Array(0)
