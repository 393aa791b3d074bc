/**
 * Replays a request through the same code that serves requests, without committing anything, and tells each check in
 * order: what was read, where from, and whether it passed.
 */
import { hex } from '../core/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import { ABORTED } from './dma-remapping.ts'
import { explainInterrupt } from './explain-interrupt.ts'
import { legacySteps } from './explain-legacy.ts'
import { scalableSteps } from './explain-scalable.ts'
import {
  address64,
  type ExplainedRequest,
  type ExplainedUnit,
  type Explanation,
  type ExplanationStep,
  faultEnding,
  Steps,
} from './explanation.ts'
import { isRecorded } from './fault-recording.ts'
import { FAULT } from './formats/fault-codes.ts'
import { GSTS, PMEN } from './formats/registers.ts'
import { PASID_GRANULAR_TRANSLATION_TYPE, TRANSLATION_TYPE } from './formats/structures.ts'
import { isProtected, protectionEnabled } from './protected-memory.ts'
import { isRecoverable } from './request-translation.ts'
import { fieldsView } from './views.ts'
import { WalkJournal } from './walk-journal.ts'

export function explain(unit: ExplainedUnit, request: ExplainedRequest): Explanation {
  const { words, dma } = unit
  const { page } = request
  const plain = request.addressType === ADDRESS_TYPE.untranslated && request.pasid < 0
  if (plain && page >= INTERRUPT_FIRST_PAGE && page <= INTERRUPT_LAST_PAGE) {
    return explainInterrupt(unit, request)
  }

  const enabled = (words[GSTS.at]! & GSTS.f.TES.mask) !== 0
  const steps: ExplanationStep[] = [
    {
      check: enabled ? 'translation is enabled' : 'translation is disabled: the address is used unchanged',
      section: 'Global Status Register',
      raw: hex(words[GSTS.at]!, 8),
      fields: fieldsView(GSTS.f, words, GSTS.at),
      outcome: enabled || plain ? 'passed' : 'failed',
    },
  ]
  if (!enabled && !plain) {
    const repair = 'Enable translation (GCMD.TE): until then only plain untranslated requests pass.'
    return { steps, outcome: 'blocked', repair }
  }
  let frame = page
  let outcome: Explanation['outcome'] = 'notTranslated'
  if (enabled) {
    const reason = resolve(unit, request, steps)
    if (reason === ABORTED) {
      const repair = 'Leave abort-DMA mode: write another TTM to RTADDR and issue SRTP.'
      return { steps, outcome: 'blocked', repair }
    }
    if (reason !== 0) {
      const told = request.addressType === ADDRESS_TYPE.translationRequest && isRecoverable(reason)
      const recorded = !told && isRecorded(reason, dma.faultProcessingDisable)
      return faultEnding(steps, reason, request, recorded)
    }
    frame = dma.frame
    outcome = isPassThrough(unit) ? 'passedThrough' : 'translated'
  }
  if (protectionEnabled(words)) {
    const blocked = isProtected(words, frame)
    steps.push({
      check: 'the host address is outside protected memory',
      section: 'Protected Memory Regions',
      fields: fieldsView(PMEN.f, words, PMEN.at),
      outcome: blocked ? 'failed' : 'passed',
    })
    const repair = 'Clear PMEN.EPM, or use memory outside the PLM and PHM regions.'
    if (blocked) return { steps, outcome: 'blocked', repair }
  }
  return { steps, outcome, physicalAddress: address64(frame, request.offset) }
}

/** Resolves the request, writing down what is read; adds the steps up to the one that gave the reason returned. */
function resolve(unit: ExplainedUnit, request: ExplainedRequest, steps: ExplanationStep[]): number {
  const { dma, requests, translations } = unit
  const journal = new WalkJournal()
  const access = requests.accessOf({ ...request, length: request.zeroLength ? 0 : 1 })
  dma.walker.journal = journal
  dma.scalable.first.journal = journal
  translations.countsUses = false
  const { sourceId, page, addressType, pasid } = request
  const reason = dma.resolve(sourceId, page, access, addressType, pasid)
  translations.countsUses = true
  dma.walker.journal = undefined
  dma.scalable.first.journal = undefined

  const told = new Steps(dma.reason)
  const modeFields = { RTA: hex(dma.rootTable * 4096), TTM: dma.mode }
  const mode = { check: 'translation table mode', section: 'Root Table Address Register', fields: modeFields }
  if (!told.add(mode, FAULT.translationTableMode, ABORTED)) {
    if (dma.isScalable) scalableSteps(unit, request, told, journal)
    else legacySteps(unit, request, told, journal)
  }
  steps.push(...told.all)
  return reason
}

function isPassThrough({ dma, translations }: ExplainedUnit): boolean {
  if (dma.isScalable) return dma.scalable.type === PASID_GRANULAR_TRANSLATION_TYPE.passThrough
  return translations.contexts.kindOf(dma.contextSlot) === TRANSLATION_TYPE.passThrough
}
