/** Giving functions to user space and taking them back: ownership of groups, domains, drivers and reset together. */
import { NorthbridgeError } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import type { DriverCore } from '../driver-core.ts'
import { setBusMaster } from '../driver-core.ts'
import { driverNamed } from '../driver-table.ts'
import type { Iommu } from '../iommu/iommu.ts'
import type { GroupState } from '../iommu/iommu-state.ts'
import { isGone, resetAndRestore, resetsOf } from '../pci/function-reset.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { AssignedFunction } from '../types.ts'
import { type Assignment, type SavedAssigned, VfioFunction } from './assigned-function.ts'
import { Container, type SavedContainer } from './container.ts'
import { hotResetMembers, VfioResets } from './resets.ts'
import { checkToken, settleToken, VFIO_DRIVER } from './vf-token.ts'
import { type AssignmentRules, checkAssignable } from './viability.ts'

/** What user space says when it opens a function. */
export interface AttachOptions {
  /**
   * Into which of the owner's containers its group goes: groups in one share an I/O address space. Default: a container
   * for this group alone.
   */
  readonly container?: string | undefined
  /** The VF token, a UUID. */
  readonly token?: string | undefined
  /** Whether a function that cannot be reset is refused, which vfio-pci takes as it is. Default false. */
  readonly resetRequired?: boolean | undefined
}

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
  readonly #containers = new Set<Container>()
  readonly #resets: VfioResets

  constructor(options: VfioOptions) {
    this.#options = options
    this.#resets = new VfioResets(options.engine, fn => this.wasReset(fn))
  }

  /**
   * Gives a function to `owner` (a virtual machine's name): unbound from its driver, reset, and with its whole group
   * in a container of the owner's. Everything is checked, and memory and ids are taken, before anything changes. Throws
   * `resetUnavailable` if a reset is required and the function has none, and what {@link whyNot} returns.
   */
  *attach(
    address: string,
    owner: string,
    { container: name, token, resetRequired = false }: AttachOptions = {},
  ): Software<AssignedFunction> {
    const { iommu, drivers, engine, rules, find } = this.#options
    const fn = find(address)
    const state = checkAssignable(fn, owner, iommu, rules)
    checkToken(fn, token)
    // What the last user left in the function, the next one would find.
    if (resetRequired) resetsOf(fn)
    const container = this.#containerFor(fn, state, owner, name)
    const first = state.user === undefined
    const domain = first ? yield* container.admit(state) : state.domain!
    this.#containers.add(container)
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
    settleToken(fn, token)
    const handle = new VfioFunction(this.#assignment(fn, state, container, before))
    this.#assigned.set(fn, handle)
    engine.trace.emit('assignment', `${fn.address} is assigned to virtual machine "${owner}"`, {
      function: fn.address,
      vm: owner,
      group: state.group.id,
    })
    return handle
  }

  /** The container of a function's group, or the one that it is to join. Throws `groupNotViable`. */
  #containerFor(
    fn: HostPciFunction,
    state: GroupState,
    owner: string,
    name = `group ${state.group.id}`,
  ): Container {
    const containers = [...this.#containers]
    const present = containers.find(container => container.has(state))
    if (present !== undefined && present.name !== name) {
      throw new NorthbridgeError(
        'groupNotViable',
        `${fn.address} cannot be assigned: its IOMMU group ${state.group.id} is in container "${present.name}" of "${owner}", and a group is in one address space`,
        { function: fn.address, group: state.group.id, mates: [], errno: 'EINVAL' },
      )
    }
    return (
      present ??
      containers.find(container => container.owner === owner && container.name === name) ??
      new Container(this.#options.iommu, owner, name)
    )
  }

  #assignment(
    fn: HostPciFunction,
    state: GroupState,
    container: Container,
    before: string | null,
  ): Assignment {
    const { iommu, drivers } = this.#options
    return {
      fn,
      container,
      domain: () => state.domain!,
      before,
      interrupts: drivers.interruptsOf(fn),
      servePageRequests: handler => iommu.servePageRequests(fn, state, state.domain!, handler),
      reset: () => this.#resets.reset(fn),
      hotResetMembers: () => hotResetMembers(fn),
      hotReset: () => this.#resets.hotReset(fn, container.owner),
      release: () => this.#release(fn, state, container, before),
    }
  }

  /** Containers in use. */
  containers(): readonly SavedContainer[] {
    return [...this.#containers].map(container => container.save())
  }

  /** The handle of a function that is in the hands of user space. */
  handleOf(address: string): AssignedFunction {
    return this.#assigned.get(this.#options.find(address))!
  }

  /** A function in the hands of user space was reset and put back: it does nothing until its user has it do so. */
  *wasReset(fn: HostPciFunction): Software {
    setBusMaster(fn, false)
    yield* this.#assigned.get(fn)?.forgetInterrupts() ?? []
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
  load(saved: readonly SavedAssigned[], containers: readonly SavedContainer[]): void {
    const { iommu, find } = this.#options
    for (const state of containers) this.#containers.add(Container.restore(state, iommu))
    for (const state of saved) {
      const fn = find(state.function)
      const group = iommu.stateOf(fn)!
      const assignment = this.#assignment(
        fn,
        group,
        this.#containerFor(fn, group, state.owner, state.container),
        state.before,
      )
      this.#assigned.set(fn, new VfioFunction(assignment, state))
    }
  }

  *#release(fn: HostPciFunction, state: GroupState, container: Container, before: string | null): Software {
    const { iommu, drivers, engine } = this.#options
    setBusMaster(fn, false)
    // A reset of a PF would take its VFs from those who have them.
    if (fn.virtuals.length === 0) yield* this.#reset(fn)
    this.#assigned.delete(fn)
    fn.driver = null
    fn.owner = { kind: 'none' }
    if (!state.group.members.some(member => member.owner.kind === 'vm')) {
      const domain = state.domain!
      yield* iommu.move(state, state.defaultDomain!)
      container.dismiss(state, domain)
      if (container.isEmpty) this.#containers.delete(container)
      state.user = undefined
    }
    engine.trace.emit('assignment', `${fn.address} is taken back`, {
      function: fn.address,
      group: state.group.id,
    })
    // VFs of a PF stay as long as vfio-pci has it.
    const next = fn.virtuals.length > 0 ? VFIO_DRIVER : before
    if (next !== VFIO_DRIVER) fn.vfToken = undefined
    const driver = isGone(fn) ? undefined : driverNamed(next)
    const blocked = driver?.kernelDma === true && state.user !== undefined
    if (driver !== undefined && !blocked) yield* drivers.bind(fn, driver)
  }

  /** The best reset, if there is one: a device without is given as it is, as Linux does. Bus mastering stays off. */
  *#reset(fn: HostPciFunction): Software {
    setBusMaster(fn, false)
    if (fn.resetMethods.length > 0) yield* resetAndRestore(fn, fn.resetMethods, this.#options.engine)
  }
}
