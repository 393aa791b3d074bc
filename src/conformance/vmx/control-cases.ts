/** Derived from vmx_controls_test: every control word, and the values of fields that controls bring into play. */
import {
  ENTRY_CONTROLS,
  EXIT_CONTROLS,
  PIN_BASED,
  PRIMARY as PROC,
  SECONDARY as PROC2,
} from '../../vmx/formats/controls.ts'
import type { VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import { AT, ENTRY, EXIT, PIN, PRIMARY, SECONDARY } from './machine.ts'
import { DONE, pin, primary, secondary } from './settings.ts'
import { entryRow, fails, memory, type Row, type Step, set } from './step-case.ts'

const INVALID = fails(7)

/** Bits of each control word that must be 1, and may be 1, as the rows' processor reports them. */
const WORDS: readonly {
  field: VmcsFieldName
  source: string
  base: number
  mustBeOne: number
  reserved: readonly number[]
}[] = [
  {
    field: 'pinBasedControls',
    source: 'test_pin_based_ctls',
    base: PIN,
    mustBeOne: 0x16,
    reserved: [8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 31],
  },
  {
    field: 'primaryProcessorBasedControls',
    source: 'test_primary_processor_based_ctls',
    base: PRIMARY,
    mustBeOne: 0x0400_6172,
    reserved: [0, 18],
  },
  {
    field: 'secondaryProcessorBasedControls',
    source: 'test_secondary_processor_based_ctls',
    base: SECONDARY,
    mustBeOne: 0,
    reserved: [15, 19, 21, 23, 24, 27, 28, 29, 30, 31],
  },
  {
    field: 'exitControls',
    source: 'test_vm_exit_ctls',
    base: EXIT,
    mustBeOne: 0x0003_6dfb,
    reserved: [23, 24, 25, 26, 27, 28, 29, 30, 31],
  },
  {
    field: 'entryControls',
    source: 'test_vm_entry_ctls',
    base: ENTRY,
    mustBeOne: 0x0000_11fb,
    reserved: [16, 17, 18, 20, 22, 25, 31],
  },
]

const bitsOf = (mask: number): number[] =>
  Array.from({ length: 32 }, (_, bit) => bit).filter(bit => (mask >>> bit) & 1)

const controlWords: Row[] = WORDS.flatMap(({ field, source, base, mustBeOne, reserved }) => [
  ...bitsOf(mustBeOne).map(bit =>
    entryRow(
      `control.${field}.mustBeOne${bit}`,
      source,
      `${field} bit ${bit} must be 1`,
      [set(field, (base & ~(1 << bit)) >>> 0)],
      INVALID,
    ),
  ),
  ...reserved.map(bit =>
    entryRow(
      `control.${field}.mustBeZero${bit}`,
      source,
      `${field} bit ${bit} must be 0`,
      [set(field, (base | (1 << bit)) >>> 0)],
      INVALID,
    ),
  ),
])

const SHADOW = primary(PROC.useTprShadow)

const VALUES: readonly (readonly [string, string, string, readonly Step[], boolean])[] = [
  ...[0, 1, 2, 3, 4].map(
    n =>
      [
        `cr3TargetCount${n}`,
        'test_cr3_targets',
        `${n} CR3 targets are legal`,
        [set('cr3TargetCount', n)],
        true,
      ] as const,
  ),
  ...[5, 6, 0xff, 0x100].map(
    n =>
      [
        `cr3TargetCount${n}`,
        'test_cr3_targets',
        `${n} CR3 targets are too many`,
        [set('cr3TargetCount', n)],
        false,
      ] as const,
  ),
  ['virtualNmis.alone', 'test_nmi_ctrls', 'virtual NMIs need NMI exiting', [pin(0x36)], false],
  ['virtualNmis', 'test_nmi_ctrls', 'NMI exiting and virtual NMIs', [pin(0x3e)], true],
  [
    'nmiWindow.alone',
    'test_nmi_ctrls',
    'the NMI window needs virtual NMIs',
    [pin(0x1e), primary(PROC.nmiWindowExiting)],
    false,
  ],
  [
    'nmiWindow',
    'test_nmi_ctrls',
    'the NMI window with virtual NMIs',
    [pin(0x3e), primary(PROC.nmiWindowExiting)],
    true,
  ],
  [
    'nmiWindow.noExiting',
    'test_nmi_ctrls',
    'the NMI window without NMI exiting',
    [pin(0x16), primary(PROC.nmiWindowExiting)],
    false,
  ],
  ...(
    [
      ['x2apic', PROC2.virtualizeX2apicMode],
      ['registers', PROC2.apicRegisterVirtualization],
      ['delivery', PROC2.virtualInterruptDelivery],
    ] as const
  ).flatMap(
    ([name, control]) =>
      [
        [
          `${name}.noShadow`,
          'test_apic_virtual_ctls',
          `${name} virtualization needs the TPR shadow`,
          [secondary(control)],
          false,
        ],
        [
          `${name}.shadow`,
          'test_apic_virtual_ctls',
          `${name} virtualization with the TPR shadow`,
          [SHADOW, set('virtualApicAddress', AT.virtualApic), secondary(control)],
          true,
        ],
      ] as const,
  ),
  [
    'apicAndX2apic',
    'test_apic_virtual_ctls',
    'APIC accesses are not virtualized in both modes',
    [
      SHADOW,
      set('virtualApicAddress', AT.virtualApic),
      secondary(PROC2.virtualizeX2apicMode | PROC2.virtualizeApicAccesses),
    ],
    false,
  ],
  [
    'delivery.noExiting',
    'test_virtual_intr_ctls',
    'virtual-interrupt delivery needs external-interrupt exiting',
    [SHADOW, set('virtualApicAddress', AT.virtualApic), pin(0x16), secondary(PROC2.virtualInterruptDelivery)],
    false,
  ],
  [
    'posted.noDelivery',
    'test_posted_intr',
    'posted interrupts need virtual-interrupt delivery',
    [pin(PIN | 0x80)],
    false,
  ],
  ...([0, 32, 255, 256, 0x1000, 0xffff] as const).map(
    vector =>
      [
        `posted.vector${vector}`,
        'test_posted_intr',
        `notification vector ${vector} is ${vector < 256 ? 'legal' : 'too high'}`,
        [
          pin(PIN | PIN_BASED.processPostedInterrupts),
          SHADOW,
          set('virtualApicAddress', AT.virtualApic),
          secondary(PROC2.virtualInterruptDelivery),
          set('exitControls', EXIT | EXIT_CONTROLS.acknowledgeInterruptOnExit),
          set('postedInterruptDescriptorAddress', AT.otherVmcs),
          set('postedInterruptNotificationVector', vector),
        ],
        vector < 256,
      ] as const,
  ),
  ['vpid0', 'test_vpid', 'VPID 0 belongs to the host', [secondary(PROC2.enableVpid)], false],
  ['vpid1', 'test_vpid', 'VPID 1', [secondary(PROC2.enableVpid), set('virtualProcessorIdentifier', 1)], true],
  ...[0, 1, 0xf, 0x10, 0x20, 0x8000_0000].map(
    threshold =>
      [
        `threshold${threshold}`,
        'test_tpr_threshold',
        `a TPR threshold of ${threshold} while VTPR is 0`,
        [SHADOW, set('virtualApicAddress', AT.virtualApic), set('tprThreshold', threshold)],
        threshold === 0,
      ] as const,
  ),
  ...[0x10, 0x20, 0xf0].map(
    vtpr =>
      [
        `threshold.vtpr${vtpr}`,
        'test_vtpr_values',
        `a TPR threshold of ${vtpr >>> 4} while VTPR is ${vtpr}`,
        [
          SHADOW,
          set('virtualApicAddress', AT.virtualApic),
          memory(AT.virtualApic + 0x80, vtpr),
          set('tprThreshold', vtpr >>> 4),
        ],
        true,
      ] as const,
  ),
  [
    'timer.saveAlone',
    'test_vmx_preemption_timer',
    'saving the timer needs the timer',
    [set('exitControls', EXIT | (1 << 22))],
    false,
  ],
  [
    'timer.save',
    'test_vmx_preemption_timer',
    'the timer may be saved',
    [pin(PIN | 0x40), set('preemptionTimerValue', 100), set('exitControls', EXIT | (1 << 22))],
    true,
  ],
  ...[0, 1, 2, 3, 4, 5, 6, 7].map(
    type =>
      [
        `eptp.memoryType${type}`,
        'test_ept_eptp',
        `an EPTP memory type of ${type}`,
        [set('eptPointer', AT.pml4 | 0x18 | type)],
        type === 0 || type === 6,
      ] as const,
  ),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map(
    length =>
      [
        `eptp.walkLength${length}`,
        'test_ept_eptp',
        `an EPTP walk length field of ${length}`,
        [set('eptPointer', (length === 4 ? AT.pml5 : AT.pml4) | 6 | (length << 3))],
        length === 3 || length === 4,
      ] as const,
  ),
  [
    'eptp.flags',
    'test_eptp_ad_bit',
    'EPTP may enable accessed and dirty flags',
    [set('eptPointer', AT.pml4 | 0x5e)],
    true,
  ],
  ...[7, 8, 9, 10, 11].map(
    bit =>
      [
        `eptp.bit${bit}`,
        'test_ept_eptp',
        `EPTP bit ${bit} is reserved`,
        [set('eptPointer', AT.pml4 | 0x1e | (1 << bit))],
        false,
      ] as const,
  ),
  ...[46, 50, 52, 63].map(
    bit =>
      [
        `eptp.bit${bit}`,
        'test_ept_eptp',
        `EPTP must lie below 2^46: not bit ${bit}`,
        [set('eptPointer', [AT.pml4 | 0x1e, (1 << (bit - 32)) >>> 0])],
        false,
      ] as const,
  ),
  [
    'unrestricted.noEpt',
    'test_ept_eptp',
    'unrestricted guest needs EPT',
    [set('secondaryProcessorBasedControls', PROC2.unrestrictedGuest)],
    false,
  ],
  [
    'unrestricted',
    'test_ept_eptp',
    'unrestricted guest with EPT',
    [secondary(PROC2.unrestrictedGuest)],
    true,
  ],
  [
    'modeBased.noEpt',
    'test_mode_based_execute_control',
    'mode-based execute control needs EPT',
    [set('secondaryProcessorBasedControls', PROC2.modeBasedExecuteControl)],
    false,
  ],
  [
    'pml.noEpt',
    'test_pml',
    'page-modification logging needs EPT',
    [set('secondaryProcessorBasedControls', PROC2.enablePml), set('pmlAddress', AT.pml)],
    false,
  ],
  [
    'smm.entry',
    'test_vm_entry_ctls',
    'an entry to SMM outside SMM',
    [set('entryControls', ENTRY | ENTRY_CONTROLS.entryToSmm)],
    false,
  ],
  [
    'smm.deactivate',
    'test_vm_entry_ctls',
    'deactivating the dual-monitor treatment outside SMM',
    [set('entryControls', ENTRY | ENTRY_CONTROLS.deactivateDualMonitorTreatment)],
    false,
  ],
]

const values = VALUES.map(([id, source, states, setting, legal]) =>
  entryRow(`control.${id}`, source, states, setting, legal ? DONE : INVALID),
)

export const CONTROL_ROWS: readonly Row[] = [...controlWords, ...values]
