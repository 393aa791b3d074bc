/** What an explanation consists of, and how one that ends in a fault is worded. */
import { formatRequesterId, hex, hex64, type PageNumber, type RequesterId } from '../core/index.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import type { DmaRemapping } from './dma-remapping.ts'
import { faultReason } from './formats/fault-reasons.ts'
import type { InterruptEntryCache } from './interrupt-entry-cache.ts'
import type { InterruptRemapping } from './interrupt-remapping.ts'
import type { RequestTranslation } from './request-translation.ts'
import type { TranslationCaches } from './translation-caches.ts'
import type { FieldsView } from './views.ts'

export interface ExplanationStep {
  readonly check: string
  /** Title of the section of the VT-d specification. */
  readonly section?: string
  readonly entryAddress?: string
  readonly raw?: string
  readonly fields?: FieldsView
  /** `memory`, or the cache that answered. */
  readonly from?:
    | 'memory'
    | 'contextCache'
    | 'pasidCache'
    | 'iotlb'
    | 'pagingStructureCache'
    | 'interruptEntryCache'
  readonly outcome: 'passed' | 'failed'
}

export interface Explanation {
  readonly steps: readonly ExplanationStep[]
  /** `blocked`: refused without a fault (protected memory, abort-DMA mode). */
  readonly outcome: 'translated' | 'passedThrough' | 'notTranslated' | 'interrupt' | 'fault' | 'blocked'
  readonly physicalAddress?: string
  readonly fault?: {
    /** Reason code, `0x…` */
    readonly reason: string
    readonly name: string
    readonly source: string
    readonly address: string
    /** Whether it would be recorded: Fault Processing Disable suppresses some. */
    readonly recorded: boolean
  }
  /** What would let the request pass, in one sentence. */
  readonly repair?: string
}

/** What a request may ask for besides reading or writing at an address. */
export interface ExplainedAccess {
  /** -1: without PASID. */
  readonly pasid: number
  /** ADDRESS_TYPE */
  readonly addressType: number
  readonly privileged: boolean
  readonly execute: boolean
  readonly atomic: boolean
  readonly zeroLength: boolean
}

export const PLAIN_ACCESS: ExplainedAccess = {
  pasid: -1,
  addressType: ADDRESS_TYPE.untranslated,
  privileged: false,
  execute: false,
  atomic: false,
  zeroLength: false,
}

export interface ExplainedRequest extends ExplainedAccess {
  readonly sourceId: number
  readonly page: PageNumber
  readonly offset: number
  readonly write: boolean
}

/** The parts of a unit that explaining looks at. */
export interface ExplainedUnit {
  readonly words: Uint32Array
  readonly dma: DmaRemapping
  readonly requests: RequestTranslation
  readonly translations: TranslationCaches
  readonly interrupts: InterruptRemapping
  readonly interruptEntries: InterruptEntryCache
}

/** The steps of an explanation, and whether the last one failed for the reason that the request ended with. */
export class Steps {
  readonly all: ExplanationStep[] = []
  readonly #reason: number

  constructor(reason: number) {
    this.#reason = reason
  }

  /** Adds a step that fails with the given reasons; true if it did. */
  add(step: Omit<ExplanationStep, 'outcome'>, ...reasons: readonly number[]): boolean {
    const failed = reasons.includes(this.#reason)
    this.all.push({ ...step, outcome: failed ? 'failed' : 'passed' })
    return failed
  }
}

/** A 64-bit address from page number and offset. */
export const address64 = (page: PageNumber, offset: number): string =>
  hex64(((page % 0x10_0000) * 4096 + offset) >>> 0, Math.floor(page / 0x10_0000))

/** The end of an explanation whose last step failed with a reason code. */
export function faultEnding(
  steps: readonly ExplanationStep[],
  reason: number,
  request: ExplainedRequest,
  recorded: boolean,
): Explanation {
  const row = faultReason(reason)
  const fromCache = steps.at(-1)?.from !== 'memory' && steps.at(-1)?.from !== undefined
  return {
    steps,
    outcome: 'fault',
    fault: {
      reason: hex(reason, 2),
      name: row?.name ?? 'unknown',
      source: formatRequesterId(request.sourceId as RequesterId),
      address: address64(request.page, request.offset),
      recorded,
    },
    ...(row === undefined
      ? {}
      : { repair: fromCache ? `${row.repair} Then invalidate the cached entry.` : row.repair }),
  }
}
