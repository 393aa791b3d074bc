/**
 * One processor with 64 MiB of RAM, and the sequence by which a host enters a flat 64-bit guest. Encodings and bits are
 * written out, as the manual's appendices list them.
 */
import { Engine } from '../../src/engine/index.ts'
import { ApicBus, InterruptMessage } from '../../src/interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../../src/memory/index.ts'
import type { Operation, OperationResult, Word64 } from '../../src/vmx/formats/operations.ts'
import { LogicalProcessor } from '../../src/vmx/index.ts'

export const VMXON_REGION = 0x1000
export const VMCS_REGION = 0x2000
export const OTHER_VMCS = 0x3000
/** EPT: PML4, PDPT, PD, PT, which map guest pages 0 to 511 to host memory from 16 MiB on. */
export const PML4 = 0x10_0000
export const PDPT = 0x10_1000
export const PD = 0x10_2000
export const PT = 0x10_3000
export const GUEST_MEMORY = 0x100_0000
export const IO_BITMAP_A = 0x4000
export const IO_BITMAP_B = 0x5000
export const MSR_BITMAPS = 0x6000
export const MSR_AREA = 0x7000

/** Pin: external-interrupt and NMI exiting. */
export const PIN = 0x1f
/** Primary: default-1 bits, HLT exiting, unconditional I/O exiting, secondary controls. */
export const PRIMARY = 0x8500_61f2
/** Secondary: EPT. */
export const SECONDARY = 0x2
/** Exit: default-1 bits and host address-space size; entry: default-1 bits and IA-32e mode guest. */
export const EXIT = 0x0003_6ffb
export const ENTRY = 0x0000_13fb

export interface Rig {
  readonly engine: Engine
  readonly memory: PhysicalMemory
  readonly map: SystemAddressMap
  readonly bus: ApicBus
  readonly cpu: LogicalProcessor
  /** Port writes seen, and what reads answer. */
  readonly ports: { readonly writes: [number, number, number][]; answer: number }
  run(operation: Operation): OperationResult
  /** VMREAD, low word. */
  vmread(field: number): number
  /** VMWRITE, which must succeed. */
  vmwrite(field: number, low: number, high?: number): void
  /** Sends a fixed, edge-triggered message to the processor. */
  interrupt(vector: number, deliveryMode?: number): number
  dword(address: number): number
}

export function makeRig(options: { width?: number; processors?: number } = {}): Rig {
  const engine = new Engine()
  const memory = new PhysicalMemory([{ base: 0, size: 0x400_0000 }])
  const map = new SystemAddressMap(memory)
  const bus = new ApicBus()
  const ports = { writes: [] as [number, number, number][], answer: 0x1234_5678 }
  const space = {
    in: () => ports.answer,
    out: (port: number, width: number, value: number) => void ports.writes.push([port, width, value]),
  }
  const capabilities = { physicalAddressWidth: options.width ?? 46 }
  const environment = { map, bus, ports: space, engine }
  const cpu = new LogicalProcessor({ number: 0, apicId: 0, capabilities }, environment)
  const run = (operation: Operation): OperationResult => cpu.execute(operation)
  const message = new InterruptMessage()
  return {
    engine,
    memory,
    map,
    bus,
    cpu,
    ports,
    run,
    vmread: field => {
      const result = run({ op: 'vmread', field })
      if (result.outcome !== 'done') throw new Error(`VMREAD ${field.toString(16)}: ${result.outcome}`)
      return result.low
    },
    vmwrite: (field, low, high = 0) => {
      const result = run({ op: 'vmwrite', field, value: [low, high] })
      if (result.outcome !== 'done') throw new Error(`VMWRITE ${field.toString(16)}: ${result.outcome}`)
    },
    interrupt: (vector, deliveryMode = 0) => {
      message.vector = vector
      message.deliveryMode = deliveryMode
      message.destination = 0
      return bus.deliver(message)
    },
    dword: address => map.readDword(address),
  }
}

/** IA32_FEATURE_CONTROL, revision identifiers, VMXON. */
export function enterVmx(rig: Rig): void {
  rig.run({ op: 'wrmsr', msr: 0x3a, value: [5, 0] })
  const revision = rig.run({ op: 'rdmsr', msr: 0x480 }).low & 0x7fff_ffff
  for (const region of [VMXON_REGION, VMCS_REGION, OTHER_VMCS]) rig.map.writeDword(region, revision)
  rig.run({ op: 'vmxon', address: VMXON_REGION })
}

/** Every VMCS field that a flat 64-bit guest under a 64-bit host needs: [encoding, low, high]. */
export const FIELDS: readonly (readonly [number, number, number?])[] = [
  [0x4000, PIN],
  [0x4002, PRIMARY],
  [0x401e, SECONDARY],
  [0x400c, EXIT],
  [0x4012, ENTRY],
  [0x201a, PML4 | 0x1e],
  // Host: CR0, CR3, CR4, selectors CS SS DS ES FS GS TR, RSP, RIP.
  [0x6c00, 0x8005_0033],
  [0x6c02, 0x9000],
  [0x6c04, 0x2020],
  [0x0c02, 0x10],
  [0x0c04, 0x18],
  [0x0c06, 0x18],
  [0x0c00, 0x18],
  [0x0c08, 0],
  [0x0c0a, 0],
  [0x0c0c, 0x40],
  [0x6c14, 0x8000],
  [0x6c16, 0x1234_5000, 0xffff_8000],
  // Guest: CR0, CR4, DR7, RFLAGS (IF), RSP, RIP.
  [0x6800, 0x8000_0031],
  [0x6804, 0x2020],
  [0x681a, 0x400],
  [0x6820, 0x202],
  [0x681c, 0x7000],
  [0x681e, 0x1000],
  [0x2800, 0xffff_ffff, 0xffff_ffff],
  // CS, SS, DS, ES, FS, GS, LDTR, TR: selector, limit, access rights.
  [0x0802, 0x8],
  [0x4802, 0xffff_ffff],
  [0x4816, 0xa09b],
  ...[4, 6, 0, 8, 10].flatMap(n => [
    [0x0800 + n, 0x10] as const,
    [0x4800 + n, 0xffff_ffff] as const,
    [0x4814 + n, 0xc093] as const,
  ]),
  [0x4820, 0x1_0000],
  [0x080e, 0x18],
  [0x480e, 0x67],
  [0x4822, 0x8b],
  [0x4810, 0xffff],
  [0x4812, 0xffff],
]

export function writeEpt(rig: Rig): void {
  rig.map.writeDword(PML4, PDPT | 7)
  rig.map.writeDword(PDPT, PD | 7)
  rig.map.writeDword(PD, PT | 7)
  for (let page = 0; page < 512; page++)
    rig.map.writeDword(PT + page * 8, (GUEST_MEMORY + page * 4096) | 0x37)
}

/** VMCLEAR, VMPTRLD and every field: ready for VMLAUNCH. */
export function prepareGuest(rig: Rig): void {
  writeEpt(rig)
  rig.run({ op: 'vmclear', address: VMCS_REGION })
  rig.run({ op: 'vmptrld', address: VMCS_REGION })
  for (const [field, low, high] of FIELDS) rig.vmwrite(field, low, high)
}

/** A rig in VMX root operation with a prepared guest. */
export function readyRig(options?: { width?: number }): Rig {
  const rig = makeRig(options)
  enterVmx(rig)
  prepareGuest(rig)
  return rig
}

/** The same on a processor that left IA-32e mode before VMXON, with a 32-bit host and a 32-bit guest. */
export function legacyHostRig(): Rig {
  const rig = readyRig()
  rig.run({ op: 'vmxoff' })
  rig.run({ op: 'jumpFar', bits: 32 })
  rig.run({ op: 'movToCr', cr: 0, value: [0x1_0031, 0] })
  rig.run({ op: 'wrmsr', msr: 0xc000_0080, value: [0x801, 0] })
  rig.run({ op: 'movToCr', cr: 0, value: [0x8001_0031, 0] })
  rig.run({ op: 'vmxon', address: VMXON_REGION })
  prepareGuest(rig)
  rig.vmwrite(0x400c, EXIT & ~0x200)
  rig.vmwrite(0x4012, ENTRY & ~0x200)
  rig.vmwrite(0x4816, 0xc09b)
  return rig
}

/** A rig that runs in the guest; `change` edits the VMCS before the launch. */
export function guestRig(change: (rig: Rig) => void = () => undefined): Rig {
  const rig = readyRig()
  change(rig)
  const { outcome } = rig.run({ op: 'vmlaunch' })
  if (outcome !== 'done')
    throw new Error(`VMLAUNCH: ${outcome} ${JSON.stringify(rig.cpu.brokenEntryRules())}`)
  return rig
}

/** What a VM exit left: basic reason (with bit 31), qualification, instruction length, interruption information. */
export const exitOf = (rig: Rig) => ({
  reason: rig.vmread(0x4402),
  qualification: rig.vmread(0x6400),
  length: rig.vmread(0x440c),
  interruption: rig.vmread(0x4404),
})

/** Enables the local APIC: SVR with spurious vector 0xFF. */
export const enableApic = (rig: Rig): void => {
  rig.run({ op: 'write', address: 0xfee0_00f0, width: 4, value: [0x1ff, 0] })
}

export const endOfInterrupt = (rig: Rig): void => {
  rig.run({ op: 'write', address: 0xfee0_00b0, width: 4, value: [0, 0] })
}

export const word = (low: number, high = 0): Word64 => [low, high]
