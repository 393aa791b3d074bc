/**
 * One interface for every way to run a guest: the same operations go in, the same guest-visible results come out, and a
 * ledger says what it took. Techniques are software: they act through the machine port.
 */
import { PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { MachinePort, ProcessorPort } from '../../platform/machine-port.ts'
import type { Operation, OperationResult } from '../../vmx/formats/operations.ts'
import type { Ledger } from './ledger.ts'

export type Bits = 32 | 64

export const TECHNIQUES = [
  'bareMetal',
  'ringDeprivileging013',
  'ringDeprivileging033',
  'binaryTranslation',
  'paravirtual',
  'vmi',
  'vmxShadow',
  'vmxEpt',
  'svmShadow',
  'svmNested',
] as const
export type TechniqueName = (typeof TECHNIQUES)[number]

/** As guest/streams has it; the two halves agree by structure. */
export interface GuestOutcome {
  outcome: 'done' | 'event' | 'halted' | 'failed'
  low: number
  high: number
  eax: number
  ebx: number
  ecx: number
  edx: number
  vector: number
  error: number
}

/** What a processor generation offers a technique. */
export interface TechniqueFeatures {
  /** VPID, or ASIDs that survive a world switch. */
  readonly taggedTlb: boolean
  /** CR4.UMIP set on behalf of deprivileged guests. */
  readonly umip: boolean
}

export interface TechniqueHost {
  readonly machine: MachinePort
  readonly processor: ProcessorPort
  readonly bits: Bits
  /** Host page of guest page 0, and how many there are. */
  readonly guestBase: PageNumber
  readonly guestPages: number
  readonly features: TechniqueFeatures
  /** A page of zeros, below 4 GiB. */
  allocate(): PageNumber
}

export interface Technique {
  readonly name: TechniqueName
  readonly ledger: Ledger
  /** Boots: the guest's memory is loaded; afterwards its kernel is about to execute its first operation. */
  start(): void
  execute(operation: Operation, at: number): GuestOutcome
  /** Guest-physical memory as the guest understands it: frames of page tables are guest frames. */
  readGuest(address: number): number
}

/** How the loaders of all techniques leave the guest: where its tables and stacks lie, as its own boot code would have it. */
export interface GuestStart {
  readonly cr3: number
  readonly gdt: { readonly base: number; readonly limit: number }
  readonly idt: { readonly base: number; readonly limit: number }
  readonly code: number
  readonly data: number
  readonly task: number
  readonly taskBase: number
  readonly rip: number
  readonly rsp: number
}

export class OutcomeRecord implements GuestOutcome {
  outcome: GuestOutcome['outcome'] = 'done'
  low = 0
  high = 0
  eax = 0
  ebx = 0
  ecx = 0
  edx = 0
  vector = -1
  error = 0

  done(low = 0, high = 0): this {
    this.outcome = 'done'
    this.vector = -1
    this.low = low >>> 0
    this.high = high >>> 0
    this.eax = this.ebx = this.ecx = this.edx = 0
    return this
  }

  copy(result: OperationResult): this {
    this.done(result.low, result.high)
    this.eax = result.eax
    this.ebx = result.ebx
    this.ecx = result.ecx
    this.edx = result.edx
    return this
  }

  event(vector: number, error = 0): this {
    this.done()
    this.outcome = 'event'
    this.vector = vector
    this.error = error
    return this
  }

  end(outcome: 'halted' | 'failed'): this {
    this.done()
    this.outcome = outcome
    return this
  }
}

export const addressOf = (page: PageNumber): number => page * PAGE_SIZE
