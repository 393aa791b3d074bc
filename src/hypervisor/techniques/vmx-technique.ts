/**
 * Hardware-assisted virtualization with VT-x: the guest runs in non-root mode at its own privilege levels, under a real
 * VMCS; memory by shadow page tables, or by EPT.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import { PRIMARY } from '../../vmx/formats/controls.ts'
import {
  EPT_VIOLATION,
  EVENT_TYPE,
  eventTypeOf,
  INTERRUPTIBILITY,
  interruptionInformation,
} from '../../vmx/formats/events.ts'
import { EXIT_REASON, exitReasonName } from '../../vmx/formats/exit-reasons.ts'
import { FEATURE_CONTROL, MSR, PAGE_FAULT, RFLAGS } from '../../vmx/formats/msrs.ts'
import { LENGTH } from '../../vmx/formats/operation-lengths.ts'
import type { Operation, OperationResult } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import { ExtendedPageTable } from '../extended-page-table.ts'
import type { HostPages } from '../host-pages.ts'
import { emulateCpuid, emulateMemory, emulatePort, emulateRegisters, isLinear } from './emulation.ts'
import { GuestSpace } from './guest-space.ts'
import { Ledger } from './ledger.ts'
import { must, word } from './processor-boot.ts'
import { ShadowPaging } from './shadow-paging.ts'
import { addressOf, type GuestStart, OutcomeRecord, type Technique, type TechniqueHost } from './technique.ts'
import { VirtualBoard } from './virtual-board.ts'
import { CONTROL_FIELDS, vmcsFields } from './vmx-controls.ts'

const BLOCKING = INTERRUPTIBILITY.blockingBySti | INTERRUPTIBILITY.blockingByMovSs
const VALID = 0x8000_0000
const HALTED = 1
const VPID = 1
const VPID_SINGLE_CONTEXT = 1
/** What an operation that exited became: guest sees it done, or it is tried again at the next entry. */
const RETRY = undefined

export class VmxTechnique implements Technique {
  readonly name: 'vmxShadow' | 'vmxEpt'
  readonly ledger = new Ledger()
  readonly #host: TechniqueHost
  readonly #start: GuestStart
  readonly #space: GuestSpace
  readonly #board: VirtualBoard
  readonly #outcome = new OutcomeRecord()
  readonly #shadow: ShadowPaging | undefined
  #ept: ExtendedPageTable | undefined
  /** CR3 of the guest, while shadow tables stand in for its own. */
  #cr3: number
  #inGuest = false
  #launched = false
  /** An event to inject again, because its delivery was interrupted; or a fault to reflect. */
  #injection: { readonly information: number; readonly error: number; readonly length: number } | undefined

  constructor(host: TechniqueHost, start: GuestStart, mmu: 'shadow' | 'ept') {
    this.name = mmu === 'ept' ? 'vmxEpt' : 'vmxShadow'
    this.#host = host
    this.#start = start
    this.#space = new GuestSpace(host)
    this.#board = new VirtualBoard(host.machine)
    this.#cr3 = start.cr3
    if (mmu === 'ept') return
    const options = { everythingUser: false, hole: undefined }
    this.#shadow = new ShadowPaging(host, this.#space, this.ledger, options, () => this.#flush())
  }

  #run(operation: Operation): OperationResult {
    return must(this.#host.processor, operation)
  }

  #read(field: VmcsFieldName): number {
    return this.#run({ op: 'vmread', field: VMCS[field] }).low
  }

  #write(field: VmcsFieldName, low: number, high = 0): void {
    this.#run({ op: 'vmwrite', field: VMCS[field], value: word(low, high) })
  }

  /** Without VPIDs, entries and exits forget cached translations anyway. */
  #flush(): void {
    if (!this.#host.features.taggedTlb || !this.#launched) return
    this.#run({ op: 'invvpid', type: VPID_SINGLE_CONTEXT, vpid: word(VPID) })
  }

  start(): void {
    const { machine } = this.#host
    this.#run(ENABLE_APIC)
    const enabled = FEATURE_CONTROL.lock | FEATURE_CONTROL.vmxOutsideSmx
    this.#run({ op: 'wrmsr', msr: MSR.IA32_FEATURE_CONTROL, value: word(enabled) })
    const revision = this.#run({ op: 'rdmsr', msr: MSR.IA32_VMX_BASIC }).low & 0x7fff_ffff
    const [vmxon, vmcs] = [this.#host.allocate(), this.#host.allocate()]
    for (const page of [vmxon, vmcs]) machine.writeDword(addressOf(page), revision)
    this.#run({ op: 'vmxon', address: addressOf(vmxon) })
    this.#run({ op: 'vmclear', address: addressOf(vmcs) })
    this.#run({ op: 'vmptrld', address: addressOf(vmcs) })
    if (this.name === 'vmxEpt') this.#buildEpt()
    const plan = {
      host: this.#host,
      start: this.#start,
      ept: this.name === 'vmxEpt',
      eptRoot: this.#ept?.root ?? 0,
      guestCr3: this.#shadow?.root(this.#start.cr3) ?? this.#start.cr3,
    }
    for (const { field, capability, wanted } of CONTROL_FIELDS) {
      this.#write(field, wanted(plan) | this.#run({ op: 'rdmsr', msr: capability }).low)
    }
    for (const [field, low, high] of vmcsFields(plan)) this.#write(field, low, high)
    // What LTR of the guest's boot code would have left in its descriptor.
    const descriptor = this.#start.gdt.base + (this.#start.task & ~7) + 4
    this.#space.write(descriptor, this.#space.read(descriptor) | 0x200)
  }

  #buildEpt(): void {
    const pages = { allocate: () => this.#host.allocate() } as HostPages
    this.#ept = new ExtendedPageTable(this.#host.machine, pages)
  }

  execute(operation: Operation): OutcomeRecord {
    const { processor } = this.#host
    for (;;) {
      if (!this.#inGuest) {
        const entered = this.#enter()
        if (entered !== RETRY) return entered
        if (!this.#inGuest) continue
      }
      const result = processor.execute(operation)
      switch (result.outcome) {
        case 'done':
          this.ledger.count('nativeOperation')
          return this.#outcome.copy(result)
        case 'exception':
          return this.#outcome.event(result.vector, result.error)
        case 'halted':
          return this.#outcome.end('halted')
        case 'vmExit': {
          this.#inGuest = false
          const answer = this.#answer(operation)
          if (answer !== RETRY) return answer
          break
        }
        default:
          return this.#outcome.end('failed')
      }
    }
  }

  /** VM entry with what is to be injected. An event that was delivered is the outcome. */
  #enter(): OutcomeRecord | undefined {
    const injected = this.#prepareInjection()
    const result = this.#host.processor.execute({ op: this.#launched ? 'vmresume' : 'vmlaunch' })
    if (result.outcome === 'vmExit') {
      this.#launched = true
      this.#rememberVectoring()
      return this.#answer(undefined)
    }
    if (result.outcome !== 'done' && result.outcome !== 'exception') return this.#outcome.end('failed')
    this.#launched = true
    this.#inGuest = true
    if (!injected) return RETRY
    const error = this.#injectedError
    return this.#outcome.event(result.vector, error)
  }

  #injectedError = 0

  #prepareInjection(): boolean {
    const again = this.#injection
    this.#injection = undefined
    if (again !== undefined) {
      this.ledger.count('injectedEvent', `vector ${again.information & 0xff}`)
      this.#injectedError = again.error
      this.#write('entryInterruptionInformation', again.information)
      this.#write('entryExceptionErrorCode', again.error)
      this.#write('entryInstructionLength', again.length)
      return true
    }
    const vector = this.#board.apic.deliverable
    const primary = this.#read('primaryProcessorBasedControls')
    const open =
      (this.#read('guestRflags') & RFLAGS.IF) !== 0 &&
      (this.#read('guestInterruptibilityState') & BLOCKING) === 0
    const wantsWindow = vector >= 0 && !open
    const hasWindow = (primary & PRIMARY.interruptWindowExiting) !== 0
    if (wantsWindow !== hasWindow) {
      this.#write('primaryProcessorBasedControls', primary ^ PRIMARY.interruptWindowExiting)
    }
    if (vector < 0 || !open) return false
    this.#board.apic.acknowledge(vector)
    this.#injectedError = 0
    this.ledger.count('injectedEvent', 'interrupt')
    this.#write('entryInterruptionInformation', interruptionInformation(EVENT_TYPE.externalInterrupt, vector))
    return true
  }

  /** "Information for VM Exits During Event Delivery": what was being delivered is injected again. */
  #rememberVectoring(): void {
    const information = this.#read('idtVectoringInformation')
    if ((information & VALID) === 0) return
    // A page fault of the delivery has left RF set; in the event's own image only a fault has it.
    if (eventTypeOf(information) !== EVENT_TYPE.hardwareException) {
      this.#write('guestRflags', this.#read('guestRflags') & ~RFLAGS.RF)
    }
    this.#injection = {
      information: (information & ~(1 << 12)) >>> 0,
      error: this.#read('idtVectoringErrorCode'),
      length: this.#read('exitInstructionLength'),
    }
  }

  /** Answers the VM exit. `operation` is what the guest was about to execute; undefined during an injection. */
  #answer(operation: Operation | undefined): OutcomeRecord | undefined {
    const reason = this.#read('exitReason')
    this.ledger.count('exit', this.#cause(reason))
    switch (reason) {
      case EXIT_REASON.externalInterrupt:
        this.#board.apic.accept(this.#read('exitInterruptionInformation') & 0xff)
        this.#run({ op: 'write', address: 0xfee0_00b0, width: 4, value: word(0) })
        return RETRY
      case EXIT_REASON.interruptWindow:
        return RETRY
      case EXIT_REASON.exceptionOrNmi:
        this.#rememberVectoring()
        return this.#pageFault(operation)
      case EXIT_REASON.eptViolation:
        this.#rememberVectoring()
        return this.#eptViolation(operation)
      case EXIT_REASON.tripleFault:
        return this.#outcome.end('failed')
      default:
        return operation === undefined ? this.#outcome.end('failed') : this.#emulate(operation)
    }
  }

  #cause(reason: number): string {
    const name = exitReasonName(reason) ?? `reason ${reason}`
    return reason === EXIT_REASON.exceptionOrNmi ? 'pageFault' : name
  }

  #pageFault(operation: Operation | undefined): OutcomeRecord | undefined {
    const qualification = this.#run({ op: 'vmread', field: VMCS.exitQualification })
    const [low, high] = [qualification.low, qualification.high]
    const error = this.#read('exitInterruptionErrorCode')
    const access = { write: (error & PAGE_FAULT.write) !== 0, user: (error & PAGE_FAULT.user) !== 0 }
    const state = { cr3: this.#cr3, cr0: this.#read('guestCr0') }
    const fault = this.#shadow!.fault(state, low, high, access)
    switch (fault.kind) {
      case 'guest': {
        this.#run({ op: 'movToCr', cr: 2, value: word(low, high) })
        const information = interruptionInformation(EVENT_TYPE.hardwareException, 14, true)
        this.#injection = { information, error: fault.error, length: 0 }
        return RETRY
      }
      case 'registers':
        return this.#registers(operation, fault.address)
      case 'traced':
        return this.#tracedWrite(operation, fault.address)
      default:
        return RETRY
    }
  }

  #registers(operation: Operation | undefined, address: number): OutcomeRecord | undefined {
    if (operation === undefined || !isLinear(operation)) return this.#outcome.end('failed')
    this.ledger.count('emulatedOperation', 'registers')
    this.#skip(operation)
    return emulateRegisters(operation, address, this.#board, this.#outcome)
  }

  #tracedWrite(operation: Operation | undefined, address: number): OutcomeRecord | undefined {
    if (operation === undefined || !isLinear(operation)) return this.#outcome.end('failed')
    this.ledger.count('tracedWrite')
    emulateMemory(operation, address, this.#space, this.#outcome)
    this.#shadow!.entryWritten(address)
    this.#skip(operation)
    return this.#outcome.done()
  }

  /** First touch of a guest page; or an access to registers. */
  #eptViolation(operation: Operation | undefined): OutcomeRecord | undefined {
    const physical = this.#run({ op: 'vmread', field: VMCS.guestPhysicalAddress })
    const address = physical.low + physical.high * 2 ** 32
    const page = Math.floor(address / PAGE_SIZE)
    const hostPage = this.#space.hostPage(page)
    if (hostPage >= 0) {
      this.#ept!.map(page, hostPage, 1, 'WB')
      return RETRY
    }
    const final = (this.#read('exitQualification') & EPT_VIOLATION.finalTranslation) !== 0
    return final ? this.#registers(operation, address) : this.#outcome.end('failed')
  }

  #emulate(operation: Operation): OutcomeRecord | undefined {
    this.ledger.count('emulatedOperation', operation.op)
    const outcome = this.#outcome
    this.#advance()
    switch (operation.op) {
      case 'cpuid':
        return emulateCpuid(operation, this.#host.processor, outcome)
      case 'in':
      case 'out':
        return emulatePort(operation, this.#board, outcome)
      case 'hlt':
        this.#write('guestActivityState', HALTED)
        return outcome.end('halted')
      case 'movToCr':
        return this.#writeControl(operation)
      case 'movFromCr':
        return outcome.done(operation.cr === 8 ? this.#board.taskPriorityClass : this.#cr3)
      case 'invlpg':
        this.#flush()
        return outcome.done()
      case 'invd':
      case 'wbinvd':
      case 'pause':
        return outcome.done()
      case 'rdmsr':
      case 'wrmsr':
        return this.#msr(operation)
      default:
        return outcome.end('failed')
    }
  }

  #writeControl({ cr, value }: Extract<Operation, { op: 'movToCr' }>): OutcomeRecord {
    if (cr === 8) this.#board.taskPriorityClass = value[0]
    else if (cr === 3) {
      this.ledger.count('shadowSwitch')
      this.#cr3 = value[0]
      this.#write('guestCr3', this.#shadow!.root(value[0]))
      this.#flush()
    }
    return this.#outcome.done()
  }

  /** The MSRs of SYSENTER are part of the guest-state area. */
  #msr(operation: Extract<Operation, { op: 'rdmsr' | 'wrmsr' }>): OutcomeRecord | undefined {
    const field = MSR_FIELDS.get(operation.msr)
    if (field === undefined) {
      const information = interruptionInformation(EVENT_TYPE.hardwareException, 13, true)
      this.#injection = { information, error: 0, length: 0 }
      this.#write('guestRip', this.#read('guestRip') - this.#read('exitInstructionLength'))
      return RETRY
    }
    if (operation.op === 'wrmsr') {
      this.#write(field, ...operation.value)
      return this.#outcome.done()
    }
    const { low, high } = this.#run({ op: 'vmread', field: VMCS[field] })
    return this.#outcome.done(low, high)
  }

  /** Over the instruction that exited: its length is in the VMCS. */
  #advance(): void {
    this.#endInstruction(this.#read('exitInstructionLength'))
  }

  /** Over an instruction whose memory access was emulated: its length comes from decoding it. */
  #skip(operation: Operation): void {
    this.#endInstruction(LENGTH[operation.op])
  }

  #endInstruction(length: number): void {
    this.#write('guestRip', this.#read('guestRip') + length)
    this.#write('guestRflags', this.#read('guestRflags') & ~RFLAGS.RF)
    const blocking = this.#read('guestInterruptibilityState')
    if ((blocking & BLOCKING) !== 0) this.#write('guestInterruptibilityState', blocking & ~BLOCKING)
  }

  readGuest(address: number): number {
    return this.#space.read(address)
  }
}

/** The processor's own local APIC, spurious vector FFH. */
const ENABLE_APIC: Operation = { op: 'write', address: 0xfee0_00f0, width: 4, value: word(0x1ff) }

const MSR_FIELDS: ReadonlyMap<number, VmcsFieldName> = new Map([
  [MSR.IA32_SYSENTER_CS, 'guestSysenterCs'],
  [MSR.IA32_SYSENTER_ESP, 'guestSysenterEsp'],
  [MSR.IA32_SYSENTER_EIP, 'guestSysenterEip'],
])
