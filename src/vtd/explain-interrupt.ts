/** Explains a request to the interrupt range. Its data is not known, so a subhandle counts as 0. */
import { get, hex, hex64 } from '../core/index.ts'
import {
  type ExplainedRequest,
  type ExplainedUnit,
  type Explanation,
  type ExplanationStep,
  faultEnding,
} from './explanation.ts'
import { isRecorded } from './fault-recording.ts'
import { FAULT } from './formats/fault-codes.ts'
import { POSTED_INTERRUPT_DESCRIPTOR, POSTED_IRTE } from './formats/posted-interrupts.ts'
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
  let reason = interrupts.resolve(request.sourceId, address, 0, 0, passCompatibility)
  steps.push({
    check: interrupts.remapped ? 'remappable format' : 'compatibility format',
    section: 'Interrupt Requests to Intel 64 Architecture',
    fields: { index: interrupts.index, tableEntries: interrupts.entries, EIME: Number(interrupts.extended) },
    outcome: REQUEST_FAULTS.includes(reason) ? 'failed' : 'passed',
  })
  if (interrupts.remapped && !REQUEST_FAULTS.includes(reason)) {
    steps.push(entryStep(unit, reason))
    if (reason === 0 && interrupts.posts) {
      reason = interrupts.posting.check(
        interruptEntries.raw,
        interrupts.slot * IRTE_WORDS,
        interrupts.extended,
      )
      steps.push(descriptorStep(unit, reason))
    }
  }
  if (reason === 0) return { steps, outcome: 'interrupt' }
  return faultEnding(steps, reason, request, isRecorded(reason, interrupts.faultProcessingDisable))
}

function entryStep({ interrupts, interruptEntries }: ExplainedUnit, reason: number): ExplanationStep {
  const { raw } = interruptEntries
  const { slot, index, posts } = interrupts
  const at = slot * IRTE_WORDS
  return {
    check: posts
      ? 'interrupt remapping table entry, for a posted interrupt'
      : 'interrupt remapping table entry',
    section: posts
      ? 'Interrupt Remapping Table Entry (IRTE) for Posted Interrupts'
      : 'Interrupt Remapping Table Entry (IRTE) for Remapped Interrupts',
    entryAddress: hex(interrupts.table * 4096 + index * 16),
    ...(slot < 0
      ? {}
      : { raw: rawView(raw, at, 4), fields: fieldsView(posts ? POSTED_IRTE : IRTE, raw, at) }),
    from: slot >= 0 && slot !== interruptEntries.scratch ? 'interruptEntryCache' : 'memory',
    outcome: reason === 0 ? 'passed' : 'failed',
  }
}

/** The descriptor that the entry points to, before anything is posted to it. */
function descriptorStep({ interrupts, interruptEntries }: ExplainedUnit, reason: number): ExplanationStep {
  const { raw } = interruptEntries
  const at = interrupts.slot * IRTE_WORDS
  const words = interrupts.posting.descriptorPage(raw, at)
  const base = (raw[at + 1]! & 0xfc0) >>> 2
  const vector = get(POSTED_IRTE.V, raw, at)
  return {
    check: 'posted interrupt descriptor',
    section: 'Posted Interrupt Descriptor (PID)',
    entryAddress: hex64((raw[at + 1]! & ~0x3f) >>> 0, raw[at + 3]!),
    ...(words === undefined
      ? {}
      : {
          fields: {
            ...fieldsView(POSTED_INTERRUPT_DESCRIPTOR, words, base),
            vector,
            PIR: (words[base + (vector >>> 5)]! >>> (vector & 31)) & 1,
          },
        }),
    from: 'memory',
    outcome: reason === 0 ? 'passed' : 'failed',
  }
}
