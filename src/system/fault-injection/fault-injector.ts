/**
 * Faults of one platform: those that wait for their time or for an operation, and those that were injected. Each is made
 * where a real one would be, in a table, a register, a link or a function; what is waiting is data, so that a world with
 * faults to come can be saved.
 */
import { NorthbridgeError, parseFunctionAddress, type Saved } from '../../core/index.ts'
import type { Engine } from '../../engine/index.ts'
import {
  CORRECTABLE,
  EVER,
  type PcieFunction,
  reportCorrectable,
  reportUncorrectable,
  UNCORRECTABLE,
} from '../../pcie/index.ts'
import type { Platform } from '../../platform/index.ts'
import type { Fault, PlannedFault } from './fault-schema.ts'
import { changeBit } from './table-bits.ts'

/** Kind of the engine's events; their target says what is due, their argument is the number of the fault. */
const FAULT_EVENT = 'fault injection'
const DUE = { inject: 'inject', message: 'message', mend: 'mend' } as const

export type FaultState = 'waiting' | 'injected' | 'impossible' | 'cleared'

export interface FaultRecord {
  /** Counted from 1. */
  readonly number: number
  readonly fault: Fault
  /** Virtual time at which it is due, or of which operation it waits for how many more. */
  readonly at?: number | undefined
  readonly after?: PlannedFault['after']
  readonly left: number
  readonly state: FaultState
  /** When it was injected. */
  readonly time?: number | undefined
  /** What was done, or why it could not be. */
  readonly text: string
  /** A later fault of its kind took its place in the function or unit. */
  readonly replaced?: true
}

type Writable<Of> = { -readonly [Key in keyof Of]: Of[Key] }

export class FaultInjector {
  readonly #hardware: Platform
  readonly #engine: Engine
  #records: Writable<FaultRecord>[] = []

  constructor(hardware: Platform, engine: Engine) {
    this.#hardware = hardware
    this.#engine = engine
    engine.handle(FAULT_EVENT, (what, number) => this.#due(what, number))
  }

  /** In the order in which they were asked for. */
  get records(): readonly FaultRecord[] {
    return this.#records
  }

  /** How many operations of a fault in hardware will still go wrong; undefined for one that does not count. */
  remaining({ fault, state, replaced }: FaultRecord): number | undefined {
    if (replaced) return 0
    if (state !== 'injected' || !this.#hardware.powered) return undefined
    switch (fault.kind) {
      case 'lostCompletion':
        return this.#unit(fault.unit).waitFaults.lost
      case 'lateCompletion':
        return this.#unit(fault.unit).waitFaults.late
      case 'silentDeviceTlb': {
        const translation = this.#peek(fault.function)?.translation
        return translation === undefined || translation.invalidationDelay === 0
          ? 0
          : translation.delayedInvalidations
      }
      case 'stuckDma':
        return this.#armed(fault.function)?.lostReads ?? 0
      case 'poisonedCompletion':
        return this.#armed(fault.function)?.poisonedReads ?? 0
      case 'failedReset':
        return this.#armed(fault.function)?.failingResets ?? 0
      default:
        return undefined
    }
  }

  /** Injects a fault now. Throws `notFound`, `invalidArgument`, `topologyConflict`; then nothing has happened. */
  inject(fault: Fault): FaultRecord {
    const number = this.#records.length + 1
    const record: Writable<FaultRecord> = {
      number,
      fault,
      left: 0,
      state: 'injected',
      time: this.#engine.now,
      text: '',
    }
    record.text = this.#make(record)
    this.#replace(record)
    this.#records.push(record)
    this.#tell(record)
    return record
  }

  /** Lets faults wait for their time, from now on, or for operations. */
  plan(faults: readonly PlannedFault[]): readonly FaultRecord[] {
    return faults.map(({ at, after, fault }) => {
      const record = this.#note({
        fault,
        left: after?.times ?? 0,
        state: 'waiting',
        text: '',
        ...(at === undefined ? {} : { at: this.#engine.now + at }),
        ...(after === undefined ? {} : { after }),
      })
      if (at !== undefined) this.#engine.schedule(at, FAULT_EVENT, DUE.inject, record.number)
      return record
    })
  }

  /** An operation has succeeded. Returns whether a fault had waited for it. */
  happened(operation: string, input: Readonly<Record<string, unknown>>): boolean {
    let any = false
    for (const record of this.#records) {
      const { after, state } = record
      if (state !== 'waiting' || after?.operation !== operation || !matches(after.with, input)) continue
      record.left--
      if (record.left > 0) continue
      this.#injectWaiting(record)
      any = true
    }
    return any
  }

  /**
   * What waits is forgotten, and nothing more goes wrong in functions and units. What has happened stays: bits that
   * changed, links that broke, cards that are gone, reads that wait.
   */
  clear(): number {
    let cleared = 0
    for (const record of this.#records) {
      const { fault, state } = record
      const goesOn = state === 'waiting' || record.left > 0 || (this.remaining(record) ?? 0) > 0
      if (!goesOn) continue
      record.state = 'cleared'
      record.left = 0
      cleared++
      if ('unit' in fault) this.#unit(fault.unit).waitFaults.clear()
      else if ('function' in fault && state === 'injected') {
        const fn = this.#peek(fault.function)
        if (fault.kind === 'silentDeviceTlb') fn?.translation?.delayInvalidations(0)
        else if (fn?.hasFaults) fn.faults.disarm()
      }
    }
    return cleared
  }

  // Injecting

  #note(record: Omit<FaultRecord, 'number'>): Writable<FaultRecord> {
    const noted = { number: this.#records.length + 1, ...record }
    this.#records.push(noted)
    return noted
  }

  #injectWaiting(record: Writable<FaultRecord>): void {
    record.time = this.#engine.now
    record.left = 0
    try {
      record.text = this.#make(record)
      this.#replace(record)
      record.state = 'injected'
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      record.text = error.message
      record.state = 'impossible'
    }
    this.#tell(record)
  }

  /** There is one count of a kind in each function and unit. */
  #replace({ fault }: FaultRecord): void {
    if (!COUNTED.has(fault.kind)) return
    for (const other of this.#records) {
      if (other.state === 'injected' && other.fault.kind === fault.kind && isAlike(other.fault, fault))
        other.replaced = true
    }
  }

  #tell({ number, fault, state, text }: FaultRecord): void {
    this.#engine.trace.emit('injection', text, { number, kind: fault.kind, state })
  }

  #due(what: string, number: number): void {
    const record = this.#records[number - 1]
    if (record === undefined) return
    const { fault, state } = record
    if (what === DUE.inject && state === 'waiting') this.#injectWaiting(record)
    else if (what === DUE.message && state === 'injected') this.#sendNext(record)
    else if (what === DUE.mend && fault.kind === 'linkDown') this.#peek(fault.function)?.port?.sever(false)
  }

  /** Throws before anything has changed. Returns what was done. */
  #make(record: Writable<FaultRecord>): string {
    const { fault, number } = record
    const { cards } = this.#hardware
    switch (fault.kind) {
      case 'memoryBit':
      case 'tableBit':
      case 'interruptEntryBit':
      case 'randomTableBit':
        return changeBit(this.#hardware, fault, address => this.#function(address))
      case 'lostCompletion':
        this.#unit(fault.unit).waitFaults.lost = fault.times
        return `the next ${counted(fault.times, 'wait descriptor')} of ${fault.unit} will not complete`
      case 'lateCompletion':
        Object.assign(this.#unit(fault.unit).waitFaults, { late: fault.times, lateness: fault.delayNs })
        return `the next ${counted(fault.times, 'wait descriptor')} of ${fault.unit} will complete ${fault.delayNs} ns late`
      case 'silentDeviceTlb': {
        const { translation } = this.#function(fault.function)
        if (translation?.supported !== true) throw lacks(fault.function, 'device-TLB')
        translation.delayInvalidations(fault.delayNs ?? -1, fault.times)
        const how = fault.delayNs === undefined ? 'never' : `${fault.delayNs} ns late`
        return `the next ${counted(fault.times, 'invalidation')} of ${fault.function} will be answered ${how}`
      }
      case 'linkDown':
        this.#port(fault.function).port!.sever(true)
        if (fault.durationNs !== undefined)
          this.#engine.schedule(fault.durationNs, FAULT_EVENT, DUE.mend, number)
        return `the link below ${fault.function} broke`
      case 'surpriseRemoval':
        cards.pull(this.#port(fault.function))
        return `the card below ${fault.function} is gone`
      case 'stuckDma': {
        const times = fault.times ?? EVER
        Object.assign(this.#function(fault.function).faults.armed, {
          lostReads: times,
          timesOut: fault.timesOut,
        })
        const which = times === EVER ? 'every read' : `the next ${counted(times, 'read')}`
        return `${which} of ${fault.function} will get no completion`
      }
      case 'poisonedCompletion':
        this.#function(fault.function).faults.armed.poisonedReads = fault.times
        return `the next ${counted(fault.times, 'read')} of ${fault.function} will come back poisoned`
      case 'failedReset':
        Object.assign(this.#function(fault.function).faults.armed, {
          failingResets: fault.times,
          resetNs: fault.durationNs ?? EVER,
          silent: fault.answers === 'nothing',
        })
        return `the next ${counted(fault.times, 'function level reset')} of ${fault.function} will not end in time`
      case 'interruptStorm':
        this.#function(fault.function)
        record.left = fault.messages
        this.#engine.schedule(0, FAULT_EVENT, DUE.message, number)
        return `${fault.function} sends ${counted(fault.messages, 'message')} of vector ${fault.vector}`
      case 'detectedError': {
        const fn = this.#function(fault.function)
        const uncorrectable: Readonly<Record<string, number>> = UNCORRECTABLE
        const correctable: Readonly<Record<string, number>> = CORRECTABLE
        const bit = uncorrectable[fault.error]
        if (bit === undefined) reportCorrectable(fn, correctable[fault.error]!)
        else reportUncorrectable(fn, bit, undefined, false)
        return `${fault.function} detected an error: ${fault.error}`
      }
    }
  }

  /** One message of a storm, and the next one after its interval. */
  #sendNext(record: Writable<FaultRecord>): void {
    const { fault } = record
    if (fault.kind !== 'interruptStorm') return
    const fn = this.#hardware.powered ? this.#peek(fault.function) : undefined
    if (fn === undefined) record.left = 0
    else {
      this.#hardware.engineOf(fn).fire(fault.vector)
      record.left--
    }
    if (record.left > 0) this.#engine.schedule(fault.intervalNs, FAULT_EVENT, DUE.message, record.number)
  }

  // Finding

  #unit(id: string) {
    const unit = this.#hardware.units.find(candidate => candidate.id === id)
    if (unit === undefined) throw new NorthbridgeError('notFound', `there is no remapping unit "${id}"`)
    return unit
  }

  #peek(address: string): PcieFunction | undefined {
    const { segment, rid } = parseFunctionAddress(address)
    return this.#hardware.fabric.functionAt(segment, rid)
  }

  #armed(address: string) {
    const fn = this.#peek(address)
    return fn?.hasFaults ? fn.faults.armed : undefined
  }

  #function(address: string): PcieFunction {
    const fn = this.#hardware.powered ? this.#peek(address) : undefined
    if (fn === undefined) throw new NorthbridgeError('notFound', `there is no function ${address}`)
    return fn
  }

  #port(address: string): PcieFunction {
    const fn = this.#function(address)
    if (fn.port === undefined) throw lacks(address, 'link below')
    return fn
  }

  save(): Saved {
    return { version: 1, records: structuredClone(this.#records) as unknown as Saved }
  }

  load(saved: Saved): void {
    this.#records = structuredClone((saved as unknown as { records: FaultRecord[] }).records)
  }
}

/** Faults that count down in hardware. */
const COUNTED: ReadonlySet<string> = new Set([
  'lostCompletion',
  'lateCompletion',
  'silentDeviceTlb',
  'stuckDma',
  'poisonedCompletion',
  'failedReset',
])

/** Whether two faults of a kind are of the same function or unit. */
const isAlike = (a: Fault, b: Fault): boolean =>
  'unit' in a && 'unit' in b
    ? a.unit === b.unit
    : 'function' in a && 'function' in b && a.function === b.function

const counted = (count: number, what: string): string => (count === 1 ? what : `${count} ${what}s`)

const lacks = (address: string, what: string): NorthbridgeError => {
  const message = `${address} has no ${what}`
  return new NorthbridgeError('invalidArgument', message, { issues: [{ path: '/fault/function', message }] })
}

/** Whether an input has all these fields. */
const matches = (
  wanted: Readonly<Record<string, unknown>>,
  input: Readonly<Record<string, unknown>>,
): boolean =>
  Object.entries(wanted).every(([key, value]) => JSON.stringify(input[key]) === JSON.stringify(value))
