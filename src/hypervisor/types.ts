/** What the hypervisor shows of itself to policies and operations. Live views: properties show the present state. */
import type { Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { Operation, OperationResult } from '../vmx/formats/operations.ts'
import type { MemorySettings } from './memory/memory-settings.ts'
import type { VirtualUnitOptions, VirtualUnitView } from './viommu/unit-types.ts'

export interface VmOptions {
  /** Letters, digits, `.`, `_` and `-`, at most 63, starting with a letter or digit. Unique. */
  readonly name: string
  /** 1 to 64. */
  readonly vcpus: number
  /** Guest memory, at least 2 MiB. */
  readonly memoryMiB: number
  /** How interrupts reach the guest; default `emulated`. */
  readonly interrupts?: InterruptDelivery
  /** Guests find VMX, and may run guests of their own; with emulated interrupts only. Default false. */
  readonly nested?: boolean
  /**
   * Guests that find VMX access the most used fields of their VMCS without VM exits, by VMCS shadowing of the processor.
   * Default false.
   */
  readonly vmcsShadowing?: boolean
  /** What the virtual machine runs; default `kernel`. */
  readonly program?: GuestProgram
  /** A remapping unit on its board, for the functions that are assigned to it. Default: none. */
  readonly viommu?: VirtualUnitOptions | undefined
  /** What stands behind its memory; default `fixed`. */
  readonly backing?: MemoryBackingKind
  /** The largest pages that its memory is made of; default `2MiB`. */
  readonly hugePages?: HugePages
  /** Of paged memory; what is not said has its default. */
  readonly memorySettings?: Partial<MemorySettings>
}

/**
 * `fixed`: host pages for all of it, taken at the start and kept. `paged`: host pages for what is used, which may be taken
 * back while no device holds them.
 */
export const MEMORY_BACKINGS = ['fixed', 'paged'] as const
export type MemoryBackingKind = (typeof MEMORY_BACKINGS)[number]

/** `1GiB`: promised, else refused. `2MiB`: wherever the host has them. `none`: 4 KiB. */
export const HUGE_PAGES = ['none', '2MiB', '1GiB'] as const
export type HugePages = (typeof HUGE_PAGES)[number]

/** `kernel`: the operations that it is given are its own. `hypervisor`: one which runs them in a guest of its own. */
export const GUEST_PROGRAMS = ['kernel', 'hypervisor'] as const
export type GuestProgram = (typeof GUEST_PROGRAMS)[number]

/**
 * `emulated`: the hypervisor keeps the local APICs and injects at VM entries. `virtualized`: the processors do, by
 * APIC-register virtualization and virtual-interrupt delivery; device interrupts still end in the host first. `posted`:
 * device interrupts too go to the virtual processors, without the host.
 */
export const INTERRUPT_DELIVERY = ['emulated', 'virtualized', 'posted'] as const
export type InterruptDelivery = (typeof INTERRUPT_DELIVERY)[number]

/** A range of guest memory; bytes, guest-physical. */
export interface GuestRange {
  readonly base: number
  readonly size: number
}

export interface VirtualMachine {
  readonly name: string
  readonly memoryMiB: number
  /** Guest memory, ascending. Between the ranges lies the hole for device memory. */
  readonly memory: readonly GuestRange[]
  readonly interrupts: InterruptDelivery
  /** Whether guests find VMX. */
  readonly nested: boolean
  /** Whether the processor shadows the VMCS of a guest that finds VMX. */
  readonly vmcsShadowing: boolean
  readonly program: GuestProgram
  /** Nothing runs on its virtual processors. */
  readonly paused: boolean
  readonly backing: MemoryBackingKind
  readonly hugePages: HugePages
  /** Its remapping unit; undefined if it has none. */
  readonly viommu: VirtualUnitView | undefined
  readonly vcpus: readonly VcpuView[]
  /** Functions of the host, in the order of their slots. */
  readonly devices: readonly AttachedDevice[]
  /** Functions that the hypervisor makes, in the order of their slots. */
  readonly emulated: readonly EmulatedDeviceView[]
}

export interface VcpuView {
  readonly number: number
  /** The logical processor to which it is pinned. */
  readonly processor: number
  /** `halted`: it executed HLT and no interrupt has come since. `running` is seen only from inside a run. */
  readonly state: 'halted' | 'running'
  /** Guest RFLAGS.IF. */
  readonly interruptsEnabled: boolean
  /** Vectors requested (IRR) and in service (ISR) in the virtual APIC, ascending. */
  readonly pending: readonly number[]
  readonly inService: readonly number[]
  readonly taskPriority: number
  readonly processorPriority: number
  /** VM exits since creation by reason, in the order of the reason numbers. */
  readonly exitsByReason: Readonly<Record<string, number>>
  /** VM entries since creation. */
  readonly entries: number
  /** Interrupts injected since creation, by vector. */
  readonly injected: Readonly<Record<string, number>>
  /** Virtual interrupts that the processor itself delivered since creation, without a VM exit, by vector. */
  readonly delivered: Readonly<Record<string, number>>
  /** The posted-interrupt descriptor, where interrupts are posted. */
  readonly notification?: Notification
  /** Where guests find VMX: who runs, and what the guest's own guest has cost. */
  readonly nested?: NestedCounts & { readonly running: 'l1' | 'l2' }
}

/** What a guest of a guest (L2) has cost since the virtual processor was made. */
export interface NestedCounts {
  readonly entries: number
  /** VM exits of L2 that its own hypervisor, L1, took, by reason. */
  readonly reflected: Readonly<Record<string, number>>
  /** VM exits of L2 that L1 did not learn of, by reason. */
  readonly handled: Readonly<Record<string, number>>
}

/** A posted-interrupt descriptor by name. */
export interface Notification {
  /** Physical address. */
  readonly descriptor: number
  readonly vector: number
  /** NDST as it stands. */
  readonly destination: number
  readonly outstanding: boolean
  readonly suppressed: boolean
}

/** An access from outside in the middle of a stream: what the world does while the virtual processor runs, or waits. */
export interface Meanwhile {
  /** Index of the operation before which it happens. */
  readonly before: number
  /** `preempted`: the host has taken the processor away, and gives it back afterwards. */
  readonly state: 'running' | 'preempted'
  readonly act: () => void
}

/** The local APIC of a virtual processor by name; vectors ascending. */
export interface VirtualApicView {
  readonly apicId: number
  readonly mode: 'disabled' | 'xAPIC' | 'x2APIC'
  readonly enabled: boolean
  readonly taskPriority: number
  readonly processorPriority: number
  readonly requested: readonly number[]
  /** In the posted-interrupt descriptor, not taken yet. */
  readonly posted: readonly number[]
  readonly inService: readonly number[]
  readonly logicalId: string
  readonly spuriousVector: number
  readonly errorStatus: string
  readonly localVectors: Readonly<Record<string, { readonly entry: string; readonly masked: boolean }>>
}

/** A base address register as the guest placed it. */
export interface VirtualBar {
  readonly index: number
  readonly is64: boolean
  readonly prefetchable: boolean
  /** Bytes. */
  readonly size: number
  /** Guest-physical address; null while decoding is off or the BAR was never placed. */
  readonly guestAddress: number | null
  readonly hostAddress: number
}

export interface VirtualVector {
  readonly index: number
  /** Masked in the guest's MSI-X table (or MSI mask bits), or the capability is not enabled. */
  readonly masked: boolean
  /** The virtual processor that the guest's message addresses; null if none has that APIC id. */
  readonly vcpu: number | null
  readonly guestVector: number
  /** How often it arrived at the virtual APIC. */
  readonly delivered: number
}

export interface AttachedDevice {
  /** Host address, `dddd:bb:dd.f`. */
  readonly address: string
  /** Where the guest finds it: `0000:00:dd.0`. */
  readonly guestAddress: string
  readonly vendorId: number
  readonly deviceId: number
  readonly bars: readonly VirtualBar[]
  /** By which mechanism the function's interrupts reach the guest. */
  readonly interrupts: 'msix' | 'msi' | 'none'
  readonly vectors: readonly VirtualVector[]
}

/** A function that the hypervisor makes. */
export interface EmulatedDeviceView {
  /** What it is: `e1000`, `virtio-net`. */
  readonly kind: string
  /** Where the guest finds it: `0000:00:dd.0`. */
  readonly guestAddress: string
  readonly vendorId: number
  readonly deviceId: number
  readonly bars: readonly Pick<VirtualBar, 'index' | 'size' | 'guestAddress'>[]
  readonly interrupts: 'msix' | 'msi' | 'none'
  readonly vectors: readonly VirtualVector[]
}

/** What code of the guest's kernel returned, and the exits that it cost. */
export interface GuestRun<Result> {
  readonly result: Result
  readonly exits: readonly ExitRecord[]
}

/** One VM exit, decoded. */
export interface ExitRecord {
  /** Name of the basic exit reason. */
  readonly reason: string
  /** Its number. */
  readonly code: number
  /** The exit qualification's fields, by name; empty where the reason defines none. */
  readonly qualification: Readonly<Record<string, number | boolean | string>>
  /** EPT violations and misconfigurations: `0x…` */
  readonly guestPhysicalAddress?: string
  /** Where guests find VMX: the level that exited, 1 or 2. */
  readonly level?: 1 | 2
  /** What the hypervisor did; `l1`: it gave the exit to the guest's own hypervisor. */
  readonly handledBy: string
  /** Index of the operation of the given stream that was executing; null for guest kernel code (handlers, idle loop). */
  readonly operation: number | null
}

/** How one operation ended, as the guest saw it. */
export interface GuestResult {
  /** `vmExit`, `vmFailValid`, `vmFailInvalid`: only where the guest finds VMX; as a processor ends operations. */
  readonly outcome: 'done' | 'halted' | 'exception' | 'vmExit' | 'vmFailValid' | 'vmFailInvalid'
  /** Result value of IN, RDMSR, read and VMCALL, as two words. */
  readonly low: number
  readonly high: number
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
  /** Exception vector, or vector that VMLAUNCH or VMRESUME of the guest injected; else -1. */
  readonly vector: number
  /** Exception error code, or VM-instruction error; else 0. */
  readonly error: number
}

export interface VcpuRun {
  /**
   * One per operation that was executed. Fewer than given if a HLT found no interrupt to wake it: the rest of the
   * stream is not executed.
   */
  readonly results: readonly GuestResult[]
  /** In order; the last is the HLT of the guest kernel's idle loop unless the stream itself ended with HLT. */
  readonly exits: readonly ExitRecord[]
}

/** What an interrupt of an assigned function reached when it came last. */
export interface InterruptRoute {
  readonly vm: string
  readonly vcpu: number
  readonly guestVector: number
}

/**
 * What runs on a virtual processor. The hypervisor calls it where silicon would fetch instructions: at the start,
 * and at the handler of a vector that was delivered. Everything it does goes through the port.
 */
export interface GuestSoftware {
  /** The first code of the virtual processor. Ends in the idle loop. */
  start(): Software
  /**
   * The handler of a vector; ends with IRET. `interruptFlag` is RFLAGS.IF of the interrupted code, as the delivery
   * pushed it on the stack.
   */
  interrupt(vector: number, interruptFlag: boolean): Software
  /** What it makes of an operation of a stream, or of the idle loop. Absent: the virtual processor executes it as it is. */
  execute?(operation: Operation): Software<GuestResult>
  /** Some work of a program that has much to compute: done at the beginning of each turn. */
  compute?(): Software
  save(): Saved
  /** Goes on from what {@link save} returned, without {@link start}. */
  load(saved: Saved): void
}

/** The port that a virtual processor offers to the software on it. */
export interface VcpuPort {
  /** As {@link execute}, at once; undefined if something comes in between: then {@link execute} has to follow. */
  attempt(operation: Operation): OperationResult | undefined
  execute(operation: Operation): Software<GuestResult>
}

/** Makes the software of one virtual processor. Called in the order of their numbers when a VM is created. */
export type GuestImage = () => (port: VcpuPort, vcpu: number) => GuestSoftware

/** A result of the processor, as plain values. */
export const guestResult = (
  outcome: GuestResult['outcome'],
  from: Partial<Omit<OperationResult, 'outcome'>> = {},
): GuestResult => ({
  outcome,
  low: from.low ?? 0,
  high: from.high ?? 0,
  eax: from.eax ?? 0,
  ebx: from.ebx ?? 0,
  ecx: from.ecx ?? 0,
  edx: from.edx ?? 0,
  vector: from.vector ?? -1,
  error: from.error ?? 0,
})

/** How operations without a value end: shared, since nobody changes a result. */
export const DONE = guestResult('done')
export const HALTED = guestResult('halted')
