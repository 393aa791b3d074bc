/**
 * The error service, in the order of Linux's AER and DPC drivers: an interrupt of a root port, of an event collector or
 * of a port that contains an error is noted; outside the interrupt the logs are read, told and cleared, and after a fatal
 * error what is below the port is reset and put back into service.
 */
import { formatFunctionAddress, hex, opened, type RequesterId } from '../core/index.ts'
import { type Engine, type Software, sleep } from '../engine/index.ts'
import type { DriverCore } from './driver-core.ts'
import { type ConfigState, restoreConfig, saveConfig } from './pci/config-state.ts'
import { canContain, containedError, releaseContainment } from './pci/containment.ts'
import { type Severity, takeErrors, takeRootErrors } from './pci/error-registers.ts'
import { isGone, resetAndRestore, untilReady } from './pci/function-reset.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import { resetSecondaryBus } from './pci/secondary-bus-reset.ts'
import { VF_ENABLE_TIME } from './sriov.ts'
import type { FunctionUsers } from './types.ts'

export interface ErrorServiceOptions {
  readonly engine: Engine
  readonly drivers: DriverCore
  /** By address. */
  readonly functions: ReadonlyMap<string, HostPciFunction>
  /** Forgets that the link of a port went down and came up again. */
  readonly forgetLinkEvents: (port: HostPciFunction) => void
  /** A function in the hands of user space was reset. */
  readonly wasReset: (fn: HostPciFunction) => Software
}

/** Registers of functions, to be put back after a reset. */
type Snapshot = readonly { readonly fn: HostPciFunction; readonly state: ConfigState }[]

const TOLD = { correctable: 'correctable', nonFatal: 'non-fatal', fatal: 'fatal' } as const

export type SavedErrors = {
  readonly version: 1
  /** Ports that have interrupted, in that order. */
  readonly pending: readonly string[]
  readonly snapshots: readonly {
    readonly port: string
    readonly functions: readonly { readonly function: string; readonly state: ConfigState }[]
  }[]
}

export class ErrorService {
  readonly #options: ErrorServiceOptions
  readonly #pending = new Set<HostPciFunction>()
  /** By port that contains errors: containment resets what is below before anybody can read its registers. */
  readonly #snapshots = new Map<HostPciFunction, Snapshot>()

  constructor(options: ErrorServiceOptions) {
    this.#options = options
  }

  /** The interrupt handler. */
  interrupted(port: HostPciFunction): void {
    this.#pending.add(port)
  }

  /** Takes down what functions below ports that contain errors are set to: after each change of it. */
  remember(): void {
    for (const port of this.#options.functions.values()) {
      if (port.bridge && canContain(port) && containedError(port) === undefined)
        this.#snapshots.set(port, snapshotOf(port))
    }
  }

  get hasWork(): boolean {
    return this.#pending.size > 0
  }

  /** Does what the interrupts ask for. @returns whether there was anything. */
  *serve(users: FunctionUsers): Software<boolean> {
    let served = false
    for (const port of this.#pending) {
      this.#pending.delete(port)
      for (const { severity, source, several } of takeRootErrors(port)) {
        served = true
        yield* this.#handle(port, severity, this.#sourcesOf(port, source, several), users)
      }
      const contained = containedError(port)
      if (contained === undefined) continue
      served = true
      const source = contained.source === 0 ? port.address : addressOf(port, contained.source)
      this.#say(port, `contains an error: ${contained.reason}, source ${source}`, { ...contained, source })
      yield* this.#release(port, users)
    }
    return served
  }

  /** Who may have sent a message: who the root port names, and if there were several, everybody below. */
  #sourcesOf(root: HostPciFunction, source: number, several: boolean): HostPciFunction[] {
    const named = this.#options.functions.get(addressOf(root, source))
    if (named !== undefined && !several) return [named]
    const everybody = root.bridge ? [root, ...below(root)] : besides(root, this.#options.functions)
    return named === undefined ? everybody : [named, ...everybody.filter(fn => fn !== named)]
  }

  *#handle(
    root: HostPciFunction,
    severity: Severity,
    sources: readonly HostPciFunction[],
    users: FunctionUsers,
  ): Software {
    const reset = new Set<HostPciFunction>()
    for (const [i, fn] of sources.entries()) {
      if (isGone(fn)) continue
      const logged = this.#tell(fn, severity)
      if (!logged && i > 0) continue
      if (!logged) this.#say(fn, `${TOLD[severity]} error, told to ${root.address}`, { severity })
      if (severity === 'fatal') reset.add(resetPoint(fn))
      else if (severity === 'nonFatal') yield* this.#tellUser(fn, users, false)
    }
    for (const point of reset) yield* this.#reset(point, users)
  }

  /** What a virtual machine has stays with it; its guest learns what happened. */
  *#tellUser(fn: HostPciFunction, users: FunctionUsers, wasReset: boolean): Software {
    if (fn.owner.kind !== 'vm') return
    if (wasReset) yield* this.#options.wasReset(fn)
    const what = wasReset ? 'the reset' : 'the error'
    this.#say(fn, `virtual machine "${fn.owner.name}" is told of ${what}`, { vm: fn.owner.name })
    yield* users.failed(fn.address, wasReset)
  }

  /** After a fatal error: the bus below the port of who reported it is reset; a function of the root complex is by itself. */
  *#reset(point: HostPciFunction, users: FunctionUsers): Software {
    const { engine, drivers } = this.#options
    if (!point.bridge) {
      const methods = point.resetMethods
      if (methods.length === 0) return this.#say(point, 'has no reset: recovery failed', {})
      const method = yield* resetAndRestore(point, methods, engine)
      if (method === undefined) return
      if (point.owner.kind === 'vm') yield* this.#tellUser(point, users, true)
      else yield* drivers.rearm(point)
      return this.#say(point, `recovered by ${method}`, {})
    }
    const snapshot = snapshotOf(point)
    resetSecondaryBus(point)
    yield* this.#putBack(point, snapshot, users)
  }

  /** Containment has reset what is below. */
  *#release(port: HostPciFunction, users: FunctionUsers): Software {
    releaseContainment(port)
    this.#tell(port, 'fatal')
    const snapshot = this.#presentOf(this.#snapshots.get(port) ?? [])
    yield* this.#putBack(port, snapshot, users)
    if (snapshot.every(({ fn }) => !isGone(fn))) this.#options.forgetLinkEvents(port)
  }

  /** Without functions that have left the machine since. */
  #presentOf(snapshot: Snapshot): Snapshot {
    return snapshot.filter(({ fn }) => this.#options.functions.get(fn.address) === fn)
  }

  /** Registers first, from the port down, then drivers; virtual machines are told. */
  *#putBack(port: HostPciFunction, snapshot: Snapshot, users: FunctionUsers): Software {
    const { engine, drivers } = this.#options
    const present = this.#presentOf(snapshot)
    for (const { fn, state } of present) {
      if (fn.physical !== undefined) continue
      if (!(yield* untilReady(fn, engine)))
        return this.#say(port, `recovery failed: ${fn.address} is gone`, {})
      restoreConfig(fn, state)
      this.#tell(fn, 'fatal')
    }
    // "VF Enable" was set again.
    if (present.some(({ fn }) => fn.physical !== undefined)) yield* sleep(engine, VF_ENABLE_TIME)
    for (const { fn, state } of present) {
      if (fn.physical !== undefined) restoreConfig(fn, state)
      if (fn.owner.kind === 'vm') yield* this.#tellUser(fn, users, true)
      else yield* drivers.rearm(fn)
    }
    this.#say(port, `recovered: ${present.length} functions below were reset and put back`, {})
  }

  /** Tells and clears what a function has logged of a severity. False if that is nothing. */
  #tell(fn: HostPciFunction, severity: Severity): boolean {
    const logged = takeErrors(fn, severity)
    if (logged === undefined) return false
    const { names, first, header } = logged
    const packet = header.map(dword => hex(dword, 8)).join(' ')
    const about = first === undefined ? '' : `; first ${first}, header ${packet}`
    this.#say(fn, `${TOLD[severity]} error: ${names.join(', ')}${about}`, { severity, errors: names })
    return true
  }

  #say(fn: HostPciFunction, what: string, details: object): void {
    this.#options.engine.trace.emit('host', `${fn.address}: ${what}`, { function: fn.address, ...details })
  }

  save(): SavedErrors {
    const { functions } = this.#options
    return {
      version: 1,
      pending: [...this.#pending].map(({ address }) => address),
      snapshots: [...this.#snapshots]
        .filter(([port]) => functions.get(port.address) === port)
        .map(([port, snapshot]) => ({
          port: port.address,
          functions: this.#presentOf(snapshot).map(({ fn, state }) => ({ function: fn.address, state })),
        }))
        .sort((a, b) => (a.port < b.port ? -1 : 1)),
    }
  }

  load(saved: SavedErrors): void {
    opened(saved, 'the error service', 1)
    const find = (address: string): HostPciFunction => this.#options.functions.get(address)!
    for (const address of saved.pending) this.#pending.add(find(address))
    for (const { port, functions } of saved.snapshots) {
      const snapshot = functions.map(({ function: address, state }) => ({ fn: find(address), state }))
      this.#snapshots.set(find(port), snapshot)
    }
  }
}

/** The port whose bus is reset for a function; itself for a port, and for a function of the root complex. */
const resetPoint = (fn: HostPciFunction): HostPciFunction =>
  fn.bridge && fn.kind !== 'upstreamPort' ? fn : (fn.above ?? fn.physical ?? fn)

const addressOf = ({ segment }: HostPciFunction, rid: number): string =>
  formatFunctionAddress(segment, rid as RequesterId)

/** Every function below a bridge, from the top down, virtual ones behind their physical function. */
const below = (bridge: HostPciFunction): HostPciFunction[] => bridge.below.flatMap(fn => [fn, ...below(fn)])

/** Functions of the root bus of an event collector, which may be associated with it. */
const besides = (
  collector: HostPciFunction,
  functions: ReadonlyMap<string, HostPciFunction>,
): HostPciFunction[] =>
  [...functions.values()].filter(
    fn =>
      fn.above === undefined &&
      !fn.bridge &&
      fn.segment === collector.segment &&
      fn.rid >>> 8 === collector.rid >>> 8,
  )

const snapshotOf = (port: HostPciFunction): Snapshot => below(port).map(fn => ({ fn, state: saveConfig(fn) }))
