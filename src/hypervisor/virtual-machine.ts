/**
 * One virtual machine: memory, EPT, virtual processors and the board around them. The board is a small one: no I/O APIC
 * (so no INTx), no APIC timer, no firmware (every virtual processor starts in the guest kernel, INIT and start-up IPIs
 * do nothing), config space by mechanism #1 only (256 bytes), no I/O or ROM BARs. NMI and SMI messages are dropped.
 */
import { NorthbridgeError, type PageNumber, pageOf, type Saved } from '../core/index.ts'
import type { Engine, Software } from '../engine/index.ts'
import type { HostKernel, PostedTarget } from '../host/index.ts'
import { ICR_SHORTHAND, XAPIC_BASE } from '../interrupts/formats/local-apic.ts'
import { DELIVERY_MODE, INTERRUPT_RANGE_BASE, INTERRUPT_RANGE_END } from '../interrupts/formats/message.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { INVEPT } from '../vmx/formats/ept.ts'
import { ApicPages } from './apic-pages.ts'
import { PageRegisters } from './apic-registers.ts'
import type { VcpuBoard } from './exit-handling.ts'
import { ExtendedPageTable } from './extended-page-table.ts'
import { DEVICE_WINDOW_32, DEVICE_WINDOW_64, SLOT_EVENT_VECTOR } from './formats/virtual-board.ts'
import { GuestMemory } from './guest-memory.ts'
import type { HostPages } from './host-pages.ts'
import type { HostProcessor } from './host-processor.ts'
import { GuestWords } from './nested/guest-words.ts'
import { NestedExits } from './nested/nested-exits.ts'
import { NestedVmx } from './nested/nested-vmx.ts'
import type { GuestImage, GuestProgram, InterruptDelivery, VirtualMachine, VmOptions } from './types.ts'
import { Vcpu } from './vcpu.ts'
import { vcpuPages } from './vcpu-pages.ts'
import { type InterruptCommand, isVectored, VirtualApic } from './virtual-apic.ts'
import { VirtualBus } from './virtual-bus.ts'
import type { FunctionHost, VirtualFunction } from './virtual-function.ts'
import { VirtualizedInterrupts } from './virtualized-interrupts.ts'
import { eptPointer, Vmcs } from './vmcs.ts'

const ALL_ONES = 0xffff_ffff
/** Guest-physical page of the xAPIC registers. */
const XAPIC_PAGE = pageOf(XAPIC_BASE)

export interface MachineContext {
  readonly machine: MachinePort
  readonly host: HostKernel
  readonly engine: Engine
  readonly pages: HostPages
}

export class Machine implements VcpuBoard, FunctionHost {
  readonly name: string
  readonly memoryMiB: number
  readonly memory: GuestMemory
  readonly vcpus: Vcpu[] = []
  readonly bus: VirtualBus<VirtualFunction>
  readonly interrupts: InterruptDelivery
  /** Whether guests find VMX. */
  readonly nested: boolean
  readonly vmcsShadowing: boolean
  readonly program: GuestProgram
  readonly #context: MachineContext
  readonly #ept: ExtendedPageTable
  /** Unless the hypervisor emulates the local APICs. */
  readonly #apicPages: ApicPages | undefined
  #xapicMapped = false
  /** Guest-physical ranges in use by BARs. */
  #claims: readonly { readonly base: number; readonly size: number }[] = []

  /** Takes memory, tables and processors. Throws `outOfMemory` or `unsupported`, having taken nothing. */
  constructor(context: MachineContext, options: VmOptions, processors: readonly HostProcessor[]) {
    this.#context = context
    this.name = options.name
    this.memoryMiB = options.memoryMiB
    this.interrupts = options.interrupts ?? 'emulated'
    this.nested = options.nested ?? false
    this.vmcsShadowing = options.vmcsShadowing ?? false
    this.program = options.program ?? 'kernel'
    this.memory = new GuestMemory(context.machine, context.host.memory, options.memoryMiB * 2 ** 20)
    this.bus = new VirtualBus(() => this.raise(this.vcpus[0]!, SLOT_EVENT_VECTOR))
    try {
      this.#ept = new ExtendedPageTable(context.machine, context.pages)
    } catch (error) {
      this.memory.free()
      throw error
    }
    try {
      for (const { guestPage, hostPage, pages } of this.memory.runs) {
        this.#ept.map(guestPage, hostPage, pages, 'WB')
      }
      if (this.interrupts !== 'emulated') {
        this.#apicPages = new ApicPages(context.machine, context.pages)
        this.#ept.map(XAPIC_PAGE, this.#apicPages.accessPage, 1, 'WB')
        this.#xapicMapped = true
      }
      context.pages.require(vcpuPages(options, processors), 'the virtual processors')
      for (const [number, processor] of processors.entries()) this.#addVcpu(number, processor)
    } catch (error) {
      this.free()
      throw error
    }
  }

  #addVcpu(number: number, processor: HostProcessor): void {
    processor.retain()
    let vmcs: Vmcs | undefined
    let vmx: NestedVmx | undefined
    try {
      vmcs = new Vmcs(processor, this.#context.pages)
      vmcs.initialize(this.#ept.root)
      const { name } = this
      const { engine } = this.#context
      const interrupts = this.#localApic(number, processor, vmcs)
      if (this.nested) {
        const memory = new GuestWords(this.#context.machine, this.memory)
        const { vmcsShadowing } = this
        const parts = { vmcs01: vmcs, ept01: this.#ept, memory, vmcsShadowing }
        vmx = new NestedVmx(this.#context, { processor, number, ...parts })
      }
      const vcpu = new Vcpu({ name, number, processor, vmcs, board: this, engine, ...interrupts })
      if (vmx !== undefined) vcpu.nest(new NestedExits(vmx, vcpu, this))
      this.vcpus.push(vcpu)
    } catch (error) {
      vmx?.free()
      vmcs?.free()
      processor.release()
      throw error
    }
  }

  /** The local APIC of a virtual processor, emulated or virtualized. */
  #localApic(
    number: number,
    processor: HostProcessor,
    vmcs: Vmcs,
  ): { apic: VirtualApic; virtualized: VirtualizedInterrupts | undefined } {
    const send = (command: InterruptCommand): void => this.#interruptCommand(number, command)
    const pages = this.#apicPages
    if (pages === undefined) return { apic: new VirtualApic(number, send), virtualized: undefined }
    const { machine, host } = this.#context
    const virtualApicPage = pages.virtualApicPage()
    const descriptor = this.interrupts === 'posted' ? pages.descriptor(number) : undefined
    const registers = new PageRegisters(machine, virtualApicPage)
    const apic = new VirtualApic(number, send, { registers, descriptor })
    const virtualized = new VirtualizedInterrupts(
      {
        vmcs,
        apic,
        virtualApicPage,
        accessPage: pages.accessPage,
        msrBitmaps: pages.msrBitmaps,
        ...(descriptor && { posted: { descriptor, host: host.posting } }),
        leaveXapic: () => this.#leaveXapic(),
      },
      processor.number,
    )
    return { apic, virtualized }
  }

  /** In x2APIC mode nothing answers at the xAPIC page. Who is in xAPIC mode still exits there, and is answered. */
  #leaveXapic(): void {
    if (!this.#xapicMapped) return
    this.#xapicMapped = false
    this.unmap(XAPIC_PAGE, 1)
  }

  /** Pins a virtual processor elsewhere. */
  move(vcpu: Vcpu, processor: HostProcessor): void {
    if (vcpu.processor === processor) return
    vcpu.moveTo(processor, to => this.#invalidateEpt(to))
  }

  /** Clears memory and runs the first guest code of every virtual processor. */
  *start(image: GuestImage): Software {
    this.memory.zero()
    const software = image()
    for (const vcpu of this.vcpus) yield* vcpu.start(software(vcpu, vcpu.number))
  }

  free(): void {
    for (const vcpu of this.vcpus) vcpu.free()
    this.#ept.destroy()
    this.#apicPages?.free()
    this.memory.free()
  }

  // The virtual interrupt fabric.

  #interruptCommand(from: number, command: InterruptCommand): void {
    if (!isVectored(command.deliveryMode)) return
    for (const vcpu of this.vcpus) {
      if (addressed(command, from, vcpu)) this.raise(vcpu, command.vector)
    }
  }

  /** An interrupt of the hypervisor's own making. False if the local APIC does not take it. */
  raise(vcpu: Vcpu, vector: number): boolean {
    const accepted = vcpu.apic.accept(vector)
    if (accepted) vcpu.kick()
    return accepted
  }

  postingTarget(address: number, data: number): PostedTarget | undefined {
    if (!isVectored((data >>> 8) & 7)) return undefined
    const targets = this.vcpus.filter(vcpu => reaches(address, vcpu))
    const descriptor = targets[0]?.view().notification?.descriptor
    if (targets.length !== 1 || descriptor === undefined) return undefined
    return { descriptor, vector: data & 0xff, urgent: false }
  }

  deliver(address: number, data: number): boolean {
    if (!isVectored((data >>> 8) & 7)) return false
    const targets = this.vcpus.filter(vcpu => reaches(address, vcpu))
    const lowest = ((data >>> 8) & 7) === DELIVERY_MODE.lowestPriority
    // Lowest priority: one of them, the first by number.
    let accepted = false
    for (const vcpu of lowest ? targets.slice(0, 1) : targets) {
      if (!this.raise(vcpu, data & 0xff)) continue
      accepted = true
      this.#context.engine.trace.emit(
        'interrupt',
        `vector 0x${(data & 0xff).toString(16)} is pending in ${this.name} vCPU ${vcpu.number}`,
        {
          step: 'pending',
          vm: this.name,
          vcpu: vcpu.number,
          guestVector: `0x${(data & 0xff).toString(16)}`,
        },
      )
    }
    return accepted
  }

  vcpuFor(address: number): number | null {
    return this.vcpus.find(vcpu => reaches(address, vcpu))?.number ?? null
  }

  processorFor(address: number): number {
    return this.vcpus[this.vcpuFor(address) ?? 0]!.processor.number
  }

  reschedule(processor: number): void {
    const { machine, host } = this.#context
    const other = machine.processors.find(({ number }) => number !== processor)
    if (other === undefined) {
      throw new NorthbridgeError(
        'unsupported',
        'a guest is preempted by another processor, and there is one only',
      )
    }
    host.posting.reschedule(other.number, processor)
  }

  hostInterrupt(processor: number, vector: number): void {
    this.#context.host.interrupt(processor, vector)
  }

  // The board: ports and device memory.

  get vcpuCount(): number {
    return this.vcpus.length
  }

  get now(): number {
    return this.#context.engine.now
  }

  portOwner(port: number): string | undefined {
    return this.bus.ownerOf(port)
  }

  in(port: number, width: number): number {
    return this.bus.in(port, width)
  }

  out(port: number, width: number, value: number): Software {
    return this.bus.out(port, width, value)
  }

  #deviceAt(address: number): VirtualFunction | undefined {
    return this.bus.devices.find(device => device.claims(address))
  }

  memoryOwner(address: number): string | undefined {
    const device = this.#deviceAt(address)
    if (device === undefined) return undefined
    return device.isVirtual(address) ? 'msixTable' : 'deviceMemory'
  }

  /** Guest memory is reached here only by an access that also touches what is not memory. */
  readDword(address: number): number {
    if (this.memory.contains(address, 4))
      return this.#context.machine.readDword(this.memory.hostAddress(address))
    return this.#deviceAt(address)?.readMemory(address) ?? ALL_ONES
  }

  *writeDword(address: number, value: number, lanes: number): Software {
    if (this.memory.contains(address, 4)) {
      this.#context.machine.writeDword(this.memory.hostAddress(address), value, lanes)
    } else {
      const device = this.#deviceAt(address)
      if (device !== undefined) yield* device.writeMemory(address, value, lanes)
    }
  }

  // The memory map of devices.

  claim(base: number, size: number): boolean {
    const inWindow = [DEVICE_WINDOW_32, DEVICE_WINDOW_64].some(
      window => base >= window.base && base + size <= window.base + window.size,
    )
    const inUse = this.#claims.some(other => base < other.base + other.size && other.base < base + size)
    if (!inWindow || inUse) return false
    this.#claims = [...this.#claims, { base, size }]
    return true
  }

  release(base: number): void {
    this.#claims = this.#claims.filter(claim => claim.base !== base)
  }

  map(guestPage: PageNumber, hostPage: PageNumber, pages: number): void {
    this.#ept.map(guestPage, hostPage, pages, 'UC')
  }

  /** Returns when no processor holds a translation of the range any more. */
  unmap(guestPage: PageNumber, pages: number): void {
    this.#ept.unmap(guestPage, pages)
    for (const processor of new Set(this.vcpus.map(vcpu => vcpu.processor))) this.#invalidateEpt(processor)
    for (const vcpu of this.vcpus) vcpu.dropShadow()
  }

  #invalidateEpt(processor: HostProcessor): void {
    processor.run({ op: 'invept', type: INVEPT.singleContext, eptp: eptPointer(this.#ept.root) })
  }

  report(problem: string, error: NorthbridgeError): void {
    this.#context.engine.trace.emit('vm', `${this.name}: ${problem}: ${error.message}`, {
      vm: this.name,
      code: error.code,
    })
  }

  view(): VirtualMachine {
    return {
      name: this.name,
      memoryMiB: this.memoryMiB,
      memory: this.memory.ranges,
      interrupts: this.interrupts,
      nested: this.nested,
      vmcsShadowing: this.vmcsShadowing,
      program: this.program,
      vcpus: this.vcpus.map(vcpu => vcpu.view()),
      devices: this.bus.devices.map(device => device.view()),
    }
  }

  save(): Saved {
    return {
      version: 1,
      name: this.name,
      interrupts: this.interrupts,
      nested: this.nested,
      vmcsShadowing: this.vmcsShadowing,
      program: this.program,
      memory: this.memory.save(),
      ept: this.#ept.save(),
      bus: this.bus.save(),
      claims: this.#claims.map(({ base, size }) => [base, size]),
      devices: this.bus.devices.map(device => device.save()),
      vcpus: this.vcpus.map(vcpu => vcpu.save()),
    }
  }
}

/** Whether a message address names a virtual processor: "Message Address Register Format". */
function reaches(address: number, vcpu: Vcpu): boolean {
  if (address < INTERRUPT_RANGE_BASE || address > INTERRUPT_RANGE_END) return false
  return vcpu.apic.matches((address >>> 12) & 0xff, (address & 4) !== 0)
}

/** "Interrupt Command Register": destination shorthand, else the destination field. */
function addressed(command: InterruptCommand, from: number, vcpu: Vcpu): boolean {
  switch (command.shorthand) {
    case ICR_SHORTHAND.self:
      return vcpu.number === from
    case ICR_SHORTHAND.allIncludingSelf:
      return true
    case ICR_SHORTHAND.allExcludingSelf:
      return vcpu.number !== from
    default:
      return vcpu.apic.matches(command.destination, command.logical)
  }
}
