/** Giving functions to user space and taking them back: ownership of groups, domains, drivers and reset together. */
import { NorthbridgeError } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import type { DriverCore } from '../driver-core.ts'
import { setBusMaster } from '../driver-core.ts'
import { driverNamed } from '../driver-table.ts'
import type { TranslationDomain } from '../iommu/domain.ts'
import type { Iommu } from '../iommu/iommu.ts'
import type { GroupState } from '../iommu/iommu-state.ts'
import { isGone, resetAndRestore } from '../pci/function-reset.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { AssignedFunction } from '../types.ts'
import { type Assignment, type SavedAssigned, VfioFunction } from './assigned-function.ts'
import { type AssignmentRules, checkAssignable } from './viability.ts'

const VFIO_DRIVER = 'vfio-pci'

export interface VfioOptions {
  readonly iommu: Iommu
  readonly drivers: DriverCore
  readonly engine: Engine
  readonly rules: AssignmentRules
  /** Throws `notFound`. */
  readonly find: (address: string) => HostPciFunction
}

export class Vfio {
  readonly #options: VfioOptions
  readonly #assigned = new Map<HostPciFunction, VfioFunction>()

  constructor(options: VfioOptions) {
    this.#options = options
  }

  /**
   * Gives a function to `owner` (a virtual machine's name): unbound from its driver, reset, and with its whole group
   * in a domain of the owner's. Everything is checked, and memory and ids are taken, before anything changes.
   */
  *attach(address: string, owner: string): Software<AssignedFunction> {
    const { iommu, drivers, engine, rules, find } = this.#options
    const fn = find(address)
    const state = checkAssignable(fn, owner, iommu, rules)
    const first = state.user === undefined
    const domain = first ? iommu.createDomain(state) : state.domain!
    const before = fn.driver

    yield* drivers.unbind(fn)
    fn.driver = VFIO_DRIVER
    fn.owner = { kind: 'vm', name: owner }
    yield* this.#reset(fn)
    drivers.enable(fn)
    if (first) {
      state.user = owner
      yield* iommu.move(state, domain)
    }
    const handle = new VfioFunction(this.#assignment(fn, owner, state, domain, before))
    this.#assigned.set(fn, handle)
    engine.trace.emit('assignment', `${fn.address} is assigned to virtual machine "${owner}"`, {
      function: fn.address,
      vm: owner,
      group: state.group.id,
    })
    return handle
  }

  #assignment(
    fn: HostPciFunction,
    owner: string,
    state: GroupState,
    domain: TranslationDomain,
    before: string | null,
  ): Assignment {
    const { iommu, drivers } = this.#options
    return {
      fn,
      owner,
      domain,
      before,
      interrupts: drivers.interruptsOf(fn),
      trackDirty: on => iommu.trackDirty(state, domain, on),
      servePageRequests: handler => iommu.servePageRequests(fn, state, domain, handler),
      release: () => this.#release(fn, state, domain, before),
    }
  }

  /** The handle of a function that is in the hands of user space. */
  handleOf(address: string): AssignedFunction {
    return this.#assigned.get(this.#options.find(address))!
  }

  /** Why `owner` would not get a function as things stand; undefined if nothing is against it. Throws `notFound`. */
  whyNot(address: string, owner: string): NorthbridgeError | undefined {
    const { iommu, rules, find } = this.#options
    const fn = find(address)
    try {
      checkAssignable(fn, owner, iommu, rules)
    } catch (error) {
      if (error instanceof NorthbridgeError) return error
      throw error
    }
    return undefined
  }

  save(): readonly SavedAssigned[] {
    return [...this.#assigned.values()]
      .map(handle => handle.save())
      .sort((a, b) => (a.function < b.function ? -1 : 1))
  }

  /** Handles as they were; their interrupts wait to be resumed. */
  load(saved: readonly SavedAssigned[]): void {
    const { iommu, find } = this.#options
    for (const state of saved) {
      const fn = find(state.function)
      const domain = iommu.domain(state.domain)
      const assignment = this.#assignment(fn, state.owner, iommu.stateOf(fn)!, domain, state.before)
      this.#assigned.set(fn, new VfioFunction(assignment, state))
    }
  }

  *#release(
    fn: HostPciFunction,
    state: GroupState,
    domain: TranslationDomain,
    before: string | null,
  ): Software {
    const { iommu, drivers, engine } = this.#options
    setBusMaster(fn, false)
    yield* this.#reset(fn)
    this.#assigned.delete(fn)
    fn.driver = null
    fn.owner = { kind: 'none' }
    if (!state.group.members.some(member => member.owner.kind === 'vm')) {
      yield* iommu.move(state, state.defaultDomain!)
      iommu.destroy(domain)
      state.user = undefined
    }
    engine.trace.emit('assignment', `${fn.address} is taken back`, {
      function: fn.address,
      group: state.group.id,
    })
    const driver = isGone(fn) ? undefined : driverNamed(before)
    const blocked = driver?.kernelDma === true && state.user !== undefined
    if (driver !== undefined && !blocked) yield* drivers.bind(fn, driver)
  }

  /** The best reset, if there is one: a device without is given as it is, as Linux does. Bus mastering stays off. */
  *#reset(fn: HostPciFunction): Software {
    setBusMaster(fn, false)
    if (fn.resetMethods.length > 0) yield* resetAndRestore(fn, fn.resetMethods, this.#options.engine)
  }
}
