/**
 * Shares the host's logical processors out among the virtual processors that have something to compute, slice by slice of
 * virtual time. In a slice each chosen one is in its guest until its "VMX-Preemption Timer" ends the turn.
 */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import { type Engine, pause, type Software, until, WAKE_UP } from '../../engine/index.ts'
import type { HostProcessor } from '../host-processor.ts'
import type { Vcpu } from '../vcpu.ts'
import type { Machine } from '../virtual-machine.ts'
import { type CpuSettings, checkCpu, defaultCpu } from './cpu-claims.ts'
import { entitlements } from './entitlement.ts'
import { type Competitor, nextSlice } from './time-sharing.ts'

/** Nanoseconds of one unit of the preemption timer. */
const TIMER_UNIT = 32
export const DEFAULT_SLICE_NS = 10_000_000
/** Shorter, a turn would be all overhead; longer, the timer's 32 bits would not hold it. */
export const SLICE_RANGE_NS = { least: 100_000, most: 1_000_000_000 } as const
/** Of one run: a minute in slices of a millisecond, which takes a server seconds. */
const MOST_SLICES = 60_000

/** What one machine has of the processors. Times since it was made, all of its virtual processors together. */
export interface CpuView extends CpuSettings {
  readonly vm: string
  readonly vcpus: number
  readonly usedNs: number
  /** What it was entitled to while it had something to compute. */
  readonly entitledNs: number
  /** How long virtual processors had something to compute and no processor. */
  readonly readyNs: number
  readonly turns: number
  /** Turns on another processor than the one before. */
  readonly moves: number
}

type Counters = { usedNs: number; entitledNs: number; readyNs: number; turns: number; moves: number }

interface Account {
  settings: CpuSettings
  owed: number
  readonly runners: { backlog: number }[]
  readonly counters: Counters
}

type SavedScheduler = {
  readonly version: 1
  readonly accounts: readonly {
    readonly vm: string
    readonly settings: { readonly [Name in keyof CpuSettings]: number }
    readonly owed: number
    readonly backlogs: readonly number[]
    readonly counters: { readonly [Name in keyof Counters]: number }
  }[]
}

/** What it needs of the hypervisor. */
export interface SchedulerHost {
  readonly engine: Engine
  readonly processors: readonly HostProcessor[]
  find(name: string): Machine
  machines(): readonly Machine[]
  settle(): Software
}

interface Turn {
  readonly vcpu: Vcpu
  readonly account: Account
}

export class CpuScheduler {
  readonly #host: SchedulerHost
  /** By machine. */
  readonly #accounts = new Map<string, Account>()

  constructor(host: SchedulerHost) {
    this.#host = host
  }

  #account({ name, vcpus }: Machine): Account {
    let account = this.#accounts.get(name)
    if (account === undefined) {
      account = {
        settings: defaultCpu(vcpus.length),
        owed: 0,
        // Its virtual processors do not all ask at the same moment.
        runners: vcpus.map((_, i) => ({ backlog: i / vcpus.length })),
        counters: { usedNs: 0, entitledNs: 0, readyNs: 0, turns: 0, moves: 0 },
      }
      this.#accounts.set(name, account)
    }
    return account
  }

  /** Throws `notFound`; `invalidArgument`, `unsupported` or `outOfResources`, with nothing changed. */
  set(name: string, wanted: Partial<CpuSettings>): CpuView {
    const machine = this.#host.find(name)
    const known = this.#accounts.get(name)?.settings ?? defaultCpu(machine.vcpus.length)
    const settings = { ...known, ...wanted }
    checkCpu(settings, machine.vcpus.length)
    if (settings.loadPercent > 0 && machine.nested) {
      throw new NorthbridgeError(
        'unsupported',
        `${name} finds VMX: the turns of guests of guests are not shared out`,
      )
    }
    let reserved = settings.reservationPercent
    for (const [other, account] of this.#accounts) {
      if (other !== name) reserved += account.settings.reservationPercent
    }
    const capacity = this.#host.processors.length * 100
    if (reserved > capacity) {
      throw new NorthbridgeError(
        'outOfResources',
        `reservations of ${reserved} % of a processor cannot be kept by ${this.#host.processors.length} processors`,
      )
    }
    this.#account(machine).settings = settings
    return this.view(name)
  }

  /** Throws `notFound`. */
  view(name: string): CpuView {
    const machine = this.#host.find(name)
    const vcpus = machine.vcpus.length
    const account = this.#accounts.get(name)
    const settings = account?.settings ?? defaultCpu(vcpus)
    const none = { usedNs: 0, entitledNs: 0, readyNs: 0, turns: 0, moves: 0 }
    return { vm: name, vcpus, ...settings, ...(account?.counters ?? none) }
  }

  views(): readonly CpuView[] {
    return this.#host.machines().map(({ name }) => this.view(name))
  }

  /** By machine, in processors: what each is entitled to for as long as all have the load that they have. */
  entitlements(): ReadonlyMap<string, number> {
    const claims = [...this.#accounts].map(([vm, { settings, runners }]) => ({
      vm,
      shares: settings.shares,
      reservation: settings.reservationPercent / 100,
      limit: settings.limitPercent / 100,
      demand: (runners.length * settings.loadPercent) / 100,
    }))
    const parts = entitlements(claims, this.#host.processors.length)
    return new Map(claims.map(({ vm }, i) => [vm, parts[i]!]))
  }

  forget(name: string): void {
    this.#accounts.delete(name)
  }

  /**
   * Lets time pass while machines compute. Devices' interrupts are taken between slices. Throws `invalidArgument`; what the
   * first turn on a processor throws.
   */
  *run(nanoseconds: number, slice = DEFAULT_SLICE_NS): Software {
    const { least, most } = SLICE_RANGE_NS
    if (!Number.isInteger(slice) || slice < least || slice > most || slice % TIMER_UNIT !== 0) {
      throw invalid('sliceNs', `a multiple of ${TIMER_UNIT} from ${least} to ${most}`)
    }
    if (!Number.isInteger(nanoseconds) || nanoseconds < slice || nanoseconds % slice !== 0) {
      throw invalid('nanoseconds', 'a whole number of slices')
    }
    if (nanoseconds / slice > MOST_SLICES) {
      throw invalid('sliceNs', `at least 1/${MOST_SLICES} of the time: more slices are no single run`)
    }
    yield* this.#host.settle()
    for (let done = 0; done < nanoseconds; done += slice) {
      yield* this.#slice(slice)
      yield* pause()
    }
    for (const machine of this.#host.machines()) for (const vcpu of machine.vcpus) vcpu.endTurns()
  }

  *#slice(slice: number): Software {
    const { engine } = this.#host
    const machines = this.#host.machines().filter(machine => this.#competes(machine))
    const turns = this.#share(machines, slice)
    for (const { vcpu, account } of turns) {
      yield* vcpu.beginTurn(slice / TIMER_UNIT)
      account.counters.usedNs += slice
      account.counters.turns++
    }
    for (const { vcpu } of turns) yield* vcpu.goOn()
    const end = engine.now + slice
    engine.schedule(slice, WAKE_UP, '')
    yield* until(() => engine.now >= end)
    for (const { vcpu } of turns) yield* vcpu.endTurn()
    yield* this.#host.settle()
  }

  #competes({ name, paused }: Machine): boolean {
    const account = this.#accounts.get(name)
    if (account === undefined || paused) return false
    return account.settings.loadPercent > 0 || account.runners.some(({ backlog }) => backlog >= 1)
  }

  /** Chooses who runs, and brings each to a processor: to the one it was on, if that is free. */
  #share(machines: readonly Machine[], slice: number): Turn[] {
    const { processors } = this.#host
    const accounts = machines.map(machine => this.#account(machine))
    const competitors = accounts.map(competitor)
    const { chosen, parts } = nextSlice(competitors, processors.length)
    for (const [i, account] of accounts.entries()) {
      const { owed, runners } = competitors[i]!
      account.owed = owed
      account.counters.entitledNs += parts[i]! * slice
      const waiting = runners.filter(({ backlog }) => backlog >= 1).length
      account.counters.readyNs += waiting * slice
    }
    const turns = chosen.map(({ competitor: i, runner }) => ({
      machine: machines[i]!,
      account: accounts[i]!,
      vcpu: machines[i]!.vcpus[runner]!,
    }))
    const taken = new Set<HostProcessor>()
    const homeless = turns.filter(({ vcpu }) => {
      if (taken.has(vcpu.processor)) return true
      taken.add(vcpu.processor)
      return false
    })
    const free = processors.filter(processor => !taken.has(processor))
    for (const [i, { machine, vcpu, account }] of homeless.entries()) {
      machine.move(vcpu, free[i]!)
      account.counters.moves++
    }
    return turns
  }

  load(saved: Saved): void {
    const { accounts } = opened<SavedScheduler>(saved, 'the scheduler of virtual processors', 1)
    for (const { vm, settings, owed, backlogs, counters } of accounts) {
      this.#accounts.set(vm, {
        settings: { ...settings },
        owed,
        runners: backlogs.map(backlog => ({ backlog })),
        counters: { ...counters },
      })
    }
  }

  save(): SavedScheduler {
    return {
      version: 1,
      accounts: [...this.#accounts].map(([vm, { settings, owed, runners, counters }]) => ({
        vm,
        settings: { ...settings },
        owed,
        backlogs: runners.map(({ backlog }) => backlog),
        counters: { ...counters },
      })),
    }
  }
}

/** The runners are the account's own: their work is done there. */
const competitor = ({ settings, owed, runners }: Account): Competitor => ({
  shares: settings.shares,
  reservation: settings.reservationPercent / 100,
  limit: settings.limitPercent / 100,
  load: settings.loadPercent / 100,
  runners,
  owed,
})

const invalid = (field: string, rule: string): NorthbridgeError =>
  new NorthbridgeError('invalidArgument', `${field} must be ${rule}`, {
    issues: [{ path: `/${field}`, message: `must be ${rule}` }],
  })
