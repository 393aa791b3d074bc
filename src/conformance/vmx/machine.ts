/**
 * A processor for the conformance rows: 64 MiB of memory, a VMXON region, and a VMCS for a 64-bit guest whose own page
 * tables, IDT, GDT and TSS lie in guest memory. Rows change what they are about.
 */
import { assert } from '../../core/index.ts'
import { Engine } from '../../engine/index.ts'
import { ApicBus, InterruptMessage } from '../../interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../../memory/index.ts'
import { ENTRY_FAILURE } from '../../vmx/formats/exit-reasons.ts'
import { FEATURE_CONTROL, MSR } from '../../vmx/formats/msrs.ts'
import type { Operation, OperationResult, Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import { LogicalProcessor, type ProcessorCapabilities } from '../../vmx/index.ts'

/** Where things are in host memory. */
export const AT = {
  vmxon: 0x1000,
  vmcs: 0x2000,
  otherVmcs: 0x3000,
  ioBitmapA: 0x4000,
  ioBitmapB: 0x5000,
  msrBitmaps: 0x6000,
  msrArea: 0x7000,
  virtualApic: 0x8000,
  vmreadBitmap: 0x9000,
  vmwriteBitmap: 0xa000,
  pml: 0xb000,
  eptpList: 0xc000,
  virtualizationException: 0xd000,
  pml5: 0x10_4000,
  pml4: 0x10_0000,
  pdpt: 0x10_1000,
  pd: 0x10_2000,
  pt: 0x10_3000,
  /** Guest-physical 0 to 2 MiB lies from here on. */
  guest: 0x100_0000,
} as const

/** Where things are in guest memory; linear addresses are the same. */
export const GUEST = {
  code: 0x1000,
  data: 0x5000,
  stack: 0x7000,
  pml4: 0x1_0000,
  pdpt: 0x1_1000,
  pd: 0x1_2000,
  pt: 0x1_3000,
  idt: 0x1_4000,
  gdt: 0x1_5000,
  tss: 0x1_6000,
  handlers: 0x2_0000,
} as const

export const PIN = 0x1f
/** HLT exiting and secondary controls beside the bits that must be 1. */
export const PRIMARY = 0x8400_61f2
export const SECONDARY = 0x2
export const EXIT = 0x0003_6ffb
export const ENTRY = 0x0000_13fb

const SELECTOR = {
  code: 0x8,
  data: 0x10,
  task: 0x18,
  hostCode: 0x10,
  hostData: 0x18,
  hostTask: 0x40,
} as const
const NONE: Word64 = [0xffff_ffff, 0xffff_ffff]

const segments: [VmcsFieldName, number][] = (['Ss', 'Ds', 'Es', 'Fs', 'Gs'] as const).flatMap(
  (name): [VmcsFieldName, number][] => [
    [`guest${name}Selector`, SELECTOR.data],
    [`guest${name}Limit`, 0xffff_ffff],
    [`guest${name}AccessRights`, 0xc093],
    [`host${name}Selector`, name === 'Fs' || name === 'Gs' ? 0 : SELECTOR.hostData],
  ],
)

/** The VMCS of the ready guest. */
export const READY_FIELDS: readonly (readonly [VmcsFieldName, number | Word64])[] = [
  ['pinBasedControls', PIN],
  ['primaryProcessorBasedControls', PRIMARY],
  ['secondaryProcessorBasedControls', SECONDARY],
  ['exitControls', EXIT],
  ['entryControls', ENTRY],
  ['eptPointer', AT.pml4 | 0x1e],
  ['hostCr0', 0x8005_0033],
  ['hostCr3', 0xe000],
  ['hostCr4', 0x2020],
  ['hostCsSelector', SELECTOR.hostCode],
  ['hostTrSelector', SELECTOR.hostTask],
  ['hostRsp', 0xf000],
  ['hostRip', [0x1234_5000, 0xffff_8000]],
  ['guestCr0', 0x8001_0031],
  ['guestCr3', GUEST.pml4],
  ['guestCr4', 0x2020],
  ['guestDr7', 0x400],
  ['guestRflags', 0x202],
  ['guestRsp', GUEST.stack],
  ['guestRip', GUEST.code],
  ['vmcsLinkPointer', NONE],
  ['guestCsSelector', SELECTOR.code],
  ['guestCsLimit', 0xffff_ffff],
  ['guestCsAccessRights', 0xa09b],
  ...segments,
  ['guestLdtrAccessRights', 0x1_0000],
  ['guestTrSelector', SELECTOR.task],
  ['guestTrBase', GUEST.tss],
  ['guestTrLimit', 0x67],
  ['guestTrAccessRights', 0x8b],
  ['guestGdtrBase', GUEST.gdt],
  ['guestGdtrLimit', 0x3f],
  ['guestIdtrBase', GUEST.idt],
  ['guestIdtrLimit', 0xfff],
]

/** Entries of the guest's tables: supervisor and user, writable. */
const TABLE_ENTRY = 7
const EPT_ALL = 7
const EPT_PAGE = 0x37

/** EPT of the ready guest, and in its memory page tables, IDT, GDT and TSS. */
export function writeTables(writeDword: (address: number, word: number) => void): void {
  writeDword(AT.pml5, AT.pml4 | EPT_ALL)
  writeDword(AT.pml4, AT.pdpt | EPT_ALL)
  writeDword(AT.pdpt, AT.pd | EPT_ALL)
  writeDword(AT.pd, AT.pt | EPT_ALL)
  for (let page = 0; page < 512; page++) {
    writeDword(AT.pt + page * 8, (AT.guest + page * 0x1000) | EPT_PAGE)
  }
  const write = (address: number, ...words: readonly number[]) => {
    for (const [i, word] of words.entries()) writeDword(AT.guest + address + i * 4, word)
  }
  write(GUEST.pml4, GUEST.pdpt | TABLE_ENTRY)
  write(GUEST.pdpt, GUEST.pd | TABLE_ENTRY)
  write(GUEST.pd, GUEST.pt | TABLE_ENTRY)
  for (let page = 0; page < 512; page++) write(GUEST.pt + page * 8, (page * 0x1000) | TABLE_ENTRY)
  // Interrupt gates of DPL 0, 16 bytes of handler for each vector.
  for (let vector = 0; vector < 256; vector++) {
    const handler = GUEST.handlers + vector * 16
    const low = (SELECTOR.code << 16) | (handler & 0xffff)
    write(GUEST.idt + vector * 16, low, (handler & 0xffff_0000) | 0x8e00, 0, 0)
  }
  // 64-bit code, data, and a busy TSS.
  write(GUEST.gdt + SELECTOR.code, 0xffff, 0x00af_9b00, 0xffff, 0x00cf_9300)
  write(GUEST.gdt + SELECTOR.task, (GUEST.tss << 16) | 0x67, 0x8b01, 0, 0)
  write(GUEST.tss + 4, GUEST.stack + 0x800, 0)
}

const TIME_PASSES = 'time passes'

export class VmxMachine {
  readonly engine = new Engine()
  readonly memory = new PhysicalMemory([{ base: 0, size: 0x400_0000 }])
  readonly map = new SystemAddressMap(this.memory)
  readonly cpu: LogicalProcessor
  readonly #bus = new ApicBus()
  readonly #message = new InterruptMessage()
  #launched = false

  constructor(capabilities: Partial<ProcessorCapabilities> = {}) {
    this.engine.handle(TIME_PASSES, () => undefined)
    const ports = { in: () => 0xdead_beef, out: () => undefined }
    const environment = { map: this.map, bus: this.#bus, ports, engine: this.engine }
    this.cpu = new LogicalProcessor({ number: 0, apicId: 0, capabilities }, environment)
    const { lock, vmxOutsideSmx } = FEATURE_CONTROL
    this.run({ op: 'wrmsr', msr: MSR.IA32_FEATURE_CONTROL, value: [lock | vmxOutsideSmx, 0] })
    const revision = this.run({ op: 'rdmsr', msr: MSR.IA32_VMX_BASIC }).low & 0x7fff_ffff
    for (const region of [AT.vmxon, AT.vmcs, AT.otherVmcs]) this.map.writeDword(region, revision)
    this.run({ op: 'vmxon', address: AT.vmxon })
    this.run({ op: 'vmptrld', address: AT.vmcs })
    for (const [name, value] of READY_FIELDS) this.set(name, value)
    writeTables((address, word) => this.map.writeDword(address, word))
  }

  run(operation: Operation): OperationResult {
    return this.cpu.execute(operation)
  }

  /** VMWRITE, which must succeed. */
  set(name: VmcsFieldName, value: number | Word64): void {
    const words: Word64 = typeof value === 'number' ? [value, 0] : value
    const { outcome, error } = this.run({ op: 'vmwrite', field: VMCS[name], value: words })
    assert(outcome === 'done', `VMWRITE of ${name} succeeds (${outcome} ${error})`)
  }

  /** VMREAD, both words. */
  get(name: VmcsFieldName): Word64 {
    const { low, high } = this.run({ op: 'vmread', field: VMCS[name] })
    return [low, high]
  }

  /** VMLAUNCH, or VMRESUME after the first that succeeded. */
  enter(): OperationResult {
    const { outcome, error, vector, low, high, eax, ebx, ecx, edx } = this.run({
      op: this.#launched ? 'vmresume' : 'vmlaunch',
    })
    // A late failure is a VM exit that leaves the launch state alone.
    this.#launched ||=
      outcome === 'done' || (outcome === 'vmExit' && this.get('exitReason')[0] < ENTRY_FAILURE)
    return { outcome, error, vector, low, high, eax, ebx, ecx, edx }
  }

  /** A message to the processor's local APIC. */
  send(deliveryMode: number, vector: number): void {
    this.#message.deliveryMode = deliveryMode
    this.#message.vector = vector
    this.#message.destination = 0
    this.#bus.deliver(this.#message)
  }

  /** Lets virtual time pass: the time-stamp counter counts nanoseconds. */
  advance(nanoseconds: number): void {
    const until = this.engine.now + nanoseconds
    this.engine.schedule(nanoseconds, TIME_PASSES, 'row')
    while (this.engine.now < until) this.engine.advance()
  }
}
