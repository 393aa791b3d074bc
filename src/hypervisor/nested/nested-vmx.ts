/**
 * VMX as a guest hypervisor (L1) finds it: VMX operation, its current vmcs12, its instructions, and which of L1 and its
 * guest (L2) the virtual processor runs. The hypervisor itself is L0.
 */
import { opened, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { SECONDARY } from '../../vmx/formats/controls.ts'
import { INVEPT, INVVPID } from '../../vmx/formats/ept.ts'
import { ACCESS_RIGHTS } from '../../vmx/formats/events.ts'
import { INSTRUCTION_ERROR } from '../../vmx/formats/instruction-errors.ts'
import { EXCEPTION, MSR, RFLAGS } from '../../vmx/formats/msrs.ts'
import type { Operation, OperationOf, Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, vmcsFieldType } from '../../vmx/formats/vmcs.ts'
import type { Answer } from '../exit-handling.ts'
import type { ExtendedPageTable } from '../extended-page-table.ts'
import type { HostPages } from '../host-pages.ts'
import type { HostProcessor } from '../host-processor.ts'
import { type GuestResult, guestResult } from '../types.ts'
import { eptPointer, type SavedVmcs, Vmcs } from '../vmcs.ts'
import { exposedCapability, exposedEptPointer } from './capabilities.ts'
import type { GuestWords } from './guest-words.ts'
import { FeatureControl } from './nested-msrs.ts'
import { type SavedShadow, ShadowEpt } from './shadow-ept.ts'
import { type SavedVmcsShadow, VmcsShadow } from './vmcs-shadow.ts'
import { secondaryControls, separateRegisters } from './vmcs02.ts'
import { HEADER, isField, VMCS12_REVISION, Vmcs12 } from './vmcs12.ts'

export type VmxOperation = OperationOf<
  | 'vmxon'
  | 'vmxoff'
  | 'vmclear'
  | 'vmptrld'
  | 'vmptrst'
  | 'vmread'
  | 'vmwrite'
  | 'vmlaunch'
  | 'vmresume'
  | 'invept'
  | 'invvpid'
>
const VMX_OPERATIONS: readonly string[] = [
  'vmxon',
  'vmxoff',
  'vmclear',
  'vmptrld',
  'vmptrst',
  'vmread',
  'vmwrite',
  'vmlaunch',
  'vmresume',
  'invept',
  'invvpid',
]
export const isVmxOperation = (operation: Operation): operation is VmxOperation =>
  VMX_OPERATIONS.includes(operation.op)

const NONE = -1
const SUCCEED = 0
/** VMfailInvalid whether or not there is a current VMCS. */
const FAIL_INVALID = -1
const CPUID_ADDRESS_WIDTH = 0x8000_0008
const ARITHMETIC = RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.OF

/** Pages for each virtual processor: vmcs02, scratch, EPT02; the shadow VMCS and its bitmaps. */
export const NESTED_PAGES = { always: 3, shadowing: 3 } as const

export type SavedNestedVmx = {
  readonly version: 3
  readonly inL2: boolean
  readonly shutdown: boolean
  readonly vmxonPointer: number
  /** Address of the current vmcs12, or -1. */
  readonly current: number
  readonly featureControl: number
  readonly lastVpid: number
  readonly vmcs02: SavedVmcs
  readonly scratch: SavedVmcs
  readonly ept: SavedShadow
  readonly shadow: SavedVmcsShadow | null
}

export class NestedVmx {
  /** The VMCS with which L1 runs, and the one with which L2 does. */
  readonly vmcs01: Vmcs
  readonly vmcs02: Vmcs
  /** Takes the place of vmcs02 where a VMCS is only checked. */
  readonly scratch: Vmcs
  readonly memory: GuestWords
  readonly ept: ShadowEpt
  /** Where VMCS shadowing is used for L1. */
  readonly shadow: VmcsShadow | undefined
  readonly featureControl = new FeatureControl()
  /** Stands for every VPID of L1's. The EPT tables tell virtual machines apart. */
  readonly vpid: number
  processor: HostProcessor
  inL2 = false
  /** L1 failed beyond what VMX can tell it: the virtual processor executes nothing any more. */
  shutdown = false
  #current: Vmcs12 | undefined
  #vmxonPointer = NONE
  /** VPID of L1 with which L2 ran last. */
  #lastVpid = 0
  readonly #ept01: ExtendedPageTable

  /** Throws `outOfMemory`, having taken nothing, or `unsupported`. */
  constructor(
    { machine, pages }: { readonly machine: MachinePort; readonly pages: HostPages },
    options: {
      processor: HostProcessor
      number: number
      vmcs01: Vmcs
      ept01: ExtendedPageTable
      memory: GuestWords
      vmcsShadowing: boolean
    },
    saved?: SavedNestedVmx,
  ) {
    this.processor = options.processor
    this.vmcs01 = options.vmcs01
    this.memory = options.memory
    this.vpid = options.number + 1
    this.#ept01 = options.ept01
    const taken: { free(): void }[] = []
    const take = <Resource extends { free(): void }>(make: () => Resource): Resource => {
      try {
        const resource = make()
        taken.push(resource)
        return resource
      } catch (error) {
        for (const one of taken) one.free()
        throw error
      }
    }
    this.vmcs02 = take(() => new Vmcs(this.processor, pages, saved?.vmcs02))
    this.scratch = take(() => new Vmcs(this.processor, pages, saved?.scratch))
    this.ept = take(() => new ShadowEpt(machine, pages, options.ept01, saved?.ept))
    const { vmcs01, processor } = options
    this.shadow = options.vmcsShadowing
      ? take(() => new VmcsShadow(machine, pages, vmcs01, processor, saved?.shadow ?? undefined))
      : undefined
    if (saved !== undefined) {
      this.#restore(saved)
      return
    }
    this.vmcs02.initialize(eptPointer(this.ept.root))
    separateRegisters(this.vmcs02, this.processor)
    separateRegisters(this.vmcs01, this.processor)
  }

  #restore(saved: SavedNestedVmx): void {
    opened(saved, 'VMX of a guest', 3)
    this.inL2 = saved.inL2
    this.shutdown = saved.shutdown
    this.#current = saved.current === NONE ? undefined : new Vmcs12(this.memory, saved.current)
    this.featureControl.value = saved.featureControl
    this.#vmxonPointer = saved.vmxonPointer
    this.#lastVpid = saved.lastVpid
  }

  /** The VMCS of whoever runs. */
  get active(): Vmcs {
    return this.inL2 ? this.vmcs02 : this.vmcs01
  }

  get vmxOn(): boolean {
    return this.#vmxonPointer !== NONE
  }

  /** The current vmcs12. */
  get current(): Vmcs12 | undefined {
    return this.#current
  }

  #setCurrent(vmcs12: Vmcs12 | undefined): void {
    this.collect()
    this.#current = vmcs12
    this.shadow?.link(vmcs12)
  }

  /** What L1 wrote to its current VMCS without a VM exit stands in vmcs12 from here on. */
  collect(): void {
    if (this.#current !== undefined) this.shadow?.collect(this.#current)
  }

  /** A capability MSR of L1. */
  capability(msr: number): Word64 | undefined {
    return msr >= MSR.IA32_VMX_BASIC && msr <= MSR.IA32_VMX_TRUE_ENTRY_CTLS
      ? exposedCapability(msr, this.processor.readMsr(msr))
      : undefined
  }

  /** MAXPHYADDR. */
  get addressWidth(): number {
    return this.processor.run({ op: 'cpuid', leaf: CPUID_ADDRESS_WIDTH }).eax & 0xff
  }

  /** Page of the highest table with which L2 runs: its shadow, or without EPT in L1 simply that of L1. */
  eptRoot(vmcs12: Vmcs12): PageNumber {
    if ((secondaryControls(vmcs12) & SECONDARY.enableEpt) === 0) return this.#ept01.root
    this.ept.shadow(this.eptRoot12(vmcs12), this.processor)
    return this.ept.root
  }

  eptRoot12(vmcs12: Vmcs12): PageNumber {
    const [low, high] = vmcs12.read64(VMCS.eptPointer)
    return high * 2 ** 20 + (low >>> 12)
  }

  /** L1 gave L2 another VPID: translations of the one before must not be found. */
  noteVpid(vmcs12: Vmcs12): void {
    const vpid = vmcs12.read(VMCS.virtualProcessorIdentifier)
    if (vpid !== this.#lastVpid) this.#invalidateVpid()
    this.#lastVpid = vpid
  }

  #invalidateVpid(): void {
    this.processor.run({ op: 'invvpid', type: INVVPID.singleContext, vpid: [this.vpid, 0] })
  }

  /** The fault of a VMX instruction of L1 that comes before anything it does. */
  refusal(operation: VmxOperation): Answer | undefined {
    const by = 'nestedVmx'
    const enables = operation.op === 'vmxon'
    if (!enables && !this.vmxOn) return { by, exception: { vector: EXCEPTION.UD, error: undefined } }
    const privileged = (this.vmcs01.read(VMCS.guestSsAccessRights) & ACCESS_RIGHTS.DPL) === 0
    const allowed = privileged && (!enables || this.vmxOn || this.featureControl.enablesVmx)
    return allowed ? undefined : { by, exception: { vector: EXCEPTION.GP, error: 0 } }
  }

  /**
   * A VMX instruction of L1; VMLAUNCH and VMRESUME only where there is no current VMCS. The result has the answer as the
   * processor would give it, and the flags of L1 tell it too.
   */
  instruction(operation: VmxOperation): Answer {
    return this.refusal(operation) ?? { by: 'nestedVmx', result: this.#carryOut(operation) }
  }

  #carryOut(operation: VmxOperation): GuestResult {
    switch (operation.op) {
      case 'vmread':
        return this.#vmread(operation.field)
      case 'vmptrst': {
        const address = this.current?.address
        const [low, high] = address === undefined ? [0xffff_ffff, 0xffff_ffff] : split(address)
        this.#setFlags(0)
        return guestResult('done', { low, high })
      }
      default:
        return this.conclude(this.#error(operation))
    }
  }

  #error(operation: VmxOperation): number {
    switch (operation.op) {
      case 'vmxon':
        return this.#vmxon(operation.address)
      case 'vmxoff':
        this.#setCurrent(undefined)
        this.#vmxonPointer = NONE
        this.shadow?.enable(false)
        return SUCCEED
      case 'vmclear':
        return this.#vmclear(operation.address)
      case 'vmptrld':
        return this.#vmptrld(operation.address)
      case 'vmwrite':
        return this.#vmwrite(operation.field, operation.value)
      case 'invept':
      case 'invvpid':
        return this.#invalidate(operation)
      default:
        return FAIL_INVALID
    }
  }

  #isRegion(address: number): boolean {
    return address % PAGE_SIZE === 0 && address < 2 ** this.addressWidth
  }

  #revision(address: number): number {
    return this.memory.read(address + HEADER.revision * 4)
  }

  #vmxon(address: number): number {
    if (this.vmxOn) return INSTRUCTION_ERROR.vmxonInRoot
    if (!this.#isRegion(address) || this.#revision(address) !== VMCS12_REVISION) return FAIL_INVALID
    this.#vmxonPointer = address
    this.shadow?.enable(true)
    return SUCCEED
  }

  #vmclear(address: number): number {
    if (!this.#isRegion(address)) return INSTRUCTION_ERROR.vmclearInvalidAddress
    if (address === this.#vmxonPointer) return INSTRUCTION_ERROR.vmclearVmxonPointer
    if (address === this.current?.address) this.#setCurrent(undefined)
    new Vmcs12(this.memory, address).launched = false
    return SUCCEED
  }

  #vmptrld(address: number): number {
    if (!this.#isRegion(address)) return INSTRUCTION_ERROR.vmptrldInvalidAddress
    if (address === this.#vmxonPointer) return INSTRUCTION_ERROR.vmptrldVmxonPointer
    if (this.#revision(address) !== VMCS12_REVISION) return INSTRUCTION_ERROR.vmptrldIncorrectRevision
    this.#setCurrent(new Vmcs12(this.memory, address))
    return SUCCEED
  }

  #vmread(field: number): GuestResult {
    if (this.current === undefined) return this.conclude(FAIL_INVALID)
    if (!isField(field)) return this.conclude(INSTRUCTION_ERROR.unsupportedComponent)
    const [low, high] = this.current.read64(field)
    this.#setFlags(0)
    return guestResult('done', { low, high })
  }

  #vmwrite(field: number, [low, high]: Word64): number {
    if (this.current === undefined) return FAIL_INVALID
    if (!isField(field)) return INSTRUCTION_ERROR.unsupportedComponent
    if (vmcsFieldType(field) === 'exitInformation') return INSTRUCTION_ERROR.vmwriteReadOnly
    this.current.write(field, low, high)
    return SUCCEED
  }

  /** The processor judges the operands; what L1 asks to drop is dropped, and more. */
  #invalidate(operation: OperationOf<'invept' | 'invvpid'>): number {
    const hidden =
      operation.op === 'invept' &&
      operation.type === INVEPT.singleContext &&
      !exposedEptPointer(operation.eptp?.[0] ?? 0)
    if (hidden) return INSTRUCTION_ERROR.invalidInvalidationOperand
    const { outcome, error } = this.processor.port.execute(operation)
    if (outcome !== 'done') return error
    if (operation.op === 'invept') this.ept.drop(this.processor)
    this.#invalidateVpid()
    return SUCCEED
  }

  /** Whether L2's link pointer names a VMCS that it may name, or none. */
  isLinkValid(vmcs12: Vmcs12): boolean {
    const [low, high] = vmcs12.read64(VMCS.vmcsLinkPointer)
    if (low === 0xffff_ffff && high === 0xffff_ffff) return true
    const address = high * 2 ** 32 + low
    if (address === vmcs12.address) return false
    return this.#isRegion(address) && this.#revision(address) === VMCS12_REVISION
  }

  /** "Conventions": VMsucceed, VMfailInvalid, VMfailValid. */
  conclude(error: number): GuestResult {
    if (error === SUCCEED) {
      this.#setFlags(0)
      return guestResult('done')
    }
    const valid = error !== FAIL_INVALID && this.current !== undefined
    this.#setFlags(valid ? RFLAGS.ZF : RFLAGS.CF)
    if (!valid) return guestResult('vmFailInvalid')
    this.current!.write(VMCS.instructionError, error)
    return guestResult('vmFailValid', { error })
  }

  #setFlags(flags: number): void {
    const now = this.vmcs01.read(VMCS.guestRflags)
    this.vmcs01.write(VMCS.guestRflags, (now & ~ARITHMETIC) | flags)
  }

  moveTo(processor: HostProcessor): void {
    this.ept.drop(this.processor)
    this.vmcs02.moveTo(processor)
    this.scratch.moveTo(processor)
    this.shadow?.moveTo(processor)
    this.processor = processor
    this.#invalidateVpid()
  }

  free(): void {
    this.ept.free()
    this.vmcs02.free()
    this.scratch.free()
    this.shadow?.free()
  }

  save(): SavedNestedVmx {
    return {
      version: 3,
      inL2: this.inL2,
      shutdown: this.shutdown,
      vmxonPointer: this.#vmxonPointer,
      current: this.current?.address ?? NONE,
      featureControl: this.featureControl.value,
      lastVpid: this.#lastVpid,
      vmcs02: this.vmcs02.save(),
      scratch: this.scratch.save(),
      ept: this.ept.save(),
      shadow: this.shadow?.save() ?? null,
    }
  }
}

const split = (address: number): Word64 => [address >>> 0, Math.floor(address / 2 ** 32)]
