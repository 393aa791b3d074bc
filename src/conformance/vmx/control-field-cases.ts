/** Derived from vmx_controls_test: address fields, MSR areas, injected events, the shadow of MOV SS. */
import { EXIT_CONTROLS, PIN_BASED, PRIMARY as PROC, SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import type { VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import { AT, EXIT, PIN } from './machine.ts'
import { DONE, pin, primary, secondary } from './settings.ts'
import { enter, entryRow, fails, memory, type Row, run, type Step, set } from './step-case.ts'

const INVALID = fails(7)

const SHADOW = primary(PROC.useTprShadow)

/** Address fields: the controls that use them, their alignment in bits, and a good address. */
const ADDRESSES: readonly (readonly [VmcsFieldName, string, readonly Step[], number, number])[] = [
  [
    'ioBitmapA',
    'test_io_bitmaps',
    [primary(PROC.useIoBitmaps), set('ioBitmapB', AT.ioBitmapB)],
    12,
    AT.ioBitmapA,
  ],
  [
    'ioBitmapB',
    'test_io_bitmaps',
    [primary(PROC.useIoBitmaps), set('ioBitmapA', AT.ioBitmapA)],
    12,
    AT.ioBitmapB,
  ],
  ['msrBitmaps', 'test_msr_bitmap', [primary(PROC.useMsrBitmaps)], 12, AT.msrBitmaps],
  ['virtualApicAddress', 'test_apic_virt_addr', [SHADOW], 12, AT.virtualApic],
  ['apicAccessAddress', 'test_apic_access_addr', [secondary(PROC2.virtualizeApicAccesses)], 12, AT.guest],
  [
    'vmreadBitmapAddress',
    'vmx_vmcs_shadow_test',
    [secondary(PROC2.vmcsShadowing), set('vmwriteBitmapAddress', AT.vmwriteBitmap)],
    12,
    AT.vmreadBitmap,
  ],
  [
    'vmwriteBitmapAddress',
    'vmx_vmcs_shadow_test',
    [secondary(PROC2.vmcsShadowing), set('vmreadBitmapAddress', AT.vmreadBitmap)],
    12,
    AT.vmwriteBitmap,
  ],
  ['pmlAddress', 'test_pml', [secondary(PROC2.enablePml)], 12, AT.pml],
  [
    'postedInterruptDescriptorAddress',
    'test_pi_desc_addr',
    [
      pin(PIN | PIN_BASED.processPostedInterrupts),
      SHADOW,
      set('virtualApicAddress', AT.virtualApic),
      secondary(PROC2.virtualInterruptDelivery),
      set('exitControls', EXIT | EXIT_CONTROLS.acknowledgeInterruptOnExit),
    ],
    6,
    AT.otherVmcs,
  ],
  [
    'exitMsrStoreAddress',
    'test_exit_msr_store',
    [set('exitMsrStoreCount', 1), memory(AT.msrArea, 0x174)],
    4,
    AT.msrArea,
  ],
  [
    'exitMsrLoadAddress',
    'test_exit_msr_store',
    [set('exitMsrLoadCount', 1), memory(AT.msrArea, 0x174)],
    4,
    AT.msrArea,
  ],
  [
    'entryMsrLoadAddress',
    'test_entry_msr_load',
    [set('entryMsrLoadCount', 1), memory(AT.msrArea, 0x174)],
    4,
    AT.msrArea,
  ],
]

const addresses: Row[] = ADDRESSES.flatMap(([field, source, setting, alignment, good]) => [
  entryRow(
    `control.${field}.good`,
    source,
    `${field} may be an aligned address`,
    [...setting, set(field, good)],
    DONE,
  ),
  ...Array.from({ length: alignment }, (_, bit) => bit)
    .filter(bit => bit % 3 === 0 || bit === alignment - 1)
    .map(bit =>
      entryRow(
        `control.${field}.bit${bit}`,
        source,
        `${field} bit ${bit} must be 0`,
        [...setting, set(field, good | (1 << bit))],
        INVALID,
      ),
    ),
  ...[46, 51, 52, 63].map(bit =>
    entryRow(
      `control.${field}.bit${bit}`,
      source,
      `${field} must lie below 2^46: not bit ${bit}`,
      [...setting, set(field, [good, (1 << (bit - 32)) >>> 0])],
      INVALID,
    ),
  ),
])

/** MSR areas whose last byte lies beyond the physical-address width. */
const AREAS: readonly (readonly [VmcsFieldName, VmcsFieldName, string])[] = [
  ['exitMsrStoreAddress', 'exitMsrStoreCount', 'test_exit_msr_store'],
  ['exitMsrLoadAddress', 'exitMsrLoadCount', 'test_exit_msr_store'],
  ['entryMsrLoadAddress', 'entryMsrLoadCount', 'test_entry_msr_load'],
]

const areas = AREAS.map(([address, count, source]) =>
  entryRow(
    `control.${address}.end`,
    source,
    `the last byte of the area at ${address} must lie below 2^46`,
    [set(count, 2), set(address, [0xffff_fff0, 0x3fff] satisfies Word64)],
    INVALID,
  ),
)

/** Derived from test_invalid_event_injection: information, error code, instruction length, and whether it is legal. */
const INJECTIONS: readonly (readonly [string, number, number, number, boolean])[] = [
  ['a reserved type', 0x100, 0, 0, false],
  ['an external interrupt with vector 0', 0x000, 0, 0, true],
  ['another event with vector 1', 0x701, 0, 0, false],
  ['an NMI with vector 0', 0x200, 0, 0, false],
  ['an NMI', 0x202, 0, 0, true],
  ['a hardware exception with vector 32', 0x320, 0, 0, false],
  ...[8, 10, 11, 12, 13, 14, 17].flatMap(
    vector =>
      [
        [`exception ${vector} without its error code`, 0x300 | vector, 0, 0, false],
        [`exception ${vector} with its error code`, 0xb00 | vector, 0, 0, true],
      ] as const,
  ),
  ...[0, 1, 3, 4, 5, 6, 7, 9, 15, 16, 18, 19, 20, 31].flatMap(
    vector =>
      [
        [`exception ${vector} with an error code it has not`, 0xb00 | vector, 0, 0, false],
        [`exception ${vector}`, 0x300 | vector, 0, 0, true],
      ] as const,
  ),
  ...[0, 2, 4, 5, 6].map(
    type =>
      [`an error code with type ${type}`, 0x800 | (type << 8) | (type === 2 ? 2 : 13), 0, 1, false] as const,
  ),
  ...[12, 13, 18, 24, 30].map(bit => [`reserved bit ${bit}`, 0xb0d | (1 << bit), 0, 0, false] as const),
  ...[16, 20, 31].map(bit => [`error-code bit ${bit}`, 0xb0d, 2 ** bit, 0, false] as const),
  ...[4, 5, 6].flatMap(
    type =>
      [
        [`type ${type} of length 0`, (type << 8) | (type === 5 ? 1 : 3), 0, 0, false],
        [`type ${type} of length 1`, (type << 8) | (type === 5 ? 1 : 3), 0, 1, true],
        [`type ${type} of length 15`, (type << 8) | (type === 5 ? 1 : 3), 0, 15, true],
        [`type ${type} of length 16`, (type << 8) | (type === 5 ? 1 : 3), 0, 16, false],
      ] as const,
  ),
  ['a pending monitor trap flag', 0x700, 0, 0, true],
]

const injections = INJECTIONS.map(([what, information, errorCode, length, legal], i) =>
  entryRow(
    `control.injection${i}`,
    'test_invalid_event_injection',
    `injecting ${what} is ${legal ? 'legal' : 'refused'}`,
    [
      set('entryInterruptionInformation', (information | 0x8000_0000) >>> 0),
      set('entryExceptionErrorCode', errorCode),
      set('entryInstructionLength', length),
    ],
    legal ? DONE : INVALID,
  ),
)

const movSs: Row[] = [
  {
    id: 'control.movSs.launch',
    source: 'vmentry_movss_shadow_test',
    states: 'VMLAUNCH in the shadow of MOV SS fails with error 26',
    steps: [run({ op: 'movSs' }), enter(fails(26)), enter()],
  },
  {
    id: 'control.movSs.launched',
    source: 'vmentry_movss_shadow_test',
    states: 'the shadow of MOV SS is found before a wrong launch state',
    steps: [
      enter(),
      run({ op: 'vmcall', number: 0 }, { exit: 'vmcall' }),
      run({ op: 'movSs' }),
      run({ op: 'vmlaunch' }, fails(26)),
    ],
  },
  {
    id: 'control.movSs.noVmcs',
    source: 'vmentry_movss_shadow_test',
    states: 'without a current VMCS the shadow of MOV SS does not matter: VMfailInvalid',
    steps: [
      run({ op: 'vmclear', address: AT.vmcs }),
      run({ op: 'movSs' }),
      run({ op: 'vmlaunch' }, { outcome: 'vmFailInvalid' }),
    ],
  },
]

export const CONTROL_FIELD_ROWS: readonly Row[] = [...addresses, ...areas, ...injections, ...movSs]
