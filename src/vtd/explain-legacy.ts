/** The checks of legacy mode, told from what `DmaRemapping.resolve` left behind. */
import { hex } from '../core/index.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import { cachedTranslationStep, walkSteps } from './explain-walk.ts'
import type { ExplainedRequest, ExplainedUnit, Steps } from './explanation.ts'
import { FAULT } from './formats/fault-codes.ts'
import {
  CONTEXT_ENTRY,
  CONTEXT_ENTRY_WORDS,
  ROOT_ENTRY,
  SCALABLE_CONTEXT_ENTRY_WORDS,
  TRANSLATION_TYPE,
} from './formats/structures.ts'
import { fieldsView, rawView } from './views.ts'
import type { WalkJournal } from './walk-journal.ts'

const ROOT_FAULTS = [FAULT.rootAccess, FAULT.rootNotPresent, FAULT.rootReserved]
const CONTEXT_FAULTS = [
  FAULT.contextAccess,
  FAULT.contextNotPresent,
  FAULT.contextReserved,
  FAULT.contextInvalid,
]
const WALK_FAULTS = [
  FAULT.contextInvalid,
  FAULT.secondStageAccess,
  FAULT.readPermission,
  FAULT.writePermission,
  FAULT.secondStageReserved,
]

export function legacySteps(
  unit: ExplainedUnit,
  request: ExplainedRequest,
  steps: Steps,
  journal: WalkJournal,
): void {
  const { dma, translations } = unit
  const { contexts } = translations
  if (request.pasid >= 0) {
    const check = 'the request carries no PASID: legacy mode has none'
    if (steps.add({ check, section: 'Requests-with-PASID' }, FAULT.pasidInLegacyMode)) return
  }
  const { root } = dma.legacy
  if (dma.contextSlot < 0 || dma.contextSlot === contexts.scratch) {
    const entryAddress = hex(dma.rootTable * 4096 + (request.sourceId >>> 8) * 16)
    const step = { check: 'root entry', section: 'Root Entry', entryAddress, from: 'memory' } as const
    const shown = { ...step, raw: rawView(root, 0, 4), fields: fieldsView(ROOT_ENTRY, root) }
    if (steps.add(dma.reason === FAULT.rootAccess ? step : shown, ...ROOT_FAULTS)) return
  }
  const context = { check: 'context entry', section: 'Context Entry', ...contextView(unit, request) }
  if (steps.add(context, ...(dma.walked ? [] : CONTEXT_FAULTS))) return

  if (request.addressType !== ADDRESS_TYPE.untranslated) {
    const check = 'the translation type allows translation and translated requests'
    if (steps.add({ check, section: 'Context Entry' }, FAULT.addressTypeBlocked)) return
  }
  const translated = request.addressType === ADDRESS_TYPE.translated
  if (translated || contexts.kindOf(dma.contextSlot) === TRANSLATION_TYPE.passThrough) {
    const check = `${translated ? 'translated request' : 'pass-through'}: the address is within the host address width`
    if (steps.add({ check, section: 'Pass-Through' }, FAULT.addressBeyondWidth)) return
  } else {
    const limit = hex(contexts.limitOf(dma.contextSlot) * 4096)
    const width = { check: 'the address is within the width of the domain', fields: { limit } }
    if (steps.add({ ...width, section: 'Second-Stage Translation' }, FAULT.addressBeyondWidth)) return
    const failed =
      dma.iotlbSlot >= 0
        ? steps.add(cachedTranslationStep(unit), ...WALK_FAULTS)
        : walkSteps(steps, journal, WALK_FAULTS)
    if (failed) return
  }
  steps.add(
    { check: 'the result is outside the interrupt range', section: 'Interrupt Address Range' },
    FAULT.interruptRangeOutput,
    FAULT.scalableInterruptRangeOutput,
  )
}

function contextView({ dma, translations }: ExplainedUnit, { sourceId }: ExplainedRequest) {
  const { contexts } = translations
  const slot = dma.contextSlot
  const at = slot * SCALABLE_CONTEXT_ENTRY_WORDS
  const content = () => ({
    raw: rawView(contexts.raw, at, CONTEXT_ENTRY_WORDS),
    fields: fieldsView(CONTEXT_ENTRY, contexts.raw, at),
  })
  if (slot >= 0 && slot !== contexts.scratch) return { ...content(), from: 'contextCache' } as const
  const { root } = dma.legacy
  const table = root[1]! * 2 ** 32 + root[0]! - (root[0]! & 0xfff)
  const entryAddress = hex(table + (sourceId & 0xff) * 16)
  return { entryAddress, ...(slot < 0 ? {} : content()), from: 'memory' } as const
}
