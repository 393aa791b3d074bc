/**
 * A small hypervisor in a guest (L1): a guest kernel that, where it finds VMX, runs what it is given in a guest of its
 * own (L2), with memory through EPT. It answers CPUID and HLT, lets L2 reach the ports that L1 has, gives it no MSRs, and
 * has no devices for it: where L2 has no memory it reads ones and writes nothing.
 */
import { opened, PAGE_SIZE, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { EVENT_TYPE, interruptionInformation } from '../../vmx/formats/events.ts'
import { EXIT_REASON } from '../../vmx/formats/exit-reasons.ts'
import { EXCEPTION, FEATURE_CONTROL, MSR } from '../../vmx/formats/msrs.ts'
import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { GuestPort, GuestResult } from '../guest-port.ts'
import { GuestKernel } from '../kernel.ts'
import { GuestTables } from './guest-tables.ts'
import { fillVmcs } from './guest-vmcs.ts'
import { GUEST_MEMORY, type PageRange, REGIONS, TABLES } from './layout.ts'

/** CPUID.1:ECX.VMX */
const CPUID_VMX = 1 << 5
const REVISION_BITS = 0x7fff_ffff
const ALL_ONES = 0xffff_ffff

/** A VM exit of L2 as L1 found it. */
export interface GuestExit {
  readonly reason: number
  readonly qualification: number
  /** EPT violations and misconfigurations: the address in L2; else what the field holds. */
  readonly address: number
}

export interface GuestHypervisorOptions {
  /** Pages of L1 that are the memory of L2, from address 0 on. */
  readonly memory?: PageRange
  /** Pages of L1 for its EPT. */
  readonly tables?: PageRange
}

export class GuestHypervisor {
  /** What L2 has for memory. */
  readonly tables: GuestTables
  readonly #port: GuestPort
  readonly #kernel: GuestKernel
  readonly #memory: PageRange
  readonly #vcpu: number
  readonly #vmxonRegion: number
  readonly #vmcs: number
  /** There is VMX, and an L2. */
  #ready = false
  #launched = false
  #inGuest = false
  #last: GuestExit | undefined

  constructor(port: GuestPort, vcpu: number, { memory, tables }: GuestHypervisorOptions = {}) {
    this.#port = port
    this.#kernel = new GuestKernel(port, vcpu)
    this.#vcpu = vcpu
    this.#memory = memory ?? GUEST_MEMORY
    this.tables = new GuestTables(port, tables ?? TABLES)
    this.#vmxonRegion = (REGIONS.first + vcpu * 2) * PAGE_SIZE
    this.#vmcs = this.#vmxonRegion + PAGE_SIZE
  }

  /** The VM exit of L2 that L1 was shown last. */
  get lastExit(): GuestExit | undefined {
    return this.#last
  }

  *start(): Software {
    yield* this.#kernel.start()
    const { ecx } = yield* this.#port.execute({ op: 'cpuid', leaf: 1 })
    if ((ecx & CPUID_VMX) === 0) return
    if (!(yield* this.#switchOn())) return
    if (this.#vcpu === 0) yield* this.#giveMemory()
    yield* fillVmcs(this.#port, this.tables.pointer)
    this.#ready = true
  }

  /** Virtual processors of L1 share the tables, which the first makes. */
  *#giveMemory(): Software {
    for (let page = 0; page < this.#memory.pages; page++) {
      yield* this.tables.map(page, this.#memory.first + page)
    }
  }

  /** "Enabling and Entering VMX Operation", and a current VMCS; false where something of it fails. */
  *#switchOn(): Software<boolean> {
    const port = this.#port
    const { low } = yield* port.execute({ op: 'rdmsr', msr: MSR.IA32_FEATURE_CONTROL })
    const { lock, vmxOutsideSmx } = FEATURE_CONTROL
    if ((low & lock) === 0) {
      yield* port.execute({ op: 'wrmsr', msr: MSR.IA32_FEATURE_CONTROL, value: [lock | vmxOutsideSmx, 0] })
    }
    const revision = (yield* port.execute({ op: 'rdmsr', msr: MSR.IA32_VMX_BASIC })).low & REVISION_BITS
    for (const address of [this.#vmxonRegion, this.#vmcs]) {
      yield* port.execute({ op: 'write', address, width: 4, value: [revision, 0] })
    }
    const steps: readonly Operation[] = [
      { op: 'vmxon', address: this.#vmxonRegion },
      { op: 'vmclear', address: this.#vmcs },
      { op: 'vmptrld', address: this.#vmcs },
    ]
    for (const step of steps) if ((yield* port.execute(step)).outcome !== 'done') return false
    return true
  }

  interrupt(vector: number, interruptFlag: boolean): Software {
    return this.#kernel.interrupt(vector, interruptFlag)
  }

  /** An operation of L2; without VMX, of the kernel. Where L2 cannot be entered, how that ended; L1 still sleeps. */
  *execute(operation: Operation): Software<GuestResult> {
    if (!this.#ready) return yield* this.#port.execute(operation)
    for (;;) {
      const entered = yield* this.#enter()
      if (entered !== undefined) return operation.op === 'hlt' ? yield* this.#sleep() : entered
      const result = yield* this.#port.execute(operation)
      if (result.outcome !== 'vmExit') return result
      this.#inGuest = false
      const answer = yield* this.#answer(operation, result)
      if (answer !== undefined) return answer
    }
  }

  /** `undefined`: L2 runs. */
  *#enter(): Software<GuestResult | undefined> {
    if (this.#inGuest) return undefined
    const result = yield* this.#port.execute({ op: this.#launched ? 'vmresume' : 'vmlaunch' })
    if (result.outcome !== 'done') return result
    this.#launched = true
    this.#inGuest = true
    return undefined
  }

  /** The result of the operation that exited; `undefined`: it is to be tried again. */
  *#answer(operation: Operation, result: GuestResult): Software<GuestResult | undefined> {
    const exit: GuestExit = {
      reason: (yield* this.#read('exitReason'))[0] & 0xffff,
      qualification: (yield* this.#read('exitQualification'))[0],
      address: join(yield* this.#read('guestPhysicalAddress')),
    }
    this.#last = exit
    const done: GuestResult = { ...result, outcome: 'done', low: 0, high: 0 }
    switch (exit.reason) {
      case EXIT_REASON.externalInterrupt:
        // The handler runs once L1 lets it: an operation after STI, before the next entry.
        yield* this.#port.execute({ op: 'sti' })
        yield* this.#port.execute({ op: 'nop' })
        return undefined
      case EXIT_REASON.hlt:
        yield* this.#skip()
        return yield* this.#sleep()
      case EXIT_REASON.cpuid: {
        yield* this.#skip()
        const found = yield* this.#port.execute(operation)
        // It cannot be a hypervisor in its turn.
        return { ...found, ecx: (found.ecx & ~CPUID_VMX) >>> 0 }
      }
      case EXIT_REASON.eptViolation:
      case EXIT_REASON.eptMisconfiguration:
        yield* this.#skip()
        return { ...done, low: ALL_ONES, high: ALL_ONES }
      case EXIT_REASON.rdmsr:
      case EXIT_REASON.wrmsr:
        return yield* this.#fault(EXCEPTION.GP, result)
      default:
        yield* this.#skip()
        return result
    }
  }

  /** Until an interrupt comes, whose handler runs. */
  *#sleep(): Software<GuestResult> {
    yield* this.#port.execute({ op: 'sti' })
    return yield* this.#port.execute({ op: 'hlt' })
  }

  /** The next entry delivers a fault with error code 0. */
  *#fault(vector: number, result: GuestResult): Software<GuestResult> {
    yield* this.#write('entryExceptionErrorCode', [0, 0])
    const information = interruptionInformation(EVENT_TYPE.hardwareException, vector, true)
    yield* this.#write('entryInterruptionInformation', [information >>> 0, 0])
    return { ...result, outcome: 'exception', vector, error: 0 }
  }

  /** Moves L2 past the instruction that exited. */
  *#skip(): Software {
    const [length] = yield* this.#read('exitInstructionLength')
    const [low, high] = yield* this.#read('guestRip')
    const next = low + length
    yield* this.#write('guestRip', [next >>> 0, high + (next > ALL_ONES ? 1 : 0)])
  }

  *#read(name: VmcsFieldName): Software<Word64> {
    const { low, high } = yield* this.#port.execute({ op: 'vmread', field: VMCS[name] })
    return [low, high]
  }

  *#write(name: VmcsFieldName, value: Word64): Software {
    yield* this.#port.execute({ op: 'vmwrite', field: VMCS[name], value })
  }

  save(): Saved {
    return {
      version: 2,
      kernel: this.#kernel.save(),
      tables: this.tables.save(),
      ready: this.#ready,
      launched: this.#launched,
      inGuest: this.#inGuest,
      last: this.#last === undefined ? null : { ...this.#last },
    }
  }

  load(saved: Saved): void {
    const state = opened<{
      kernel: Saved
      tables: Saved
      ready: boolean
      launched: boolean
      inGuest: boolean
      last: GuestExit | null
    }>(saved, 'the hypervisor of a guest', 2)
    this.#kernel.load(state.kernel)
    this.tables.load(state.tables)
    this.#ready = state.ready
    this.#launched = state.launched
    this.#inGuest = state.inGuest
    this.#last = state.last ?? undefined
  }
}

const join = ([low, high]: Word64): number => high * 2 ** 32 + low

/** What a virtual machine runs: a hypervisor for each virtual processor. */
export const guestHypervisor = () => (port: GuestPort, vcpu: number) => new GuestHypervisor(port, vcpu)
