/** The part of explanations that is about paging entries and cached translations. */
import { hex } from '../core/index.ts'
import type { ExplainedUnit, ExplanationStep, Steps } from './explanation.ts'
import { FIRST_STAGE_ENTRY, SECOND_STAGE_ENTRY } from './formats/structures.ts'
import { fieldsView, iotlbEntryView, rawView } from './views.ts'
import type { WalkJournal } from './walk-journal.ts'

type Step = Omit<ExplanationStep, 'outcome'>

const STAGES = {
  first: { fields: FIRST_STAGE_ENTRY, section: 'First-Stage Paging Entries' },
  second: { fields: SECOND_STAGE_ENTRY, section: 'Second-Stage Paging Entries' },
} as const

/** Adds a step for each entry of a walk; the last fails with the given reasons. True if it did. */
export function walkSteps(steps: Steps, { entries }: WalkJournal, reasons: readonly number[]): boolean {
  return entries.some((entry, i) => {
    const { fields, section } = STAGES[entry.stage]
    const purpose =
      entry.guestPage === undefined
        ? ''
        : ` on the way to the first-stage table at ${hex(entry.guestPage * 4096)}`
    const check = `${entry.stage}-stage entry of level ${entry.level}${purpose}`
    const step: Step =
      'cached' in entry
        ? {
            check,
            section: 'Paging-Structure Caches',
            fields: { table: hex(entry.table * 4096) },
            from: 'pagingStructureCache',
          }
        : {
            check,
            section,
            entryAddress: hex(entry.table * 4096 + entry.index * 8),
            from: 'memory',
            ...(entry.low === undefined
              ? {}
              : {
                  raw: rawView([entry.low, entry.high!], 0, 2),
                  fields: fieldsView(fields, [entry.low, entry.high!]),
                }),
          }
    return steps.add(step, ...(i === entries.length - 1 ? reasons : []))
  })
}

/** The step of an IOTLB entry that answered. */
export function cachedTranslationStep({ dma, translations }: ExplainedUnit): Step {
  const { fault: _, ...view } = iotlbEntryView(translations.iotlb, dma.iotlbSlot)
  const fields = Object.fromEntries(
    Object.entries(view).map(([name, value]) => {
      const short = name === 'read' ? 'R' : name === 'write' ? 'W' : name
      return [short, typeof value === 'boolean' ? Number(value) : value]
    }),
  )
  return { check: 'cached translation', section: 'IOTLB', fields, from: 'iotlb' }
}
