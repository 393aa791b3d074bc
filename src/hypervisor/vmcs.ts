/** The VMCS of one virtual processor: made, filled and accessed by the instructions that VMX gives for it. */
import type { PageNumber } from '../core/index.ts'
import { NorthbridgeError, set } from '../core/index.ts'
import { ENTRY_CONTROLS, EXIT_CONTROLS, PIN_BASED, PRIMARY, SECONDARY } from '../vmx/formats/controls.ts'
import { EPT_MEMORY_TYPE, EPTP } from '../vmx/formats/ept.ts'
import { ACCESS_RIGHTS } from '../vmx/formats/events.ts'
import { CR0, CR4, MSR, RFLAGS } from '../vmx/formats/msrs.ts'
import type { Word64 } from '../vmx/formats/operations.ts'
import { NO_VMCS, VMCS } from '../vmx/formats/vmcs.ts'
import type { HostPages } from './host-pages.ts'
import type { HostProcessor } from './host-processor.ts'

/** Levels of an EPT walk, minus one: EPTP bits 5:3. */
const WALK_LENGTH = 3

/** Selectors of the host's segments: only their form matters to VM entry. */
const HOST_CODE = 0x10
const HOST_DATA = 0x18
const HOST_TASK = 0x40

/** CR0 and CR4 bits beyond those that VMX operation fixes. */
const CR0_EXTENSION_TYPE = CR0.ET
const DR7_RESET = 0x400

const { S, P, L, DB, G, unusable } = ACCESS_RIGHTS
const FLAT_LIMIT = 0xffff_ffff
const TYPE = { dataReadWriteAccessed: 3, codeReadAccessed: 11, busyTss: 11 } as const
const TSS_LIMIT = 0x67
const TABLE_LIMIT = 0xffff

const EXECUTION_CONTROLS = {
  pin: { field: VMCS.pinBasedControls, capability: MSR.IA32_VMX_TRUE_PINBASED_CTLS },
  primary: { field: VMCS.primaryProcessorBasedControls, capability: MSR.IA32_VMX_TRUE_PROCBASED_CTLS },
  secondary: { field: VMCS.secondaryProcessorBasedControls, capability: MSR.IA32_VMX_PROCBASED_CTLS2 },
} as const

export type SavedVmcs = { readonly page: PageNumber; readonly launched: boolean }

export class Vmcs {
  readonly page: PageNumber
  #processor: HostProcessor
  readonly #pages: HostPages
  /** Reused: the processor keeps no operation. */
  readonly #read: { op: 'vmread'; field: number } = { op: 'vmread', field: 0 }
  readonly #write: { op: 'vmwrite'; field: number; value: [number, number] } = {
    op: 'vmwrite',
    field: 0,
    value: [0, 0],
  }
  #launched = false

  /**
   * Takes a page for a VMCS, or a shadow VMCS, on a processor in VMX operation. Throws `outOfMemory`.
   *
   * @param saved a VMCS that is in memory, or in the processor, as it was
   */
  constructor(
    processor: HostProcessor,
    pages: HostPages,
    saved?: SavedVmcs,
    kind: 'ordinary' | 'shadow' = 'ordinary',
  ) {
    this.#processor = processor
    this.#pages = pages
    if (saved !== undefined) {
      this.page = saved.page
      this.#launched = saved.launched
      return
    }
    this.page = pages.allocate()
    processor.writeRevision(this.page, kind)
    processor.clear(this.page)
  }

  save(): SavedVmcs {
    return { page: this.page, launched: this.#launched }
  }

  free(): void {
    this.#processor.clear(this.page)
    this.#pages.free(this.page)
  }

  /** VMCLEAR on the processor that had it; the next VM entry, on another one, is a launch again. */
  moveTo(processor: HostProcessor): void {
    this.#processor.clear(this.page)
    this.#processor = processor
    this.#launched = false
  }

  /** Low half of a field. */
  read(field: number): number {
    this.#processor.load(this.page)
    this.#read.field = field
    return this.#processor.run(this.#read).low
  }

  /** Moves RIP past the instruction that exited. */
  skipInstruction(): void {
    const [low, high] = this.read64(VMCS.guestRip)
    const next = low + this.read(VMCS.exitInstructionLength)
    this.write(VMCS.guestRip, next, high + (next > 0xffff_ffff ? 1 : 0))
  }

  read64(field: number): Word64 {
    this.#processor.load(this.page)
    this.#read.field = field
    const { low, high } = this.#processor.run(this.#read)
    return [low, high]
  }

  write(field: number, low: number, high = 0): void {
    this.#processor.load(this.page)
    const { value } = this.#write
    this.#write.field = field
    value[0] = low >>> 0
    value[1] = high >>> 0
    this.#processor.run(this.#write)
  }

  /** VMCLEAR: nothing of it stays on the processor, as must be before the VMCS of a guest links it as its shadow. */
  deactivate(): void {
    this.#processor.clear(this.page)
  }

  /** The instruction that enters the guest, by launch state. */
  entryOperation(): 'vmlaunch' | 'vmresume' {
    this.#processor.load(this.page)
    return this.#launched ? 'vmresume' : 'vmlaunch'
  }

  /** A VM entry succeeded: the launch state is "launched" from now on. */
  noteLaunched(): void {
    this.#launched = true
  }

  /** Fills every area. Throws `unsupported` if the processor lacks a control that the hypervisor needs. */
  initialize(pointer: Word64): void {
    this.#controls(pointer)
    this.#hostState()
    this.#guestState()
  }

  /** Switches execution controls on or off. Throws `unsupported` if the processor does not allow them. */
  setControls(which: keyof typeof EXECUTION_CONTROLS, bits: number, on: boolean): void {
    const { field, capability } = EXECUTION_CONTROLS[which]
    if (on) this.#checkAllowed(capability, bits)
    const now = this.read(field)
    this.write(field, on ? now | bits : now & ~bits)
  }

  /** Throws `unsupported` if the processor does not allow execution controls. */
  requireControls(which: keyof typeof EXECUTION_CONTROLS, bits: number): void {
    this.#checkAllowed(EXECUTION_CONTROLS[which].capability, bits)
  }

  /** Returns which bits must be 1. */
  #checkAllowed(capability: number, wanted: number): number {
    const [mustBe1, mayBe1] = this.#processor.readMsr(capability)
    if ((wanted & ~mayBe1) === 0) return mustBe1
    throw new NorthbridgeError(
      'unsupported',
      `the processor does not allow VM control bits ${(wanted & ~mayBe1) >>> 0}`,
    )
  }

  #controls([low, high]: Word64): void {
    const control = (field: number, capability: number, wanted: number): void =>
      this.write(field, wanted | this.#checkAllowed(capability, wanted))
    control(
      VMCS.pinBasedControls,
      MSR.IA32_VMX_TRUE_PINBASED_CTLS,
      PIN_BASED.externalInterruptExiting | PIN_BASED.nmiExiting,
    )
    control(
      VMCS.primaryProcessorBasedControls,
      MSR.IA32_VMX_TRUE_PROCBASED_CTLS,
      PRIMARY.hltExiting | PRIMARY.unconditionalIoExiting | PRIMARY.activateSecondaryControls,
    )
    control(VMCS.secondaryProcessorBasedControls, MSR.IA32_VMX_PROCBASED_CTLS2, SECONDARY.enableEpt)
    control(
      VMCS.exitControls,
      MSR.IA32_VMX_TRUE_EXIT_CTLS,
      EXIT_CONTROLS.hostAddressSpaceSize | EXIT_CONTROLS.acknowledgeInterruptOnExit,
    )
    control(VMCS.entryControls, MSR.IA32_VMX_TRUE_ENTRY_CTLS, ENTRY_CONTROLS.ia32eModeGuest)
    for (const field of [
      VMCS.exceptionBitmap,
      VMCS.cr3TargetCount,
      VMCS.exitMsrStoreCount,
      VMCS.exitMsrLoadCount,
      VMCS.entryMsrLoadCount,
      VMCS.entryInterruptionInformation,
    ]) {
      this.write(field, 0)
    }
    this.write(VMCS.eptPointer, low, high)
  }

  #hostState(): void {
    this.write(VMCS.hostCr0, this.#fixed(MSR.IA32_VMX_CR0_FIXED0) | CR0_EXTENSION_TYPE)
    this.write(VMCS.hostCr4, this.#fixed(MSR.IA32_VMX_CR4_FIXED0) | CR4.PAE)
    this.write(VMCS.hostCsSelector, HOST_CODE)
    for (const field of [
      VMCS.hostSsSelector,
      VMCS.hostDsSelector,
      VMCS.hostEsSelector,
      VMCS.hostFsSelector,
      VMCS.hostGsSelector,
    ]) {
      this.write(field, HOST_DATA)
    }
    this.write(VMCS.hostTrSelector, HOST_TASK)
    for (const field of [
      VMCS.hostCr3,
      VMCS.hostFsBase,
      VMCS.hostGsBase,
      VMCS.hostTrBase,
      VMCS.hostGdtrBase,
      VMCS.hostIdtrBase,
      VMCS.hostSysenterCs,
      VMCS.hostSysenterEsp,
      VMCS.hostSysenterEip,
      VMCS.hostRsp,
      VMCS.hostRip,
    ]) {
      this.write(field, 0)
    }
  }

  /** A 64-bit guest with flat segments, interrupts off. The VMCS page was zero: the rest of the area stays 0. */
  #guestState(): void {
    this.write(VMCS.guestCr0, this.#fixed(MSR.IA32_VMX_CR0_FIXED0) | CR0_EXTENSION_TYPE)
    this.write(VMCS.guestCr4, this.#fixed(MSR.IA32_VMX_CR4_FIXED0) | CR4.PAE)
    this.write(VMCS.guestDr7, DR7_RESET)
    this.write(VMCS.guestRflags, RFLAGS.fixed1)
    this.write(VMCS.vmcsLinkPointer, ...NO_VMCS)
    this.write(VMCS.guestCsSelector, HOST_CODE)
    this.write(VMCS.guestCsLimit, FLAT_LIMIT)
    this.write(VMCS.guestCsAccessRights, TYPE.codeReadAccessed | S | P | L | G)
    for (const name of ['Ss', 'Ds', 'Es', 'Fs', 'Gs'] as const) {
      this.write(VMCS[`guest${name}Selector`], HOST_DATA)
      this.write(VMCS[`guest${name}Limit`], FLAT_LIMIT)
      this.write(VMCS[`guest${name}AccessRights`], TYPE.dataReadWriteAccessed | S | P | DB | G)
    }
    this.write(VMCS.guestLdtrAccessRights, unusable)
    this.write(VMCS.guestTrSelector, HOST_TASK)
    this.write(VMCS.guestTrLimit, TSS_LIMIT)
    this.write(VMCS.guestTrAccessRights, TYPE.busyTss | P)
    this.write(VMCS.guestGdtrLimit, TABLE_LIMIT)
    this.write(VMCS.guestIdtrLimit, TABLE_LIMIT)
  }

  /** Bits that VMX operation requires to be 1. */
  #fixed(msr: number): number {
    return this.#processor.readMsr(msr)[0]
  }
}

/** EPTP of a table: write-back, four levels, accessed and dirty flags if asked for. */
export function eptPointer(root: PageNumber, accessedDirty = false): Word64 {
  const words = new Uint32Array(2)
  set(EPTP.MT, words, EPT_MEMORY_TYPE.WB)
  set(EPTP.PWL, words, WALK_LENGTH)
  set(EPTP.AD, words, accessedDirty ? 1 : 0)
  set(EPTP.ADDR, words, root)
  return [words[0]!, words[1]!]
}
