/**
 * Replays a request through the same code that serves requests, without committing anything, and tells each check in
 * order: what was read, where from, and whether it passed.
 */
import { hex, type PageNumber } from '../core/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import { ABORTED, type DmaRemapping } from './dma-remapping.ts'
import { explainInterrupt } from './explain-interrupt.ts'
import {
  address64,
  type ExplainedRequest,
  type ExplainedUnit,
  type Explanation,
  type ExplanationStep,
  faultEnding,
} from './explanation.ts'
import { isRecorded } from './fault-recording.ts'
import { FAULT } from './formats/fault-reasons.ts'
import { GSTS, PMEN } from './formats/registers.ts'
import { CONTEXT_ENTRY, ROOT_ENTRY, SECOND_STAGE_ENTRY, TRANSLATION_TYPE } from './formats/structures.ts'
import { isProtected, protectionEnabled } from './protected-memory.ts'
import { READ, WRITE } from './second-stage.ts'
import { fieldsView, iotlbEntryView, rawView } from './views.ts'

export function explain(unit: ExplainedUnit, request: ExplainedRequest): Explanation {
  const { words, dma } = unit
  const { page, write, sourceId } = request
  if (page >= INTERRUPT_FIRST_PAGE && page <= INTERRUPT_LAST_PAGE) return explainInterrupt(unit, request)

  const enabled = (words[GSTS.at]! & GSTS.f.TES.mask) !== 0
  const steps: ExplanationStep[] = [
    {
      check: enabled ? 'translation is enabled' : 'translation is disabled: the address is used unchanged',
      section: 'Global Status Register',
      raw: hex(words[GSTS.at]!, 8),
      fields: fieldsView(GSTS.f, words, GSTS.at),
      outcome: 'passed',
    },
  ]
  let frame = page
  let outcome: Explanation['outcome'] = 'notTranslated'
  if (enabled) {
    const reason = dma.resolve(sourceId, page, write ? WRITE : READ, ADDRESS_TYPE.untranslated, -1)
    steps.push(...translationSteps(unit, request, reason))
    if (reason === ABORTED) {
      const repair = 'Leave abort-DMA mode: write another TTM to RTADDR and issue SRTP.'
      return { steps, outcome: 'blocked', repair }
    }
    if (reason !== 0) {
      return faultEnding(steps, reason, request, isRecorded(reason, dma.faultProcessingDisable))
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

const isPassThrough = ({ dma, contexts }: ExplainedUnit): boolean =>
  contexts.kindOf(dma.contextSlot) === TRANSLATION_TYPE.passThrough

/** The checks of `DmaRemapping.resolve` up to the one that gave `reason`, told from what it left behind. */
function translationSteps(unit: ExplainedUnit, request: ExplainedRequest, reason: number): ExplanationStep[] {
  const { dma, contexts } = unit
  const steps: ExplanationStep[] = []
  /** Adds a step that fails with the given reasons; true if it did. */
  const add = (step: Omit<ExplanationStep, 'outcome'>, ...reasons: readonly number[]): boolean => {
    const failed = reasons.includes(reason)
    steps.push({ ...step, outcome: failed ? 'failed' : 'passed' })
    return failed
  }
  const modeFields = { RTA: hex(dma.rootTable * 4096), TTM: dma.mode }
  const mode = { check: 'translation table mode', section: 'Root Table Address Register', fields: modeFields }
  if (add(mode, FAULT.translationTableMode, ABORTED)) return steps

  if (dma.contextSlot < 0 || dma.contextSlot === contexts.scratch) {
    const entryAddress = hex(dma.rootTable * 4096 + (request.sourceId >>> 8) * 16)
    const root = { check: 'root entry', section: 'Root Entry', entryAddress, from: 'memory' } as const
    if (add(reason === FAULT.rootAccess ? root : { ...root, ...rootView(dma) }, ...ROOT_FAULTS)) return steps
  }
  const context = { check: 'context entry', section: 'Context Entry', ...contextView(unit, request) }
  if (!dma.walked && add(context, ...CONTEXT_FAULTS)) return steps
  if (dma.walked) add(context)

  if (isPassThrough(unit)) {
    const check = 'pass-through: the address is within the host address width'
    if (add({ check, section: 'Pass-Through' }, FAULT.addressBeyondWidth)) return steps
  } else {
    const limit = hex(contexts.limit[dma.contextSlot]! * 4096)
    const width = { check: 'the address is within the width of the domain', fields: { limit } }
    if (add({ ...width, section: 'Second-Stage Translation' }, FAULT.addressBeyondWidth)) return steps
    if (dma.iotlbSlot >= 0) {
      const { domainId, address, size, physicalAddress, read, write } = iotlbEntryView(
        unit.iotlb,
        dma.iotlbSlot,
      )
      const fields = { domainId, address, size, physicalAddress, R: Number(read), W: Number(write) }
      if (add({ check: 'cached translation', section: 'IOTLB', fields, from: 'iotlb' }, ...WALK_FAULTS))
        return steps
    } else {
      for (let level = contexts.levelsOf(dma.contextSlot); level >= dma.walker.level; level--) {
        const step = entryView(dma, level, request.page, reason)
        if (add(step, ...(level === dma.walker.level ? WALK_FAULTS : []))) return steps
      }
    }
  }
  add(
    { check: 'the result is outside the interrupt range', section: 'Interrupt Address Range' },
    FAULT.interruptRangeOutput,
  )
  return steps
}

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

const rootView = ({ root }: DmaRemapping) => ({
  raw: rawView(root, 0, 4),
  fields: fieldsView(ROOT_ENTRY, root),
})

function contextView({ dma, contexts }: ExplainedUnit, { sourceId }: ExplainedRequest) {
  const slot = dma.contextSlot
  if (slot >= 0 && slot !== contexts.scratch) {
    return {
      raw: rawView(contexts.raw, slot * 4, 4),
      fields: fieldsView(CONTEXT_ENTRY, contexts.raw, slot * 4),
      from: 'contextCache',
    } as const
  }
  const table = dma.root[1]! * 2 ** 32 + dma.root[0]! - (dma.root[0]! & 0xfff)
  const entryAddress = hex(table + (sourceId & 0xff) * 16)
  if (slot < 0) return { entryAddress, from: 'memory' } as const
  return {
    entryAddress,
    raw: rawView(contexts.raw, slot * 4, 4),
    fields: fieldsView(CONTEXT_ENTRY, contexts.raw, slot * 4),
    from: 'memory',
  } as const
}

function entryView({ walker }: DmaRemapping, level: number, page: PageNumber, reason: number) {
  const index = Math.floor(page / 512 ** (level - 1)) % 512
  const unreadable =
    level === walker.level && (reason === FAULT.secondStageAccess || reason === FAULT.contextInvalid)
  const entry = [walker.low[level]!, walker.high[level]!]
  return {
    check: `second-stage entry of level ${level}`,
    section: 'Second-Stage Paging Entries',
    entryAddress: hex(walker.tables[level]! * 4096 + index * 8),
    from: 'memory',
    ...(unreadable ? {} : { raw: rawView(entry, 0, 2), fields: fieldsView(SECOND_STAGE_ENTRY, entry) }),
  } as const
}
