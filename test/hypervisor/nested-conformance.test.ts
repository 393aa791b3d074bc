/** The conformance rows, carried out by a guest hypervisor: what it finds is what the processor itself answers. */
import { describe, expect, test } from 'vitest'
import { type Row, runRow } from '../../src/conformance/vmx/step-case.ts'
import { VMX_ROWS } from '../../src/conformance/vmx/table.ts'
import { FIELDS } from '../../src/hypervisor/nested/vmcs12.ts'
import { L1Machine } from './l1-machine.ts'

const SHOWN: ReadonlySet<string> = new Set(FIELDS.map(({ name }) => name))

/** Rows that L1 must see otherwise, and why. */
const DIFFERENT: readonly (readonly [RegExp, string])[] = [
  [/^vmx\.on\.(VMXE|NE)$/, 'CR0.NE and CR4.VMXE of a guest are always 1'],
  [/^vmx\.(off\.others|call\.root)$/, 'VMCALL of L1 is a hypercall'],
  [/^vmx\.caps\.basic$/, 'vmcs12 has a revision of its own'],
  [
    /^vmx\.shadow\.|^intercept\.VMFUNC\.(beyond|notEnabled)$/,
    'VMCS shadowing and VM functions are not shown',
  ],
  [/^vmx\.write\.dword$/, 'it writes a field of a control that is not shown'],
  [
    /^control\.eptp\.(walkLength4|flags)$|5levels|pml5|_ad_enabled|^ept\.flags\./,
    '5 levels, accessed and dirty flags are not shown',
  ],
  [/^ept\.mbec\./, 'mode-based execute control is not shown'],
  [/^guest\.activity[123]$|\.(hlt|shutdown|sipi)$|\.hlt\.state$/, 'activity states are not shown'],
  [
    /IA32_(KERNEL_GS_BASE|LSTAR|TSC_AUX)|c0000082$|^intercept\.x(saves|rstors)\.bitmap$/,
    'guests have no such MSR',
  ],
  [/^tlb\.(invvpid\.other|invvpid\.otherAddress|invept\.other)$/, 'more is dropped than was asked for'],
]

const needsBoard = (row: Row): boolean =>
  row.capabilities !== undefined ||
  row.steps.some(step => 'message' in step || 'takes' in step || 'advance' in step)
const usesHidden = (row: Row): boolean =>
  row.steps.some(
    step => ('set' in step && !SHOWN.has(step.set)) || ('holds' in step && !SHOWN.has(step.holds)),
  )
const isDifferent = ({ id }: Row): boolean => DIFFERENT.some(([ids]) => ids.test(id))

/** With VMCS shadowing every fourth row is carried out. */
const SAMPLE = 4

const rows = VMX_ROWS.filter(row => !needsBoard(row) && !usesHidden(row) && !isDifferent(row))

describe('a guest hypervisor finds what the processor answers', () => {
  test.each([false, true])('rows, with VMCS shadowing: %s', vmcsShadowing => {
    const chosen = vmcsShadowing ? rows.filter((_, i) => i % SAMPLE === 0) : rows
    const failed = chosen.flatMap(row => {
      const problem = runRow(row, new L1Machine({ vmcsShadowing }))
      return problem === undefined ? [] : [`${row.id}: ${problem}`]
    })
    expect(failed).toEqual([])
    expect(rows.length).toBeGreaterThan(1000)
  })

  test.each(DIFFERENT)('rows like %s exist (%s)', ids => {
    expect(VMX_ROWS.some(({ id }) => ids.test(id))).toBe(true)
  })
})
