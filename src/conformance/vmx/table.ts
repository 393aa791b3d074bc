/** The conformance table of the processors: every row, in the order in which it is run. */
import { APIC_CASES } from './apic-cases.ts'
import { APICV_CASES } from './apicv-cases.ts'
import type { ProcessorCase } from './case.ts'
import { CONTROL_ROWS } from './control-cases.ts'
import { CONTROL_FIELD_ROWS } from './control-field-cases.ts'
import { CONTROL_REGISTER_ROWS } from './control-register-cases.ts'
import { ENABLED_INSTRUCTION_ROWS } from './enabled-instruction-cases.ts'
import { EPT_ROWS } from './ept-cases.ts'
import { EPT_FLAG_ROWS } from './ept-flag-cases.ts'
import { EXCEPTION_ROWS } from './exception-cases.ts'
import { GUEST_SEGMENT_ROWS } from './guest-segment-cases.ts'
import { GUEST_STATE_ROWS } from './guest-state-cases.ts'
import { HOST_STATE_ROWS } from './host-state-cases.ts'
import { INJECTION_ROWS } from './injection-cases.ts'
import { INSTRUCTION_EXIT_ROWS } from './instruction-exit-cases.ts'
import { IO_AND_MSR_ROWS } from './io-and-msr-cases.ts'
import { IO_APIC_CASES } from './io-apic-cases.ts'
import { MISCONFIGURATION_ROWS } from './misconfiguration-cases.ts'
import { SHADOW_ROWS } from './shadow-cases.ts'
import { SHADOW_FIELD_ROWS } from './shadow-field-cases.ts'
import { SIGNAL_ROWS } from './signal-cases.ts'
import { compile, type Row } from './step-case.ts'
import { SWITCHED_STATE_ROWS } from './switched-state-cases.ts'
import { TRANSLATION_CACHE_ROWS } from './translation-cache-cases.ts'
import { VMCS_ACCESS_ROWS } from './vmcs-access-cases.ts'
import { VMX_INSTRUCTION_ROWS } from './vmx-instruction-cases.ts'
import { WINDOW_ROWS } from './window-cases.ts'

/** The rows that are data. */
export const VMX_ROWS: readonly Row[] = [
  ...VMX_INSTRUCTION_ROWS,
  ...VMCS_ACCESS_ROWS,
  ...SHADOW_ROWS,
  ...SHADOW_FIELD_ROWS,
  ...CONTROL_ROWS,
  ...CONTROL_FIELD_ROWS,
  ...HOST_STATE_ROWS,
  ...GUEST_STATE_ROWS,
  ...GUEST_SEGMENT_ROWS,
  ...SWITCHED_STATE_ROWS,
  ...INSTRUCTION_EXIT_ROWS,
  ...ENABLED_INSTRUCTION_ROWS,
  ...IO_AND_MSR_ROWS,
  ...CONTROL_REGISTER_ROWS,
  ...EXCEPTION_ROWS,
  ...INJECTION_ROWS,
  ...WINDOW_ROWS,
  ...SIGNAL_ROWS,
  ...EPT_ROWS,
  ...MISCONFIGURATION_ROWS,
  ...EPT_FLAG_ROWS,
  ...TRANSLATION_CACHE_ROWS,
]

export const PROCESSOR_CASES: readonly ProcessorCase[] = [
  ...VMX_ROWS.map(compile),
  ...APIC_CASES,
  ...IO_APIC_CASES,
  ...APICV_CASES,
]
