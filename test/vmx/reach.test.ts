import { describe, expect, it } from 'vitest'
import { UNREACHABLE_ERRORS, UNREACHABLE_EXITS } from '../../src/conformance/vmx/out-of-reach.ts'
import { compile, type Expectation, type Row } from '../../src/conformance/vmx/step-case.ts'
import { VMX_ROWS } from '../../src/conformance/vmx/table.ts'
import { EXIT_REASON, type ExitReasonName } from '../../src/vmx/formats/exit-reasons.ts'
import { INSTRUCTION_ERROR_NAMES } from '../../src/vmx/formats/instruction-errors.ts'

const expectations = (row: Row): Expectation[] =>
  row.steps.flatMap(step => ('enter' in step ? [step.enter] : 'run' in step ? [step.expect] : []))

/** Rows that hold, with what they expect: what a row expects and gets has been reached. */
const held = VMX_ROWS.filter(row => compile(row).run() === undefined)
const reached = held.flatMap(expectations)

describe('the conformance rows', () => {
  it('all hold, and have identifiers of their own', () => {
    expect(VMX_ROWS.filter(row => !held.includes(row)).map(({ id }) => id)).toEqual([])
    expect(new Set(VMX_ROWS.map(({ id }) => id)).size).toBe(VMX_ROWS.length)
    expect(VMX_ROWS.length).toBeGreaterThan(400)
  })

  it('notice when a processor answers otherwise', () => {
    const row = VMX_ROWS.find(({ id }) => id === 'vmx.call.root')!
    const wrong = {
      ...row,
      steps: [{ run: { op: 'vmcall', number: 0 }, expect: { outcome: 'done' } }],
    } as Row
    expect(compile(wrong).run()).toContain('ends with vmFailValid 1')
  })
})

describe('every VM-instruction error number', () => {
  it('is reached by a row, or listed with the reason why not', () => {
    const numbers = new Set(
      reached.flatMap(expected =>
        'outcome' in expected && expected.outcome === 'vmFailValid' ? [expected.error] : [],
      ),
    )
    const missed = Object.keys(INSTRUCTION_ERROR_NAMES)
      .map(Number)
      .filter(error => !numbers.has(error))
    expect(missed).toEqual(Object.keys(UNREACHABLE_ERRORS).map(Number))
  })
})

describe('every basic exit reason', () => {
  it('is reached by a row, or listed with the reason why not', () => {
    const names = new Set(reached.flatMap(expected => ('exit' in expected ? [expected.exit] : [])))
    const missed = (Object.keys(EXIT_REASON) as ExitReasonName[]).filter(name => !names.has(name))
    expect(missed.sort()).toEqual(Object.keys(UNREACHABLE_EXITS).sort())
  })
})

/** "EPT Misconfigurations", rule by rule, and the rows that reach each. */
const MISCONFIGURATIONS: Readonly<Record<string, readonly string[]>> = {
  'bits 1:0 are 10b: write-only': ['ept.misconfig.W'],
  'bits 2:0 are 110b: write and execute': ['ept.misconfig.WX'],
  'bits 2:0 are 100b where execute-only is not supported': ['ept.misconfig.X'],
  'execute for user mode only, where execute-only is not supported': ['ept.misconfig.XU'],
  'memory type 2, 3 or 7': [2, 3, 7].map(type => `ept.misconfig.type${type}`),
  'an address bit beyond the physical-address width': [46, 47, 48, 49, 50, 51].map(
    bit => `ept.misconfig.bit${bit}`,
  ),
  'bits 7:3 of a PML5E': [3, 7].map(bit => `ept.misconfig.pml5.bit${bit}`),
  'bits 7:3 of a PML4E': [3, 4, 5, 6, 7].map(bit => `ept.misconfig.pml4.bit${bit}`),
  'bits 6:3 of a PDPTE that names a table': [3, 4, 5, 6].map(bit => `ept.misconfig.pdpt.bit${bit}`),
  'bits 6:3 of a PDE that names a table': [3, 4, 5, 6].map(bit => `ept.misconfig.pd.bit${bit}`),
  'address bits within a 1-GiB page': [12, 21, 29].map(bit => `ept.misconfig.1G.bit${bit}`),
  'address bits within a 2-MiB page': [12, 15, 20].map(bit => `ept.misconfig.2M.bit${bit}`),
  'a 1-GiB page where they are not supported': ['ept.misconfig.1G'],
}

describe('every rule of EPT misconfigurations', () => {
  it.each(Object.entries(MISCONFIGURATIONS))('%s', (_, ids) => {
    for (const id of ids) {
      const row = held.find(found => found.id === id)
      expect(row, id).toBeDefined()
      expect(expectations(row!).at(-1), id).toMatchObject({ exit: 'eptMisconfiguration' })
    }
  })

  it('every row of a misconfiguration belongs to one of them', () => {
    const rows = VMX_ROWS.filter(({ id }) => id.startsWith('ept.misconfig.')).map(({ id }) => id)
    expect(rows.sort()).toEqual(Object.values(MISCONFIGURATIONS).flat().sort())
  })
})
