/** A local APIC by name, for people and programs that look at it. */
import { hex } from '../core/index.ts'
import { LOCAL_APIC, LVT } from './formats/local-apic.ts'
import { at } from './local-apic-registers.ts'
import { LOCAL_SOURCES, type LocalSource } from './local-vector-table.ts'
import { vectorsOf } from './vector-sets.ts'

/** State for display: vectors ascending. */
export interface LocalApicView {
  readonly apicId: number
  readonly mode: 'disabled' | 'xAPIC' | 'x2APIC'
  readonly enabled: boolean
  readonly taskPriority: number
  readonly processorPriority: number
  readonly requested: readonly number[]
  readonly inService: readonly number[]
  readonly levelTriggered: readonly number[]
  /** Logical identifier (LDR), `0x…`. */
  readonly logicalId: string
  readonly spuriousVector: number
  /** Errors that software made readable (ESR), `0x…`. */
  readonly errorStatus: string
  readonly timer: { readonly initialCount: number; readonly currentCount: number }
  /** Local vector table entries, `0x…`, and whether each is masked. */
  readonly localVectors: Readonly<Record<LocalSource, { readonly entry: string; readonly masked: boolean }>>
}

export function describeLocalApic(
  apicId: number,
  mode: LocalApicView['mode'],
  enabled: boolean,
  words: Uint32Array,
  currentCount: number,
): LocalApicView {
  const entries = Object.entries(LOCAL_SOURCES).map(([name, index]) => [
    name,
    { entry: hex(words[index]!), masked: (words[index]! & LVT.masked) !== 0 },
  ])
  return {
    apicId,
    mode,
    enabled,
    taskPriority: words[at(LOCAL_APIC.TPR)]!,
    processorPriority: words[at(LOCAL_APIC.PPR)]!,
    requested: vectorsOf(words, at(LOCAL_APIC.IRR)),
    inService: vectorsOf(words, at(LOCAL_APIC.ISR)),
    levelTriggered: vectorsOf(words, at(LOCAL_APIC.TMR)),
    logicalId: hex(words[at(LOCAL_APIC.LDR)]!),
    spuriousVector: words[at(LOCAL_APIC.SVR)]! & 0xff,
    errorStatus: hex(words[at(LOCAL_APIC.ESR)]!),
    timer: { initialCount: words[at(LOCAL_APIC.TIMER_INITIAL)]!, currentCount },
    localVectors: Object.fromEntries(entries) as LocalApicView['localVectors'],
  }
}
