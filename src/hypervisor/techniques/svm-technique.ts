/**
 * Hardware-assisted virtualization with AMD-V: a VMCB in memory, intercepts instead of controls, an ASID; memory by shadow
 * page tables, or by nested ones.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import {
  EFER_SVME,
  INTERCEPT1,
  NESTED_FAULT,
  SVM_EVENT,
  SVM_EXIT,
  svmExitName,
  TLB_CONTROL,
  VIRTUAL_INTERRUPT,
  VMCB,
} from '../../vmx/formats/amd-v.ts'
import { EVENT_TYPE } from '../../vmx/formats/events.ts'
import { EXCEPTION, MSR, PAGE_FAULT, RFLAGS } from '../../vmx/formats/msrs.ts'
import { LENGTH } from '../../vmx/formats/operation-lengths.ts'
import type { Operation, OperationResult } from '../../vmx/formats/operations.ts'
import { emulateCpuid, emulateMemory, emulatePort, emulateRegisters, isLinear } from './emulation.ts'
import { ENTRY, GuestSpace } from './guest-space.ts'
import { Ledger } from './ledger.ts'
import { must, word } from './processor-boot.ts'
import { RingMonitor } from './ring-monitor.ts'
import { ShadowPaging } from './shadow-paging.ts'
import { addressOf, type GuestStart, OutcomeRecord, type Technique, type TechniqueHost } from './technique.ts'
import { VirtualBoard } from './virtual-board.ts'
import { Vmcb } from './vmcb.ts'

/** The operation is to be tried again. */
const RETRY = undefined
/** IOPM: 12 KiB; MSRPM: 8 KiB. */
const PERMISSION_PAGES = 5
const NESTED_RIGHTS = ENTRY.P | ENTRY.W | ENTRY.U

export class SvmTechnique implements Technique {
  readonly name: 'svmShadow' | 'svmNested'
  readonly ledger = new Ledger()
  readonly #host: TechniqueHost
  readonly #start: GuestStart
  readonly #space: GuestSpace
  readonly #board: VirtualBoard
  readonly #outcome = new OutcomeRecord()
  readonly #shadow: ShadowPaging | undefined
  readonly #vmcb: Vmcb
  readonly #monitor: RingMonitor
  /** Host pages of the nested tables' root. */
  #nestedRoot = 0
  #cr3: number
  #inGuest = false
  #halted = false
  #injection: { readonly event: number; readonly error: number } | undefined

  constructor(host: TechniqueHost, start: GuestStart, mmu: 'shadow' | 'nested') {
    this.name = mmu === 'nested' ? 'svmNested' : 'svmShadow'
    this.#host = host
    this.#start = start
    this.#space = new GuestSpace(host)
    this.#board = new VirtualBoard(host.machine)
    this.#vmcb = new Vmcb(host)
    this.#monitor = new RingMonitor({ ...host, bits: 64 }, { kernelRing: 3, openVectors: [] })
    this.#cr3 = start.cr3
    if (mmu === 'nested') return
    const options = { everythingUser: false, hole: undefined }
    this.#shadow = new ShadowPaging(host, this.#space, this.ledger, options, () => this.#flush())
  }

  #run(operation: Operation): OperationResult {
    return must(this.#host.processor, operation)
  }

  /** Cached translations of the ASID are forgotten at the next VMRUN. */
  #flush(): void {
    this.#vmcb.write(VMCB.tlbControl, TLB_CONTROL.thisAsid)
  }

  start(): void {
    const { machine } = this.#host
    const root = this.#host.allocate()
    const { index, entry } = this.#monitor.hole
    machine.writeDword(addressOf(root) + index * 8, entry)
    this.#monitor.boot(addressOf(root))
    const efer = this.#run({ op: 'rdmsr', msr: MSR.IA32_EFER }).low
    this.#run({ op: 'wrmsr', msr: MSR.IA32_EFER, value: word(efer | EFER_SVME) })
    const permissions = this.#host.allocate()
    for (let i = 1; i < PERMISSION_PAGES; i++) this.#host.allocate()
    for (let i = 0; i < PERMISSION_PAGES * 1024; i++) {
      machine.writeDword(addressOf(permissions) + i * 4, 0xffff_ffff)
    }
    const nested = this.#shadow === undefined
    if (nested) this.#nestedRoot = this.#host.allocate()
    const tables = nested ? addressOf(this.#nestedRoot) : this.#shadow.root(this.#cr3)
    this.#vmcb.initialize(this.#start, nested, tables, permissions)
    const descriptor = this.#start.gdt.base + (this.#start.task & ~7) + 4
    this.#space.write(descriptor, this.#space.read(descriptor) | 0x200)
    this.#run({ op: 'vmload', address: addressOf(this.#vmcb.page) })
  }

  execute(operation: Operation): OutcomeRecord {
    const { processor } = this.#host
    for (;;) {
      if (!this.#inGuest) {
        if (this.#halted && !this.#wakes()) return this.#outcome.end('halted')
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

  /** A halted guest waits in the hypervisor, which takes the machine's interrupts. */
  #wakes(): boolean {
    this.#takeInterrupts()
    const wakes = this.#board.apic.deliverable >= 0 && (this.#vmcb.read(VMCB.rflags) & RFLAGS.IF) !== 0
    if (wakes) this.#halted = false
    return wakes
  }

  /** STGI and STI: what waited is taken through the hypervisor's own IDT. */
  #takeInterrupts(): void {
    this.#run({ op: 'stgi' })
    this.#run({ op: 'sti' })
    this.#run({ op: 'nop' })
    for (;;) {
      const vector = this.#host.processor.takeInterrupt()
      if (vector < 0) break
      this.#board.apic.accept(vector)
      this.#monitor.endInterrupt()
      this.#run({ op: 'sti' })
      this.#run({ op: 'nop' })
    }
  }

  #enter(): OutcomeRecord | undefined {
    const injected = this.#prepareInjection()
    this.#run({ op: 'sti' })
    const result = this.#host.processor.execute({ op: 'vmrun', address: addressOf(this.#vmcb.page) })
    this.#vmcb.write(VMCB.tlbControl, this.#host.features.taggedTlb ? TLB_CONTROL.none : TLB_CONTROL.all)
    if (result.outcome === 'vmExit') return this.#answer(undefined)
    if (result.outcome !== 'done') return this.#outcome.end('failed')
    this.#inGuest = true
    return injected === undefined ? RETRY : this.#outcome.event(injected.vector, injected.error)
  }

  #prepareInjection(): { readonly vector: number; readonly error: number } | undefined {
    const again = this.#injection
    this.#injection = undefined
    if (again !== undefined) {
      this.ledger.count('injectedEvent', `vector ${again.event & 0xff}`)
      this.#vmcb.write(VMCB.eventInjection, again.event, again.error)
      return { vector: again.event & 0xff, error: again.error }
    }
    const vector = this.#board.apic.deliverable
    const open =
      (this.#vmcb.read(VMCB.rflags) & RFLAGS.IF) !== 0 && (this.#vmcb.read(VMCB.interruptShadow) & 1) === 0
    this.#window(vector >= 0 && !open)
    if (vector < 0 || !open) return undefined
    this.#board.apic.acknowledge(vector)
    this.ledger.count('injectedEvent', 'interrupt')
    this.#vmcb.write(VMCB.eventInjection, SVM_EVENT.valid | vector, 0)
    return { vector, error: 0 }
  }

  /** A virtual interrupt request whose intercept says when the guest could take one. */
  #window(wanted: boolean): void {
    const bit = 1 << INTERCEPT1.vintr
    const intercepts = this.#vmcb.read(VMCB.interceptMisc1)
    const { masking, irq } = VIRTUAL_INTERRUPT
    if (wanted === ((intercepts & bit) !== 0)) return
    this.#vmcb.write(VMCB.interceptMisc1, wanted ? intercepts | bit : intercepts & ~bit)
    this.#vmcb.write(VMCB.virtualInterrupt, wanted ? masking | irq : masking)
  }

  #answer(operation: Operation | undefined): OutcomeRecord | undefined {
    const code = this.#vmcb.read(VMCB.exitCode)
    this.ledger.count('exit', code === SVM_EXIT.exception0 + EXCEPTION.PF ? 'pageFault' : svmExitName(code))
    const vectoring = this.#vmcb.read(VMCB.exitInterruptInfo)
    if ((vectoring & SVM_EVENT.valid) !== 0) {
      this.#injection = { event: vectoring, error: this.#vmcb.read(VMCB.exitInterruptInfo + 4) }
    }
    switch (code) {
      case SVM_EXIT.intr:
        this.#takeInterrupts()
        return RETRY
      case SVM_EXIT.vintr:
        return RETRY
      case SVM_EXIT.exception0 + EXCEPTION.PF:
        return this.#pageFault(operation)
      case SVM_EXIT.nestedPageFault:
        return this.#nestedFault(operation)
      default:
        return operation === undefined ? this.#outcome.end('failed') : this.#emulate(operation)
    }
  }

  #pageFault(operation: Operation | undefined): OutcomeRecord | undefined {
    const error = this.#vmcb.read(VMCB.exitInfo1)
    const low = this.#vmcb.read(VMCB.exitInfo2)
    const high = this.#vmcb.read(VMCB.exitInfo2 + 4)
    const access = { write: (error & PAGE_FAULT.write) !== 0, user: (error & PAGE_FAULT.user) !== 0 }
    const fault = this.#shadow!.fault({ cr3: this.#cr3, cr0: this.#vmcb.read(VMCB.cr0) }, low, high, access)
    switch (fault.kind) {
      case 'guest':
        this.#vmcb.write(VMCB.cr2, low, high)
        this.#inject(EXCEPTION.PF, fault.error)
        return RETRY
      case 'registers':
        return this.#registers(operation, fault.address)
      case 'traced':
        if (operation === undefined || !isLinear(operation)) return this.#outcome.end('failed')
        this.ledger.count('tracedWrite')
        emulateMemory(operation, fault.address, this.#space, this.#outcome)
        this.#shadow!.entryWritten(fault.address)
        this.#skip(operation)
        return this.#outcome.done()
      default:
        return RETRY
    }
  }

  #inject(vector: number, error: number): void {
    const event = SVM_EVENT.valid | SVM_EVENT.hasError | (EVENT_TYPE.hardwareException << 8) | vector
    this.#vmcb.write(VMCB.rflags, this.#vmcb.read(VMCB.rflags) | RFLAGS.RF)
    this.#injection = { event: event >>> 0, error }
  }

  #registers(operation: Operation | undefined, address: number): OutcomeRecord | undefined {
    if (operation === undefined || !isLinear(operation)) return this.#outcome.end('failed')
    this.ledger.count('emulatedOperation', 'registers')
    this.#skip(operation)
    return emulateRegisters(operation, address, this.#board, this.#outcome)
  }

  #nestedFault(operation: Operation | undefined): OutcomeRecord | undefined {
    const address = this.#vmcb.read(VMCB.exitInfo2)
    const page = Math.floor(address / PAGE_SIZE)
    const hostPage = this.#space.hostPage(page)
    if (hostPage < 0) return this.#registers(operation, address)
    if ((this.#vmcb.read(VMCB.exitInfo1) & NESTED_FAULT.present) !== 0) return this.#outcome.end('failed')
    this.#map(page, hostPage)
    return RETRY
  }

  /** Four levels of an ordinary page table, every entry a user entry. */
  #map(page: number, hostPage: number): void {
    const { machine } = this.#host
    let table = this.#nestedRoot
    for (let level = 4; level > 1; level--) {
      const at = addressOf(table) + (Math.floor(page / 2 ** (9 * (level - 1))) % 512) * 8
      if ((machine.readDword(at) & ENTRY.P) === 0) {
        machine.writeDword(at, addressOf(this.#host.allocate()) | NESTED_RIGHTS)
      }
      table = Math.floor(machine.readDword(at) / PAGE_SIZE)
    }
    machine.writeDword(addressOf(table) + (page % 512) * 8, addressOf(hostPage) | NESTED_RIGHTS)
  }

  #emulate(operation: Operation): OutcomeRecord | undefined {
    this.ledger.count('emulatedOperation', operation.op)
    const outcome = this.#outcome
    this.#skip(operation)
    switch (operation.op) {
      case 'cpuid':
        return emulateCpuid(operation, this.#host.processor, outcome)
      case 'in':
      case 'out':
        return emulatePort(operation, this.#board, outcome)
      case 'hlt':
        this.#halted = true
        return outcome.end('halted')
      case 'movToCr':
        if (operation.cr === 8) this.#board.taskPriorityClass = operation.value[0]
        else this.#loadCr3(operation.value[0])
        return outcome.done()
      case 'movFromCr':
        return outcome.done(operation.cr === 8 ? this.#board.taskPriorityClass : this.#cr3)
      case 'invlpg':
        this.#flush()
        return outcome.done()
      case 'invd':
      case 'wbinvd':
        return outcome.done()
      case 'rdmsr':
      case 'wrmsr':
        return this.#msr(operation)
      default:
        return outcome.end('failed')
    }
  }

  #loadCr3(cr3: number): void {
    this.ledger.count('shadowSwitch')
    this.#cr3 = cr3
    this.#vmcb.write(VMCB.cr3, this.#shadow!.root(cr3), 0)
    this.#flush()
  }

  /** The MSRs of SYSENTER are in the processor while the hypervisor runs: VMRUN does not switch them. */
  #msr(operation: Extract<Operation, { op: 'rdmsr' | 'wrmsr' }>): OutcomeRecord | undefined {
    const { IA32_SYSENTER_CS, IA32_SYSENTER_ESP, IA32_SYSENTER_EIP } = MSR
    if (![IA32_SYSENTER_CS, IA32_SYSENTER_ESP, IA32_SYSENTER_EIP].some(msr => msr === operation.msr)) {
      this.#vmcb.write(VMCB.rip, this.#vmcb.read(VMCB.rip) - LENGTH[operation.op])
      this.#inject(EXCEPTION.GP, 0)
      return RETRY
    }
    return this.#outcome.copy(this.#run(operation))
  }

  #skip({ op }: Operation): void {
    this.#vmcb.write(VMCB.rip, this.#vmcb.read(VMCB.rip) + LENGTH[op])
    this.#vmcb.write(VMCB.rflags, this.#vmcb.read(VMCB.rflags) & ~RFLAGS.RF)
    this.#vmcb.write(VMCB.interruptShadow, 0)
  }

  readGuest(address: number): number {
    return this.#space.read(address)
  }
}
