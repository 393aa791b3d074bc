/** The findings, each once, and what happened to pages before. */
import {
  formatFunctionAddress,
  hex,
  type PageNumber,
  type RequesterId,
  type Saved,
} from '../../core/index.ts'
import type { Engine } from '../../engine/index.ts'
import { INTERRUPT_FIRST_PAGE } from '../../interrupts/formats/message.ts'
import type { MemoryRequest } from '../../pcie/index.ts'
import type { RemappingUnit } from '../../vtd/index.ts'
import { DEFECTS, type DefectKind, type Finding, type HistoryEntry } from './findings.ts'
import { overlap } from './translation-changes.ts'

/** Older steps are forgotten. */
const MOST_HISTORY = 4096

export const requesterOf = ({ segment, requesterId }: MemoryRequest): string =>
  formatFunctionAddress(segment, requesterId as RequesterId)

interface Step extends HistoryEntry {
  readonly first: PageNumber
  readonly frame: PageNumber
  readonly pages: number
}

export class FindingLog {
  readonly #engine: Engine
  readonly #findings: Finding[] = []
  readonly #known = new Set<string>()
  #history: Step[] = []

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get findings(): readonly Finding[] {
    return this.#findings
  }

  save(): Saved {
    const known = [...this.#known]
    return structuredClone({ findings: this.#findings, known, history: this.#history }) as unknown as Saved
  }

  load(saved: Saved): void {
    const { findings, known, history } = structuredClone(saved) as unknown as {
      findings: Finding[]
      known: string[]
      history: Step[]
    }
    this.#findings.push(...findings)
    for (const key of known) this.#known.add(key)
    this.#history = history
  }

  note(
    event: HistoryEntry['event'],
    unit: RemappingUnit,
    domain: number,
    first: PageNumber,
    frame: PageNumber,
    pages: number,
  ): void {
    const whole = pages === Number.MAX_SAFE_INTEGER
    this.#history.push({
      time: this.#engine.now,
      event,
      unit: unit.id,
      domain,
      ...(whole ? {} : { address: hex(first * 4096), size: pages * 4096 }),
      ...(event === 'invalidated' ? {} : { physicalAddress: hex(frame * 4096) }),
      first,
      frame,
      pages,
    })
    if (this.#history.length > MOST_HISTORY * 2) this.#history = this.#history.slice(-MOST_HISTORY)
  }

  /** Reports a defect once for each page and requester. */
  find(
    kind: DefectKind,
    request: MemoryRequest | undefined,
    page: PageNumber,
    text: string,
    [unit, domain]: readonly [RemappingUnit, number],
  ): void {
    const requester = request === undefined ? undefined : requesterOf(request)
    const key = `${kind} ${requester} ${page} ${domain}`
    if (this.#known.has(key)) return
    this.#known.add(key)
    const physical = request?.physicalPage ?? page
    const history = (request?.page === INTERRUPT_FIRST_PAGE ? [] : this.#history).filter(
      entry =>
        entry.unit === unit.id &&
        (overlap(entry.first, entry.pages, page, 1) ||
          (entry.event !== 'invalidated' && overlap(entry.frame, entry.pages, physical, 1))),
    )
    this.#findings.push({
      number: this.#findings.length + 1,
      time: this.#engine.now,
      kind,
      ...(requester === undefined ? {} : { requester }),
      address: hex(page * 4096),
      text: kind.startsWith('freed') || kind === 'tableFreed' ? `software gives back ${text}` : text,
      missing: DEFECTS[kind],
      history: history.map(({ first: _first, frame: _frame, pages: _pages, ...entry }) => entry),
    })
  }
}
