/** How an address-range unit would treat an address, step by step, without changing anything. */
import { get, hex, type PageNumber } from '../core/index.ts'
import type { Explanation, ExplanationStep } from '../vtd/index.ts'
import { APERTURE_ENTRY, pageInEntry } from './formats/index.ts'
import { fieldsView } from './views.ts'

const SECTION = 'GART Aperture'

/** What explaining looks at of a unit. */
export interface ExplainedAperture {
  readonly enabled: boolean
  readonly firstPage: PageNumber
  readonly pages: number
  contains(page: PageNumber): boolean
  buffered(page: PageNumber): PageNumber | undefined
  entryWord(page: PageNumber): number
  entryAddress(page: PageNumber): number
}

export function explainAperture(unit: ExplainedAperture, page: PageNumber, offset: number): Explanation {
  const steps: ExplanationStep[] = []
  const at = (physicalPage: PageNumber): string => hex(physicalPage * 4096 + offset)
  const first = unit.firstPage
  const range = `${hex(first * 4096)} to ${hex((first + unit.pages) * 4096 - 1)}`
  if (!unit.enabled) {
    steps.push({ check: 'APCTL.EN is 0: every address passes unchanged', outcome: 'passed' })
    return { steps, outcome: 'notTranslated', physicalAddress: at(page) }
  }
  if (!unit.contains(page)) {
    const check = `the address is outside the aperture (${range}): it passes unchanged, whoever asks`
    steps.push({ check, section: SECTION, outcome: 'passed' })
    return { steps, outcome: 'notTranslated', physicalAddress: at(page) }
  }
  const check = `the address is inside the aperture (${range}); the requester id is not looked at`
  steps.push({ check, section: SECTION, outcome: 'passed' })
  const buffered = unit.buffered(page)
  if (buffered !== undefined) {
    steps.push({ check: 'the translation is buffered', from: 'iotlb', outcome: 'passed' })
    return { steps, outcome: 'translated', physicalAddress: at(buffered) }
  }
  const entry = unit.entryWord(page)
  const valid = get(APERTURE_ENTRY.V, [entry]) === 1
  steps.push({
    check: valid ? 'the table entry is valid' : 'the table entry is not valid: the access is aborted',
    section: SECTION,
    entryAddress: hex(unit.entryAddress(page)),
    raw: hex(entry, 8),
    fields: fieldsView(APERTURE_ENTRY, [entry]),
    from: 'memory',
    outcome: valid ? 'passed' : 'failed',
  })
  if (valid) return { steps, outcome: 'translated', physicalAddress: at(pageInEntry(entry)) }
  const repair = 'Set V in the entry and point ADDR at the page; every other device reaches it then too.'
  return { steps, outcome: 'blocked', repair }
}
