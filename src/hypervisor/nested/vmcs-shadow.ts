/**
 * "VMCS Shadowing" for L1: the fields of its current vmcs12 that a hypervisor uses at every exit of its guest stand in a
 * shadow VMCS too, which the processor reads and writes when L1 executes VMREAD and VMWRITE. Those then do not exit.
 * While L1 runs, what it wrote is in the shadow only.
 */
import { PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { SECONDARY } from '../../vmx/formats/controls.ts'
import { MSR } from '../../vmx/formats/msrs.ts'
import { NO_VMCS, VMCS, type VmcsFieldName, vmcsFieldWidth } from '../../vmx/formats/vmcs.ts'
import type { HostPages } from '../host-pages.ts'
import type { HostProcessor } from '../host-processor.ts'
import { type SavedVmcs, Vmcs } from '../vmcs.ts'
import type { Vmcs12 } from './vmcs12.ts'

/** IA32_VMX_MISC: VMWRITE may write VM-exit information, so that the hypervisor can put it into a shadow. */
const MISC_VMWRITE_ANY_FIELD = 1 << 29
const ALL_ONES = 0xffff_ffff
/** One for VMREAD and one for VMWRITE: a page each, with a bit for each encoding up to 7FFFH. */
const BITMAPS = 2

/** What L1 reads at an exit. Not the VM-instruction error: it changes outside exits of L2, and is seldom read. */
const READ: readonly VmcsFieldName[] = [
  'exitReason',
  'exitQualification',
  'exitInterruptionInformation',
  'exitInterruptionErrorCode',
  'idtVectoringInformation',
  'idtVectoringErrorCode',
  'exitInstructionLength',
  'exitInstructionInformation',
  'guestLinearAddress',
  'guestPhysicalAddress',
]
/** What it reads and writes, to move its guest on and to give it events. */
const READ_AND_WRITTEN: readonly VmcsFieldName[] = [
  'guestRip',
  'guestRsp',
  'guestRflags',
  'guestCr0',
  'guestCr3',
  'guestCr4',
  'guestCsSelector',
  'guestCsAccessRights',
  'guestSsAccessRights',
  'guestInterruptibilityState',
  'primaryProcessorBasedControls',
  'exceptionBitmap',
  'cr0ReadShadow',
  'cr4ReadShadow',
  'entryInterruptionInformation',
  'entryExceptionErrorCode',
  'entryInstructionLength',
]

export type SavedVmcsShadow = {
  /** VM-exit information is shadowed too. */
  readonly anyField: boolean
  readonly shadow: SavedVmcs
  readonly readBitmap: PageNumber
  readonly writeBitmap: PageNumber
}

export class VmcsShadow {
  readonly #vmcs01: Vmcs
  readonly #shadow: Vmcs
  readonly #machine: MachinePort
  readonly #pages: HostPages
  readonly #readBitmap: PageNumber
  readonly #writeBitmap: PageNumber
  readonly #anyField: boolean
  readonly #shadowed: readonly VmcsFieldName[]

  /** Throws `outOfMemory`, or `unsupported` where the processor has no VMCS shadowing; then nothing is taken. */
  constructor(
    machine: MachinePort,
    pages: HostPages,
    vmcs01: Vmcs,
    processor: HostProcessor,
    saved?: SavedVmcsShadow,
  ) {
    if (saved === undefined) vmcs01.requireControls('secondary', SECONDARY.vmcsShadowing)
    this.#machine = machine
    this.#pages = pages
    this.#vmcs01 = vmcs01
    this.#anyField =
      saved?.anyField ?? (processor.readMsr(MSR.IA32_VMX_MISC)[0] & MISC_VMWRITE_ANY_FIELD) !== 0
    this.#shadowed = this.#anyField ? [...READ, ...READ_AND_WRITTEN] : READ_AND_WRITTEN
    this.#shadow = new Vmcs(processor, pages, saved?.shadow, 'shadow')
    if (saved !== undefined) {
      this.#readBitmap = saved.readBitmap
      this.#writeBitmap = saved.writeBitmap
      return
    }
    const taken: PageNumber[] = []
    try {
      for (let i = 0; i < BITMAPS; i++) taken.push(pages.allocate())
    } catch (error) {
      for (const page of taken) pages.free(page)
      this.#shadow.free()
      throw error
    }
    this.#readBitmap = taken[0]!
    this.#writeBitmap = taken[1]!
    this.#permit(this.#readBitmap, this.#shadowed)
    this.#permit(this.#writeBitmap, READ_AND_WRITTEN)
    for (const [field, page] of [
      [VMCS.vmreadBitmapAddress, this.#readBitmap],
      [VMCS.vmwriteBitmapAddress, this.#writeBitmap],
    ] as const) {
      vmcs01.write(field, ...addressOf(page))
    }
  }

  /** A bitmap in which every encoding exits but those of some fields. */
  #permit(bitmap: PageNumber, names: readonly VmcsFieldName[]): void {
    const words = new Uint32Array(PAGE_SIZE / 4).fill(ALL_ONES)
    const clear = (encoding: number): void => {
      words[encoding >>> 5]! &= ~(1 << (encoding & 31))
    }
    for (const name of names) {
      clear(VMCS[name])
      if (vmcsFieldWidth(VMCS[name]) === 64) clear(VMCS[name] + 1)
    }
    for (const [i, word] of words.entries()) this.#machine.writeDword(bitmap * PAGE_SIZE + i * 4, word)
  }

  /** L1 is in VMX operation, or left it: then VMREAD and VMWRITE must exit, to be #UD. */
  enable(on: boolean): void {
    this.#vmcs01.setControls('secondary', SECONDARY.vmcsShadowing, on)
    if (on) this.link(undefined)
  }

  /** L1 made a vmcs12 current. Without one the processor itself lets L1's accesses fail, as it must. */
  link(vmcs12: Vmcs12 | undefined): void {
    if (vmcs12 !== undefined) this.fill(vmcs12)
    this.#vmcs01.write(
      VMCS.vmcsLinkPointer,
      ...(vmcs12 === undefined ? NO_VMCS : addressOf(this.#shadow.page)),
    )
  }

  /** From vmcs12 to the shadow, before L1 runs. */
  fill(vmcs12: Vmcs12): void {
    for (const name of this.#shadowed) this.#shadow.write(VMCS[name], ...vmcs12.read64(VMCS[name]))
    this.#shadow.deactivate()
  }

  /** What L1 wrote goes to vmcs12, before anything reads it there. */
  collect(vmcs12: Vmcs12): void {
    for (const name of READ_AND_WRITTEN) vmcs12.write(VMCS[name], ...this.#shadow.read64(VMCS[name]))
    this.#shadow.deactivate()
  }

  moveTo(processor: HostProcessor): void {
    this.#shadow.moveTo(processor)
  }

  free(): void {
    this.#shadow.free()
    this.#pages.free(this.#readBitmap)
    this.#pages.free(this.#writeBitmap)
  }

  save(): SavedVmcsShadow {
    return {
      anyField: this.#anyField,
      shadow: this.#shadow.save(),
      readBitmap: this.#readBitmap,
      writeBitmap: this.#writeBitmap,
    }
  }
}

const addressOf = (page: PageNumber): [number, number] => {
  const address = page * PAGE_SIZE
  return [address >>> 0, Math.floor(address / 2 ** 32)]
}
