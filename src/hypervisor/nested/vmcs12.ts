/**
 * "vmcs12": the VMCS that a guest hypervisor (L1) makes for its own guest (L2). It lies in memory of L1 and is no VMCS of
 * the processor; its layout is ours: the header words, then two words for every field, in the order of {@link FIELDS}.
 */
import type { Word64 } from '../../vmx/formats/operations.ts'
import {
  VMCS,
  VMCS_FIELDS,
  type VmcsField,
  type VmcsFieldName,
  vmcsFieldWidth,
} from '../../vmx/formats/vmcs.ts'
import type { GuestWords } from './guest-words.ts'

/** Not the processor's: a region of one is not a VMCS for the other. */
export const VMCS12_REVISION = 0x4e43
/** Words of the header, as in the regions of the processor. */
export const HEADER = { revision: 0, abort: 1, launchState: 2 } as const
const FIRST_FIELD = 4

/** Fields of controls that L1 is not shown, or that the processor lacks. */
const ABSENT: ReadonlySet<VmcsFieldName> = new Set<VmcsFieldName>([
  'postedInterruptNotificationVector',
  'eptpIndex',
  'hlatPrefixSize',
  'lastPidPointerIndex',
  'virtualTimerVector',
  'guestInterruptStatus',
  'pmlIndex',
  'guestUinv',
  'pmlAddress',
  'virtualApicAddress',
  'apicAccessAddress',
  'postedInterruptDescriptorAddress',
  'vmFunctionControls',
  'eoiExitBitmap0',
  'eoiExitBitmap1',
  'eoiExitBitmap2',
  'eoiExitBitmap3',
  'eptpListAddress',
  'vmreadBitmapAddress',
  'vmwriteBitmapAddress',
  'virtualizationExceptionInformationAddress',
  'enclsExitingBitmap',
  'subPagePermissionTablePointer',
  'tscMultiplier',
  'tertiaryProcessorBasedControls',
  'enclvExitingBitmap',
  'lowPasidDirectoryAddress',
  'highPasidDirectoryAddress',
  'sharedEptPointer',
  'pconfigExitingBitmap',
  'hlatPointer',
  'pidPointerTableAddress',
  'secondaryExitControls',
  'specCtrlMask',
  'specCtrlShadow',
  'guestDeadlineShadow',
  'injectedEventData',
  'msrData',
  'originalEventData',
  'guestPerfGlobalCtrl',
  'guestBndcfgs',
  'guestRtitCtl',
  'guestLbrCtl',
  'guestPkrs',
  'guestFredConfig',
  'guestFredRsp1',
  'guestFredRsp2',
  'guestFredRsp3',
  'guestFredStackLevels',
  'guestFredSsp1',
  'guestFredSsp2',
  'guestFredSsp3',
  'guestSpecCtrl',
  'guestDeadline',
  'hostPerfGlobalCtrl',
  'hostPkrs',
  'hostFredConfig',
  'hostFredRsp1',
  'hostFredRsp2',
  'hostFredRsp3',
  'hostFredStackLevels',
  'hostFredSsp1',
  'hostFredSsp2',
  'hostFredSsp3',
  'hostSpecCtrl',
  'tprThreshold',
  'instructionTimeoutControl',
  'guestKeyId',
  'guestSCet',
  'guestSsp',
  'guestInterruptSspTable',
  'hostSCet',
  'hostSsp',
  'hostInterruptSspTable',
])

/** The fields that L1 has. */
export const FIELDS: readonly VmcsField[] = VMCS_FIELDS.filter(({ name }) => !ABSENT.has(name))

export const HIGHEST_FIELD_INDEX = Math.max(...FIELDS.map(({ encoding }) => (encoding >>> 1) & 0x1ff))

const isWide = (encoding: number): boolean => {
  const width = vmcsFieldWidth(encoding)
  return width === 64 || width === 'natural'
}

/** Word of each encoding; a "high" encoding names the second word of a 64-bit field. */
const WORD_OF = new Map<number, number>(
  FIELDS.flatMap(({ encoding, width }, i) => {
    const at = FIRST_FIELD + i * 2
    const both: [number, number][] = [[encoding, at]]
    if (width === 64) both.push([encoding + 1, at + 1])
    return both
  }),
)

/** Whether VMREAD and VMWRITE of L1 find a field. */
export const isField = (encoding: number): boolean => WORD_OF.has(encoding)
const hasHighWord = (encoding: number): boolean => isWide(encoding) && (encoding & 1) === 0

export class Vmcs12 {
  /** Guest-physical address of the region, for L1. */
  readonly address: number
  readonly #memory: GuestWords

  constructor(memory: GuestWords, address: number) {
    this.#memory = memory
    this.address = address
  }

  get launched(): boolean {
    return this.#memory.read(this.address + HEADER.launchState * 4) !== 0
  }
  set launched(value: boolean) {
    this.#memory.write(this.address + HEADER.launchState * 4, value ? 1 : 0)
  }

  /** VMX-abort indicator. */
  set abort(indicator: number) {
    this.#memory.write(this.address + HEADER.abort * 4, indicator)
  }

  /** A field as VMREAD yields it. */
  read64(encoding: number): Word64 {
    const at = this.address + WORD_OF.get(encoding)! * 4
    return [this.#memory.read(at), hasHighWord(encoding) ? this.#memory.read(at + 4) : 0]
  }

  /** Low word of a field. */
  read(encoding: number): number {
    return this.#memory.read(this.address + WORD_OF.get(encoding)! * 4)
  }

  /** A field as VMWRITE leaves it. */
  write(encoding: number, low: number, high = 0): void {
    const at = this.address + WORD_OF.get(encoding)! * 4
    this.#memory.write(at, vmcsFieldWidth(encoding) === 16 ? low & 0xffff : low)
    if (hasHighWord(encoding)) this.#memory.write(at + 4, high)
  }

  has(field: keyof typeof VMCS, control: number): boolean {
    return (this.read(VMCS[field]) & control) !== 0
  }
}
