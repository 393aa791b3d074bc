/** DMA and interrupt remapping of the whole machine: units, groups, default domains, and who owns a group. */
import { opened, type RequesterId } from '../../core/index.ts'
import { pause, type Software } from '../../engine/index.ts'
import { DMAR_FLAGS } from '../../platform/formats/acpi/index.ts'
import { type Group, Grouping } from '../grouping/groups.ts'
import { repairsOf, whyNot } from '../grouping/repairs.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { GroupRepairs, Owner } from '../types.ts'
import { Coverage } from './coverage.ts'
import { DefaultDomains } from './default-domains.ts'
import { driversOf } from './described-units.ts'
import { DeviceScopes, type ReservedPages } from './device-scopes.ts'
import { DeviceTlbs } from './device-tlbs.ts'
import type { PageRequestHandler, TranslationDomain } from './domain.ts'
import { checkPageRequests } from './domain-features.ts'
import { DomainTable } from './domain-table.ts'
import type { GroupState, IommuOptions, SavedIommu } from './iommu-state.ts'
import { answerPageRequests } from './page-request-service.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'
import { plainVirtualFunction, ridsOf, unitsOf } from './requesters.ts'
import { UserDomains } from './user-domains.ts'

export class Iommu {
  readonly units: readonly RemappingUnitDriver[]
  /** Domains of user space. */
  readonly userDomains: UserDomains
  readonly #options: IommuOptions
  readonly #scopes: DeviceScopes | undefined
  readonly #grouping: Grouping<HostPciFunction>
  readonly #coverage: Coverage
  readonly #states = new Map<Group<HostPciFunction>, GroupState>()
  readonly #domains: DomainTable
  readonly #defaults: DefaultDomains
  #extendedMode = false
  readonly #deviceTlbs: DeviceTlbs

  constructor(options: IommuOptions) {
    const { memory, dmar, parameters, usable, aperture, rules } = options
    this.#options = options
    this.#grouping = new Grouping<HostPciFunction>(rules)
    this.#scopes = dmar === undefined ? undefined : new DeviceScopes(dmar)
    this.#deviceTlbs = new DeviceTlbs(this.#scopes, parameters.ats)
    this.#domains = new DomainTable(memory)
    this.#defaults = new DefaultDomains({
      domains: this.#domains,
      passThrough: parameters.passThrough,
      usable,
      reservedMemory: fn => this.reservedMemory(fn),
    })
    this.units = driversOf(this.#scopes?.units ?? [], options)
    this.#coverage = new Coverage({ scopes: this.#scopes, units: this.units, parameters, aperture })
    this.userDomains = new UserDomains({
      domains: this.#domains,
      units: this.units,
      unitsOf: ({ group }) => this.#unitsOf(group),
      update: domain => this.#updateAll(domain),
    })
  }

  /** Whether interrupt destinations are 32-bit x2APIC ids. */
  get extendedMode(): boolean {
    return this.#extendedMode
  }

  /** Whether access control services are to be enabled: some IOMMU is there and wanted. */
  wantsAccessControl(functions: readonly HostPciFunction[]): boolean {
    return this.#coverage.isWanted(functions)
  }

  /** Interrupt remapping, before any driver asks for an interrupt. On all units or on none. */
  *remapInterrupts(): Software {
    const { dmar, parameters } = this.#options
    for (const unit of this.units) yield* unit.start()
    const flags = dmar?.flags ?? 0
    const possible = this.units.length > 0 && (flags & DMAR_FLAGS.INTR_REMAP) !== 0
    if (!possible || !parameters.interruptRemapping || !this.units.every(unit => unit.canRemapInterrupts))
      return
    this.#extendedMode =
      parameters.x2apic &&
      (flags & DMAR_FLAGS.X2APIC_OPT_OUT) === 0 &&
      this.units.every(unit => unit.canUseX2apic)
    for (const unit of this.units) yield* unit.remapInterrupts(this.#extendedMode)
    this.#options.trace.emit('host', 'interrupt remapping is enabled', {
      units: this.units.map(({ name }) => name),
      mode: this.#extendedMode ? 'x2apic' : 'xapic',
    })
  }

  /** Groups every function and turns DMA remapping on, with each group in its default domain. */
  *remapDma(functions: readonly HostPciFunction[]): Software {
    for (const fn of functions) this.#grouping.discover(fn)
    this.#coverage.survey(functions)
    if (this.#coverage.translates) for (const unit of this.units) yield* unit.installRootTable()
    for (const fn of functions) {
      if (this.#coverage.isTranslated(fn)) this.#join(fn)
      yield* pause()
    }
    for (const group of this.#grouping.groups()) {
      const state = this.#found(group)
      if (state.defaultDomain === undefined) continue
      yield* this.#defaults.mapReserved(state.defaultDomain, group.members)
      yield* this.#point(state, state.defaultDomain)
      yield* pause()
    }
    if (!this.#coverage.translates) return
    for (const unit of this.units) yield* unit.translate()
    this.#options.trace.emit('host', 'DMA remapping is enabled', {
      units: this.units.map(({ name }) => name),
    })
  }

  /** A function that appeared later (a VF): joins or founds a group. Throws `outOfMemory`, `outOfResources`. */
  *add(fn: HostPciFunction): Software {
    this.#grouping.discover(fn)
    if (!this.#coverage.isTranslated(fn)) return
    const group = this.#join(fn)
    const state = this.#states.get(group)
    if (state === undefined) {
      const founded = this.#found(group)
      if (founded.defaultDomain !== undefined) yield* this.#point(founded, founded.defaultDomain)
      return
    }
    const unit = this.unitOf(fn)
    if (unit === undefined) return
    const others = new Set(group.members.filter(member => member !== fn).flatMap(ridsOf))
    const rids = ridsOf(fn).filter(rid => !others.has(rid))
    unit.prepare(rids)
    yield* unit.join(this.#deviceTlbs.requesters(unit, [fn], rids, state.domain!), state.domain!)
    this.#deviceTlbs.enable(unit, [fn], state.domain!)
  }

  /**
   * Refuses functions at these requester ids of a PF's device if they could not be added. Throws `outOfMemory`,
   * `outOfResources`.
   */
  checkRoom(physical: HostPciFunction, rids: readonly RequesterId[]): void {
    const unit = this.unitOf(physical)
    if (unit === undefined) return
    const founds =
      !this.#defaults.has(unit) &&
      this.#grouping.wouldFound({ ...plainVirtualFunction(physical), rid: rids[0]! })
    if (founds) unit.checkDomainIds(rids.length)
    this.#options.memory.checkRoom(unit.missingTables(rids) + (founds ? rids.length : 0))
  }

  /** Takes a function out; a group that it leaves empty disappears with its domain. */
  *remove(fn: HostPciFunction): Software {
    const group = this.#grouping.groupOf(fn)
    this.#grouping.remove(fn)
    fn.group = null
    if (group === undefined) return
    const state = this.#states.get(group)!
    const unit = this.unitOf(fn)
    if (unit !== undefined && state.domain !== undefined) {
      const others = new Set(group.members.flatMap(ridsOf))
      this.#deviceTlbs.disable(unit, [fn], state.domain)
      yield* unit.leave(
        ridsOf(fn).filter(rid => !others.has(rid)),
        state.domain,
      )
    }
    if (group.members.length > 0) return
    this.#states.delete(group)
    if (state.defaultDomain !== undefined && !this.#defaults.isShared(state.defaultDomain))
      this.destroy(state.defaultDomain)
  }

  /** Ascending by number. */
  groups(): readonly GroupState[] {
    return this.#grouping.groups().map(group => this.#states.get(group)!)
  }

  stateOf(fn: HostPciFunction): GroupState | undefined {
    const group = this.#grouping.groupOf(fn)
    return group === undefined ? undefined : this.#states.get(group)
  }

  /** The unit that translates a function's DMA; undefined if none does, or none that is modelled. */
  unitOf(fn: HostPciFunction): RemappingUnitDriver | undefined {
    return this.#coverage.unitOf(fn)
  }

  /** The unit that remaps a function's interrupt requests, whether or not it translates DMA. */
  interruptUnitOf(fn: HostPciFunction): RemappingUnitDriver | undefined {
    return this.#coverage.interruptUnitOf(fn)
  }

  /** Some unit remaps interrupts: then the kernel gives messages only to functions that one covers. */
  get remapsInterrupts(): boolean {
    return this.units.some(unit => unit.interrupts !== undefined)
  }

  /** Why no modelled unit translates a function, in words; undefined if one does. */
  whyNotTranslated(fn: HostPciFunction): string | undefined {
    return this.#coverage.whyNotTranslated(fn)
  }

  /** The changes of the machine by which a group would fall apart. */
  *repairs({ group }: GroupState): Software<GroupRepairs> {
    const repairs = yield* repairsOf(group, this.#grouping, this.#options.rules)
    return repairs.length > 0 || group.members.length === 1 ? { repairs } : { repairs, whyNot: whyNot(group) }
  }

  reservedMemory(fn: HostPciFunction): readonly ReservedPages[] {
    return this.#scopes?.reservedMemory(fn) ?? []
  }

  /** Points every requester of a group at another domain. DMA under way in between faults. */
  *move(state: GroupState, domain: TranslationDomain): Software {
    const { domain: old } = state
    if (old !== undefined) {
      yield* old.flush()
      for (const [unit, rids, members] of this.#requestersOf(state)) {
        this.#deviceTlbs.disable(unit, members, old)
        yield* unit.leave(rids, old)
      }
    }
    yield* this.#point(state, domain)
  }

  /** Whether a domain's addresses are physical ones. */
  isIdentity(domain: TranslationDomain): boolean {
    return domain.table === undefined || this.#defaults.isShared(domain)
  }

  /** Frees a domain that no requester is in any more. */
  destroy(domain: TranslationDomain): void {
    this.#domains.destroy(domain)
  }

  /**
   * Lets a function ask for pages of its domain that are not mapped; `handler` undefined: no longer. Throws
   * `unsupported` if unit or function cannot; then nothing has changed.
   */
  *servePageRequests(
    fn: HostPciFunction,
    state: GroupState,
    domain: TranslationDomain,
    handler: PageRequestHandler | undefined,
  ): Software {
    if (handler !== undefined) checkPageRequests(this.unitOf(fn)!, fn, domain, this.#deviceTlbs)
    this.#deviceTlbs.servePageRequests(fn, handler)
    yield* this.update(state, domain)
  }

  /** After a state was loaded: who answers a function that asks for pages. */
  resumePageRequests(fn: HostPciFunction, handler: PageRequestHandler): void {
    this.#deviceTlbs.resumePageRequests(fn, handler)
  }

  /** Whether any unit has a queue for page requests. */
  get takesPageRequests(): boolean {
    return this.units.some(({ pageRequests }) => pageRequests !== undefined)
  }

  /** Answers what devices have asked for. Returns the number of answers. */
  *answerPageRequests(): Software<number> {
    let answers = 0
    for (const unit of this.units) {
      answers += yield* answerPageRequests(unit, rid => this.#pageHandlerOf(unit, rid))
    }
    return answers
  }

  #pageHandlerOf(unit: RemappingUnitDriver, rid: number): PageRequestHandler | undefined {
    const fn = this.groups()
      .flatMap(({ group }) => group.members)
      .find(member => this.unitOf(member) === unit && member.rid === rid)
    return fn && this.#deviceTlbs.pageHandlerOf(fn)
  }

  *#updateAll(domain: TranslationDomain): Software {
    for (const state of this.groups()) if (state.domain === domain) yield* this.update(state, domain)
  }

  /** Writes the entries of a group's requesters anew, as their domain wants them. */
  *update(state: GroupState, domain: TranslationDomain): Software {
    for (const [unit, rids, members] of this.#requestersOf(state)) {
      yield* unit.update(this.#deviceTlbs.requesters(unit, members, rids, domain), domain)
    }
  }

  ownerOf(state: GroupState): Owner {
    if (state.user !== undefined) return { kind: 'vm', name: state.user }
    const driven = state.group.members.find(member => member.owner.kind === 'driver')
    return driven?.owner ?? { kind: 'none' }
  }

  /** Every domain, ascending by number. */
  domains(): readonly TranslationDomain[] {
    return this.#domains.all()
  }

  /** The domain with a number. */
  domain(number: number): TranslationDomain {
    return this.#domains.at(number)
  }

  save(): SavedIommu {
    return {
      version: 1,
      extendedMode: this.#extendedMode,
      units: this.units.map(unit => unit.save()),
      domains: this.#domains.save(),
      identity: this.#defaults.save(),
      foreign: this.#coverage.save(),
      pageRequesters: this.#deviceTlbs.save(),
      grouping: this.#grouping.save(),
      states: this.groups().map(({ group, defaultDomain, domain, user }) => ({
        group: group.id,
        defaultDomain: defaultDomain?.number ?? null,
        domain: domain?.number ?? null,
        user: user ?? null,
      })),
    }
  }

  /** Goes on from a state with which the units were made. */
  load(saved: SavedIommu, find: (address: string) => HostPciFunction): void {
    opened(saved, 'the IOMMU driver', 1)
    this.#extendedMode = saved.extendedMode
    this.#domains.load(saved.domains, this.units)
    this.#defaults.load(saved.identity, this.units)
    this.#coverage.load(saved.foreign, find)
    this.#deviceTlbs.load(saved.pageRequesters, find)
    this.#grouping.load(saved.grouping, find)
    const at = (number: number | null) => (number === null ? undefined : this.#domains.at(number))
    const groups = new Map(this.#grouping.groups().map(group => [group.id, group]))
    for (const { group: id, defaultDomain, domain, user } of saved.states) {
      const group = groups.get(id)!
      this.#states.set(group, {
        group,
        defaultDomain: at(defaultDomain),
        domain: at(domain),
        user: user ?? undefined,
      })
    }
  }

  #join(fn: HostPciFunction): Group<HostPciFunction> {
    const group = this.#grouping.add(fn)
    fn.group = group.id
    fn.remappingUnit = this.unitOf(fn)?.name ?? null
    this.#options.trace.emit('host', `${fn.address}: added to IOMMU group ${group.id}`, {
      function: fn.address,
      group: group.id,
    })
    return group
  }

  /** Makes the state of a new group. Throws `outOfMemory`, `outOfResources`. */
  #found(group: Group<HostPciFunction>): GroupState {
    const units = this.#unitsOf(group)
    const defaultDomain = units.length === 0 ? undefined : this.#defaults.make(units)
    const state: GroupState = { group, defaultDomain, domain: undefined, user: undefined }
    this.#states.set(group, state)
    return state
  }

  *#point(state: GroupState, domain: TranslationDomain): Software {
    const requesters = this.#requestersOf(state)
    for (const [unit, rids] of requesters) unit.prepare(rids)
    for (const [unit, rids, members] of requesters) {
      yield* unit.join(this.#deviceTlbs.requesters(unit, members, rids, domain), domain)
      this.#deviceTlbs.enable(unit, members, domain)
    }
    state.domain = domain
  }

  #unitsOf({ members }: Group<HostPciFunction>): RemappingUnitDriver[] {
    return unitsOf(members.map(member => this.unitOf(member)))
  }

  /** Every requester id of a group, by the unit that sees it, ascending. */
  #requestersOf(
    state: GroupState,
  ): readonly (readonly [RemappingUnitDriver, readonly RequesterId[], readonly HostPciFunction[]])[] {
    return this.#unitsOf(state.group).map(unit => {
      const members = state.group.members.filter(member => this.unitOf(member) === unit)
      const rids = [...new Set(members.flatMap(ridsOf))].sort((a, b) => a - b)
      return [unit, rids as RequesterId[], members] as const
    })
  }
}
