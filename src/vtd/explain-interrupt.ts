/** Explains a request to the interrupt range. Its data is not known, so a subhandle counts as 0. */
import { hex } from '../core/index.ts'
import {
  type ExplainedRequest,
  type ExplainedUnit,
  type Explanation,
  type ExplanationStep,
  faultEnding,
} from './explanation.ts'
import { isRecorded } from './fault-recording.ts'
import { FAULT } from './formats/fault-reasons.ts'
import { GSTS } from './formats/registers.ts'
import { IRTE, IRTE_WORDS } from './formats/structures.ts'
import { fieldsView, rawView } from './views.ts'

/** Reasons that come before the table entry is looked at. */
const REQUEST_FAULTS: readonly number[] = [
  FAULT.interruptRequestReserved,
  FAULT.interruptIndex,
  FAULT.compatibilityBlocked,
]

export function explainInterrupt(unit: ExplainedUnit, request: ExplainedRequest): Explanation {
  const { words, interrupts, interruptEntries } = unit
  const status = words[GSTS.at]!
  const range: ExplanationStep = {
    check:
      'the address is in the interrupt range: a 4-byte write is an interrupt request, anything else is refused',
    section: 'Interrupt Address Range',
    outcome: request.write && request.offset % 4 === 0 ? 'passed' : 'failed',
  }
  if (range.outcome === 'failed') {
    if (status & (GSTS.f.TES.mask | GSTS.f.IRES.mask)) {
      return faultEnding([range], FAULT.interruptRangeAccess, request, true)
    }
    return { steps: [range], outcome: 'blocked', repair: 'Use an address outside 0xFEE00000 to 0xFEEFFFFF.' }
  }
  const enabled = (status & GSTS.f.IRES.mask) !== 0
  const steps: ExplanationStep[] = [
    range,
    {
      check: enabled
        ? 'interrupt remapping is enabled'
        : 'interrupt remapping is disabled: the message is used as it is',
      section: 'Global Status Register',
      raw: hex(status, 8),
      fields: fieldsView(GSTS.f, words, GSTS.at),
      outcome: 'passed',
    },
  ]
  if (!enabled) return { steps, outcome: 'interrupt' }

  const address = request.page * 4096 + request.offset
  const passCompatibility = (status & GSTS.f.CFIS.mask) !== 0
  const reason = interrupts.resolve(request.sourceId, address, 0, 0, passCompatibility)
  steps.push({
    check: interrupts.remapped ? 'remappable format' : 'compatibility format',
    section: 'Interrupt Requests to Intel 64 Architecture',
    fields: { index: interrupts.index, tableEntries: interrupts.entries, EIME: Number(interrupts.extended) },
    outcome: REQUEST_FAULTS.includes(reason) ? 'failed' : 'passed',
  })
  if (interrupts.remapped && !REQUEST_FAULTS.includes(reason)) {
    const at = interrupts.slot * IRTE_WORDS
    const { raw } = interruptEntries
    steps.push({
      check: 'interrupt remapping table entry',
      section: 'Interrupt Remapping Table Entry',
      entryAddress: hex(interrupts.table * 4096 + interrupts.index * 16),
      ...(interrupts.slot < 0 ? {} : { raw: rawView(raw, at, 4), fields: fieldsView(IRTE, raw, at) }),
      from:
        interrupts.slot >= 0 && interrupts.slot !== interruptEntries.scratch
          ? 'interruptEntryCache'
          : 'memory',
      outcome: reason === 0 ? 'passed' : 'failed',
    })
  }
  if (reason === 0) return { steps, outcome: 'interrupt' }
  return faultEnding(steps, reason, request, isRecorded(reason, interrupts.faultProcessingDisable))
}
