/**
 * A logical processor of the host in VMX root operation: switched on for the first virtual processor pinned to it and
 * off after the last, as "Enabling and Entering VMX Operation" tells.
 */
import { assert, NorthbridgeError, opened, PAGE_SIZE, type PageNumber, type Saved } from '../core/index.ts'
import type { MachinePort, ProcessorPort } from '../platform/machine-port.ts'
import { FEATURE_CONTROL, MSR } from '../vmx/formats/msrs.ts'
import type { Operation, OperationResult, Word64 } from '../vmx/formats/operations.ts'
import type { HostPages } from './host-pages.ts'

/** Bit 31 of the first dword of a VMCS region. */
const SHADOW_VMCS = 0x8000_0000
/** CPUID.1:ECX.VMX */
const CPUID_VMX = 1 << 5

/** A guest that is in non-root mode. */
export interface Occupant {
  /** Ends its turn. */
  leave(): void
}

export class HostProcessor {
  readonly port: ProcessorPort
  /** Whose guest is in non-root mode here: nothing else runs before it has left. */
  occupant: Occupant | undefined = undefined
  readonly #machine: MachinePort
  readonly #pages: HostPages
  #users = 0
  #vmxonPage: PageNumber = 0
  /** Page of the current VMCS, -1 if none is. */
  #currentVmcs: PageNumber = -1

  constructor(machine: MachinePort, pages: HostPages, port: ProcessorPort) {
    this.#machine = machine
    this.#pages = pages
    this.port = port
  }

  get number(): number {
    return this.port.number
  }

  /** In VMX operation for some virtual processor. */
  get inUse(): boolean {
    return this.#users > 0
  }

  /** Pins one more virtual processor here. Throws `unsupported`, `outOfMemory`; then nothing has changed. */
  retain(): void {
    if (this.#users === 0) this.#vmxOn()
    this.#users++
  }

  release(): void {
    assert(this.#users > 0, 'a processor is released as often as it was retained')
    if (--this.#users === 0) this.#vmxOff()
  }

  #vmxOn(): void {
    if ((this.run({ op: 'cpuid', leaf: 1 }).ecx & CPUID_VMX) === 0) {
      throw new NorthbridgeError('unsupported', `logical processor ${this.number} has no VMX`)
    }
    const [control] = this.readMsr(MSR.IA32_FEATURE_CONTROL)
    const enabled = FEATURE_CONTROL.lock | FEATURE_CONTROL.vmxOutsideSmx
    if ((control & FEATURE_CONTROL.lock) === 0) {
      this.run({ op: 'wrmsr', msr: MSR.IA32_FEATURE_CONTROL, value: [enabled, 0] })
    } else if ((control & enabled) !== enabled) {
      throw new NorthbridgeError(
        'unsupported',
        `IA32_FEATURE_CONTROL of logical processor ${this.number} is locked with VMX disabled`,
      )
    }
    this.#vmxonPage = this.#pages.allocate()
    this.writeRevision(this.#vmxonPage)
    this.run({ op: 'vmxon', address: this.#vmxonPage * PAGE_SIZE })
  }

  #vmxOff(): void {
    this.run({ op: 'vmxoff' })
    this.#pages.free(this.#vmxonPage)
    this.#vmxonPage = 0
    this.#currentVmcs = -1
  }

  /** Puts the VMCS revision identifier, with the shadow-VMCS indicator or not, into the first dword of a region. */
  writeRevision(page: PageNumber, kind: 'ordinary' | 'shadow' = 'ordinary'): void {
    const [basic] = this.readMsr(MSR.IA32_VMX_BASIC)
    const indicator = kind === 'shadow' ? SHADOW_VMCS : 0
    this.#machine.writeDword(page * PAGE_SIZE, ((basic & ~SHADOW_VMCS) | indicator) >>> 0)
  }

  /** Makes a VMCS current. */
  load(vmcs: PageNumber): void {
    if (this.#currentVmcs === vmcs) return
    this.run({ op: 'vmptrld', address: vmcs * PAGE_SIZE })
    this.#currentVmcs = vmcs
  }

  /** Makes a VMCS inactive, not current and clear. */
  clear(vmcs: PageNumber): void {
    this.run({ op: 'vmclear', address: vmcs * PAGE_SIZE })
    if (this.#currentVmcs === vmcs) this.#currentVmcs = -1
  }

  /** Executes an operation of the hypervisor's own, which cannot fail. A guest that is here has to leave for it. */
  run(operation: Operation): OperationResult {
    this.occupant?.leave()
    const result = this.port.execute(operation)
    assert(
      result.outcome === 'done',
      `${operation.op} of the hypervisor succeeds (${result.outcome}, error ${result.error})`,
    )
    return result
  }

  readMsr(msr: number): Word64 {
    const { low, high } = this.run({ op: 'rdmsr', msr })
    return [low, high]
  }

  save(): Saved {
    return {
      version: 1,
      users: this.#users,
      vmxonPage: this.#vmxonPage,
      currentVmcs: this.#currentVmcs,
    }
  }

  /** The processor itself is in the state of that moment. */
  loadState(saved: Saved): void {
    const { users, vmxonPage, currentVmcs } = opened<Record<'users' | 'vmxonPage' | 'currentVmcs', number>>(
      saved,
      'a host processor under the hypervisor',
      1,
    )
    this.#users = users
    this.#vmxonPage = vmxonPage
    this.#currentVmcs = currentVmcs
  }
}
