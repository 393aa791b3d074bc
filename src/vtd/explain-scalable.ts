/** The checks of scalable mode, told from what `ScalableTranslation.resolve` left behind. */
import { hex, rw } from '../core/index.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import { cachedTranslationStep, walkSteps } from './explain-walk.ts'
import type { ExplainedRequest, ExplainedUnit, ExplanationStep, Steps } from './explanation.ts'
import { FAULT } from './formats/fault-codes.ts'
import {
  PASID_DIRECTORY_ENTRY,
  PASID_TABLE_ENTRY,
  PASID_TABLE_ENTRY_WORDS,
  PASID_GRANULAR_TRANSLATION_TYPE as PGTT,
  SCALABLE_CONTEXT_ENTRY,
  SCALABLE_CONTEXT_ENTRY_WORDS,
} from './formats/structures.ts'
import { fieldsView, rawView } from './views.ts'
import type { WalkJournal } from './walk-journal.ts'

type Step = Omit<ExplanationStep, 'outcome'>

const CONTEXT_FAULTS = [
  FAULT.scalableContextAccess,
  FAULT.scalableContextNotPresent,
  FAULT.scalableContextReserved,
  FAULT.scalableContextInvalid,
]
const REQUEST_FAULTS = [
  FAULT.deviceTlbDisabled,
  FAULT.pasidDisabled,
  FAULT.pasidBeyondDirectory,
  FAULT.ridPasid,
]
const PASID_FAULTS = [
  FAULT.pasidTableAccess,
  FAULT.pasidEntryNotPresent,
  FAULT.pasidEntryReserved,
  FAULT.pasidEntryInvalid,
]
const WALK_FAULTS = [
  FAULT.firstStageAccess,
  FAULT.firstStageNotPresent,
  FAULT.firstStageReserved,
  FAULT.firstStageTopAccess,
  FAULT.nestedTopReadPermission,
  FAULT.nestedReadPermission,
  FAULT.scalableSecondStageAccess,
  FAULT.scalableSecondStageNotPresent,
  FAULT.scalableSecondStageReserved,
  FAULT.scalableSecondStageTopAccess,
]
const PERMISSION_FAULTS = [
  FAULT.userPermission,
  FAULT.executePermission,
  FAULT.scalableWritePermission,
  FAULT.scalableReadPermission,
]
const UPDATE_FAULTS = [
  FAULT.firstStageUpdateNotSnooped,
  FAULT.firstStageUpdateFailed,
  FAULT.nestedWritePermission,
  FAULT.secondStageUpdateNotSnooped,
  FAULT.secondStageUpdateFailed,
]

export function scalableSteps(
  unit: ExplainedUnit,
  request: ExplainedRequest,
  steps: Steps,
  journal: WalkJournal,
): void {
  if (structureSteps(unit, request, steps)) return
  const { dma, translations } = unit
  const { type } = dma.scalable
  const hostWidth = 'the address is within the host address width'
  if (request.addressType === ADDRESS_TYPE.translated) {
    const check = `translated request: ${hostWidth}`
    if (steps.add({ check, section: 'Translated Requests' }, FAULT.addressBeyondHost)) return
  } else if (type === PGTT.passThrough) {
    const check = `pass-through: ${hostWidth}`
    if (steps.add({ check, section: 'Pass-Through' }, FAULT.addressBeyondHost)) return
  } else {
    if (type === PGTT.secondStage) {
      const limit = hex(translations.pasids.limitOf(dma.scalable.tables.pasidSlot) * 4096)
      const check = 'the address is within the width of the second stage'
      const section = 'Second-Stage Translation'
      if (steps.add({ check, section, fields: { limit } }, FAULT.scalableAddressBeyondWidth)) return
    } else {
      const check = 'the address is canonical'
      if (steps.add({ check, section: 'First-Stage Translation' }, FAULT.notCanonical)) return
    }
    if (dma.iotlbSlot >= 0) {
      const cached = cachedTranslationStep(unit)
      if (steps.add(cached, ...WALK_FAULTS, ...PERMISSION_FAULTS)) return
    } else if (walkEnds(steps, journal, type === PGTT.nested)) return
  }
  steps.add(
    { check: 'the result is outside the interrupt range', section: 'Interrupt Address Range' },
    FAULT.scalableInterruptRangeOutput,
  )
}

/** What follows the tables: the walk, permissions, accessed and dirty flags. True if one of them failed. */
function walkEnds(steps: Steps, journal: WalkJournal, isNested: boolean): boolean {
  if (walkSteps(steps, journal, WALK_FAULTS)) return true
  if (isNested) {
    const check = 'addresses in first-stage entries are within the width of the second stage'
    if (steps.add({ check, section: 'Nested Translation' }, FAULT.nestedAddressBeyondWidth)) return true
  }
  const permissions = { check: 'the permissions along the way suffice', section: 'Access Rights' }
  if (steps.add(permissions, ...PERMISSION_FAULTS)) return true
  const check = 'accessed and dirty flags are set, or can be'
  const section = 'Accessed, Extended Accessed, and Dirty Flags'
  return steps.add({ check, section }, ...UPDATE_FAULTS)
}

/** Root entry to PASID-table entry. True if one of them failed. */
function structureSteps(unit: ExplainedUnit, request: ExplainedRequest, steps: Steps): boolean {
  const { dma, translations } = unit
  const { contexts, pasids } = translations
  const { tables } = dma.scalable
  if (tables.contextSlot < 0 || tables.contextSlot === contexts.scratch) {
    const step = rootStep(unit, request)
    const reasons = [FAULT.scalableRootAccess, FAULT.scalableRootNotPresent, FAULT.scalableRootReserved]
    if (steps.add(step, ...reasons)) return true
  }
  if (steps.add(contextStep(unit, request), ...CONTEXT_FAULTS)) return true
  const allows = {
    check: 'the context entry allows the kind of request and its PASID',
    section: 'Scalable-Mode Context Entry',
  }
  if (steps.add({ ...allows, fields: { PASID: hex(tables.pasid) } }, ...REQUEST_FAULTS)) return true
  if (request.addressType === ADDRESS_TYPE.translated) return false

  if (tables.pasidSlot < 0 || tables.pasidSlot === pasids.scratch) {
    const reasons = [FAULT.pasidDirectoryAccess, FAULT.pasidDirectoryNotPresent, FAULT.pasidDirectoryReserved]
    if (steps.add(directoryStep(unit), ...reasons)) return true
  }
  if (steps.add(pasidStep(unit), ...PASID_FAULTS)) return true
  if (!tables.privileged && !tables.execute) return false
  const check = 'the PASID may make privileged and execute requests'
  const section = 'Scalable-Mode PASID Table Entry'
  return steps.add({ check, section }, FAULT.executeDisabled, FAULT.supervisorDisabled)
}

function rootStep({ dma }: ExplainedUnit, { sourceId }: ExplainedRequest): Step {
  const { root } = dma.scalable.tables
  const upper = (sourceId & 0x80) !== 0
  const half = upper ? { UP: rw(0), UCTP: rw(63, 12) } : { LP: rw(0), LCTP: rw(63, 12) }
  const step: Step = {
    check: `${upper ? 'upper' : 'lower'} half of the root entry`,
    section: 'Scalable-Mode Root Entry',
    entryAddress: hex(dma.rootTable * 4096 + (sourceId >>> 8) * 16 + (upper ? 8 : 0)),
    from: 'memory',
  }
  if (dma.reason === FAULT.scalableRootAccess) return step
  return { ...step, raw: rawView(root, 0, 2), fields: fieldsView(half, root) }
}

function contextStep({ dma, translations }: ExplainedUnit, { sourceId }: ExplainedRequest): Step {
  const { contexts } = translations
  const { tables } = dma.scalable
  const slot = tables.contextSlot
  const at = slot * SCALABLE_CONTEXT_ENTRY_WORDS
  const name = { check: 'context entry', section: 'Scalable-Mode Context Entry' }
  const content = () => ({
    raw: rawView(contexts.raw, at, SCALABLE_CONTEXT_ENTRY_WORDS),
    fields: fieldsView(SCALABLE_CONTEXT_ENTRY, contexts.raw, at),
  })
  if (slot >= 0 && slot !== contexts.scratch) return { ...name, ...content(), from: 'contextCache' }
  const entryAddress = hex(tables.contextTable * 4096 + (sourceId & 0x7f) * 32)
  return { ...name, entryAddress, ...(slot < 0 ? {} : content()), from: 'memory' }
}

function directoryStep({ dma }: ExplainedUnit): Step {
  const { directory, directoryRead, directoryTable, pasid } = dma.scalable.tables
  return {
    check: 'PASID directory entry',
    section: 'Scalable-Mode PASID Directory Entry',
    entryAddress: hex(directoryTable * 4096 + ((pasid >>> 6) & 511) * 8),
    from: 'memory',
    ...(directoryRead
      ? { raw: rawView(directory, 0, 2), fields: fieldsView(PASID_DIRECTORY_ENTRY, directory) }
      : {}),
  }
}

function pasidStep({ dma, translations }: ExplainedUnit): Step {
  const { pasids } = translations
  const { tables } = dma.scalable
  const slot = tables.pasidSlot
  const at = slot * PASID_TABLE_ENTRY_WORDS
  const name = { check: 'PASID table entry', section: 'Scalable-Mode PASID Table Entry' }
  const content = () => ({
    raw: rawView(pasids.raw, at, PASID_TABLE_ENTRY_WORDS),
    fields: fieldsView(PASID_TABLE_ENTRY, pasids.raw, at),
  })
  if (slot >= 0 && slot !== pasids.scratch) return { ...name, ...content(), from: 'pasidCache' }
  const entryAddress = hex(tables.pasidTable * 4096 + (tables.pasid & 63) * 64)
  return { ...name, entryAddress, ...(slot < 0 ? {} : content()), from: 'memory' }
}
