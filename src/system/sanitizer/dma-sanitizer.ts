/**
 * Watches the software that manages DMA while the machine runs. It hears of writes of software, of pages given back and
 * of requests at the root complex, compares tables before and after, and finds what no single step shows: a
 * translation that outlives its page, a page with two masters, an interrupt under a foreign handle.
 */
import { hex, opened, type PageNumber, type RequesterId, type Saved } from '../../core/index.ts'
import type { Engine } from '../../engine/index.ts'
import type { FreeWatcher, HostKernel } from '../../host/index.ts'
import { ADDRESS_TYPE, type MemoryRequest, STATUS, TARGET } from '../../pcie/index.ts'
import type { Platform, RequestWatcher, Topology, WriteWatcher } from '../../platform/index.ts'
import { FAULT, IRTE, SOURCE_VALIDATION } from '../../vtd/formats/index.ts'
import { type RemappingUnit, TableJudge } from '../../vtd/index.ts'
import { FindingLog, requesterOf } from './finding-log.ts'
import type { Finding } from './findings.ts'
import { type Asked, InvalidationReader } from './invalidations.ts'
import { type DomainTables, type Leaf, tablesOf } from './table-snapshot.ts'
import { isAlike, lostTranslations, overlap, without } from './translation-changes.ts'
import { type SavedWatch, savedUnit, type WatchedUnit, watchIn } from './watched-unit.ts'

/** What is watched: a machine that is on, and the kernel on it. */
export interface WatchedPlatform {
  readonly hardware: Platform
  readonly host: HostKernel
  readonly engine: Engine
  readonly topology: Topology
}

export class DmaSanitizer implements WriteWatcher, RequestWatcher, FreeWatcher {
  readonly #platform: WatchedPlatform
  readonly #units: readonly WatchedUnit[]
  readonly #log: FindingLog
  /** Tables may have been written since they were looked at. */
  #dirty = false

  /** Watches from now on; with `saved`, it goes on with what it knew at that moment. */
  constructor(platform: WatchedPlatform, saved?: Saved) {
    const { hardware, host } = platform
    this.#platform = platform
    this.#log = new FindingLog(platform.engine)
    const { units } = hardware.port.board.remapping
    const state = saved === undefined ? undefined : opened<SavedWatch>(saved, 'the DMA sanitizer', 1)
    this.#dirty = state?.dirty ?? false
    if (state !== undefined) this.#log.load(state.log)
    this.#units = hardware.units.map((unit, i) => ({
      unit,
      registerBase: units.find(({ id }) => id === unit.id)!.registerBase,
      invalidations: new InvalidationReader(unit, hardware.memory),
      ...(state === undefined
        ? { tables: tablesOf(unit, hardware.memory), pending: [], unlinked: [], contexts: new Set() }
        : watchIn(state.units[i]!, unit)),
    }))
    for (const [i, { invalidations }] of this.#units.entries())
      if (state !== undefined) invalidations.load(state.units[i]!.tail)
    hardware.watch(this)
    host.memory.watcher = this
  }

  /** Ends the watch of a platform that is on. */
  stop(): void {
    this.#platform.hardware.watch(undefined)
    this.#platform.host.memory.watcher = undefined
  }

  get findings(): readonly Finding[] {
    return this.#log.findings
  }

  save(): Saved {
    const state: SavedWatch = {
      version: 1,
      dirty: this.#dirty,
      log: this.#log.save(),
      units: this.#units.map(savedUnit),
    }
    return state
  }

  // What it hears

  wrote(address: number, length: number): void {
    for (const watched of this.#units) {
      const offset = address - watched.registerBase
      if (offset >= 0 && offset < watched.unit.registerSize) {
        this.#settle()
        for (const asked of watched.invalidations.after(offset)) this.#invalidated(watched, asked)
        return
      }
      if (this.#dirty) continue
      const last = Math.floor((address + length - 1) / 4096)
      for (let page = Math.floor(address / 4096); page <= last && !this.#dirty; page++) {
        this.#dirty = watched.tables.pages.has(page)
      }
    }
  }

  freed(first: PageNumber, pages: number): void {
    this.#settle()
    const within = (page: PageNumber): boolean => page >= first && page < first + pages
    for (const { unit, tables, pending, unlinked } of this.#units) {
      for (const domain of tables.domains.values()) {
        for (const table of domain.tables) {
          if (within(table))
            this.#log.find(
              'tableFreed',
              undefined,
              table,
              `a table of domain ${domain.id} of ${unit.id} that is linked`,
              [unit, domain.id],
            )
        }
        if (first >= domain.endFrame || first + pages <= domain.firstFrame) continue
        for (const leaf of domain.leaves.values()) {
          if (leaf.input === leaf.frame || !overlap(leaf.frame, leaf.pages, first, pages)) continue
          const page = Math.max(first, leaf.frame)
          this.#log.find(
            'freedWhileMapped',
            undefined,
            page,
            `memory that domain ${domain.id} of ${unit.id} maps at ${hex((leaf.input + page - leaf.frame) * 4096)}`,
            [unit, domain.id],
          )
        }
      }
      for (const { page, domain } of unlinked) {
        if (within(page))
          this.#log.find(
            'tableFreed',
            undefined,
            page,
            `a table that caches of ${unit.id} may still lead to`,
            [unit, domain],
          )
      }
      for (const { frame, pages: count, domain, input } of pending) {
        if (!overlap(frame, count, first, pages)) continue
        this.#log.find(
          'freedBeforeInvalidation',
          undefined,
          Math.max(frame, first),
          `memory that the IOTLB of ${unit.id} may still know at ${hex(input * 4096)} of domain ${domain}`,
          [unit, domain],
        )
      }
    }
  }

  served(request: MemoryRequest): void {
    if (request.unit < 0) return
    this.#settle()
    const watched = this.#units[request.unit]!
    if (request.target === TARGET.interrupt || request.faultReason === FAULT.sourceValidation) {
      this.#interrupt(watched, request)
    } else if (request.addressType === ADDRESS_TYPE.translated) this.#translated(watched, request)
    else if (request.addressType === ADDRESS_TYPE.untranslated) this.#untranslated(watched, request)
  }

  // What it makes of it

  #judge({ unit }: WatchedUnit): TableJudge {
    const { hardware, topology } = this.#platform
    return new TableJudge(unit, hardware.memory, topology.hostAddressWidth)
  }

  #untranslated(watched: WatchedUnit, request: MemoryRequest): void {
    if (request.status !== STATUS.successful) return
    const { requesterId, page, write, pasid, physicalPage } = request
    if (this.#judge(watched).frameOf(requesterId, page, write, pasid) === physicalPage) return
    if (watched.contexts.has(requesterId)) {
      this.#log.find(
        'staleContext',
        request,
        page,
        `${requesterOf(request)} is served by a context entry that memory no longer holds`,
        [watched.unit, -1],
      )
      return
    }
    if (this.#isDeferred(watched, request)) return
    const by = watched.pending.find(({ input, pages }) => page >= input && page < input + pages)
    this.#log.find(
      'staleTranslation',
      request,
      page,
      `${requesterOf(request)} reaches ${hex(physicalPage * 4096)} by a cached translation that its tables no longer hold`,
      [watched.unit, by?.domain ?? -1],
    )
  }

  /** With batched invalidation a host's driver lets its own device reach what is unmapped, until the batch is done. */
  #isDeferred(watched: WatchedUnit, { requesterId, page, physicalPage }: MemoryRequest): boolean {
    if (!this.#platform.host.defersInvalidation) return false
    const owner = this.#ownerOf(watched.unit, requesterId)
    return (
      owner.startsWith('host') &&
      watched.pending.some(
        ({ input, pages, frame }) =>
          page >= input && page < input + pages && frame + page - input === physicalPage,
      )
    )
  }

  #translated(watched: WatchedUnit, request: MemoryRequest): void {
    const { segment, requesterId, status, page, write } = request
    const fn = this.#platform.hardware.fabric.functionAt(segment, requesterId as RequesterId)
    if (fn?.translation?.enabled !== true || status === STATUS.remappingFault) {
      const how = status === STATUS.successful ? 'and was believed' : 'and was blocked'
      this.#log.find(
        'untrustedTranslated',
        request,
        page,
        `${requesterOf(request)} says that ${hex(page * 4096)} is translated already, without ATS, ${how}`,
        [watched.unit, -1],
      )
      return
    }
    if (status !== STATUS.successful) return
    const right = write ? 2 : 1
    for (const domain of watched.tables.domains.values()) {
      if (!domain.requesters.has(requesterId)) continue
      // Without tables all memory is its own.
      if (domain.tables.size === 0) return
      for (const { frame, pages, rights } of domain.leaves.values()) {
        if ((rights & right) !== 0 && page >= frame && page < frame + pages) return
      }
    }
    this.#log.find(
      'staleDeviceTlb',
      request,
      page,
      `${requesterOf(request)} uses a translation to ${hex(page * 4096)} from its device-TLB that its tables no longer hold`,
      [watched.unit, -1],
    )
  }

  #interrupt(watched: WatchedUnit, request: MemoryRequest): void {
    const { requesterId, interrupt, faultReason } = request
    const index = interrupt.irteIndex
    const name = requesterOf(request)
    if (faultReason === FAULT.sourceValidation) {
      this.#log.find(
        'foreignInterrupt',
        request,
        request.page,
        `${name} used handle ${index}, which is not its own, and was blocked`,
        [watched.unit, -1],
      )
      return
    }
    if (request.status !== STATUS.successful || !interrupt.remapped || index < 0) return
    const judged = this.#judge(watched).entryFor(requesterId, index)
    const vector = judged === undefined ? -1 : (judged.words[0]! & IRTE.V.mask) >>> IRTE.V.shift
    if (judged === undefined || (!judged.posted && vector !== interrupt.vector)) {
      this.#log.find(
        'staleInterruptEntry',
        request,
        request.page,
        `${name} is served by a cached interrupt remapping entry ${index} that memory no longer holds`,
        [watched.unit, -1],
      )
      return
    }
    const source = judged.words[2]! & 0xffff
    if (((judged.words[2]! >>> 18) & 3) === SOURCE_VALIDATION.none && source !== requesterId) {
      this.#log.find(
        'foreignInterrupt',
        request,
        request.page,
        `${name} used handle ${index}, which was made for another function, and was let through`,
        [watched.unit, -1],
      )
    }
  }

  #invalidated(watched: WatchedUnit, asked: Asked): void {
    if (asked.cache === 'context') watched.contexts.clear()
    if (asked.cache !== 'iotlb') return
    const { domain, page, pages = 0, leavesOnly } = asked
    const covers = (entry: { readonly domain: number }): boolean =>
      domain === undefined || entry.domain === domain
    watched.pending = watched.pending.flatMap(entry =>
      covers(entry) ? without(entry, page, pages) : [entry],
    )
    if (!leavesOnly) watched.unlinked = watched.unlinked.filter(entry => !covers(entry))
    this.#log.note(
      'invalidated',
      watched.unit,
      domain ?? -1,
      page ?? 0,
      0,
      page === undefined ? Number.MAX_SAFE_INTEGER : pages,
    )
  }

  /** Looks at the tables again, if they were written. */
  #settle(): void {
    if (!this.#dirty) return
    this.#dirty = false
    const earlier = this.#units.map(({ tables }) => tables)
    for (const [index, watched] of this.#units.entries()) {
      const before = earlier[index]!
      watched.tables = tablesOf(watched.unit, this.#platform.hardware.memory)
      for (const [rid, words] of before.contexts) {
        if (watched.tables.contexts.get(rid) !== words) watched.contexts.add(rid)
      }
      for (const [id, domain] of before.domains) this.#lost(watched, domain, watched.tables.domains.get(id))
    }
    // What is gone everywhere comes first: then nobody is blamed for sharing with the past.
    for (const [index, watched] of this.#units.entries()) {
      for (const [id, domain] of watched.tables.domains) {
        this.#gained(watched, earlier[index]!.domains.get(id), domain)
      }
    }
  }

  #lost(watched: WatchedUnit, before: DomainTables, now: DomainTables | undefined): void {
    for (const table of before.tables) {
      if (now?.tables.has(table) !== true) watched.unlinked.push({ domain: before.id, page: table })
    }
    for (const lost of lostTranslations(before, now)) {
      watched.pending.push(lost)
      this.#log.note('unmapped', watched.unit, before.id, lost.input, lost.frame, lost.pages)
    }
  }

  #gained(watched: WatchedUnit, before: DomainTables | undefined, domain: DomainTables): void {
    const { unit } = watched
    for (const leaf of domain.leaves.values()) {
      const was = before?.leaves.get(leaf.input)
      if (was !== undefined && isAlike(was, leaf)) continue
      this.#log.note('mapped', unit, domain.id, leaf.input, leaf.frame, leaf.pages)
      for (const pending of watched.pending) {
        if (pending.domain !== domain.id || pending.narrowed) continue
        if (!overlap(pending.input, pending.pages, leaf.input, leaf.pages)) continue
        if (leaf.frame - leaf.input === pending.frame - pending.input) continue
        this.#log.find(
          'remappedBeforeInvalidation',
          undefined,
          Math.max(leaf.input, pending.input),
          `domain ${domain.id} of ${unit.id} maps it to ${hex(leaf.frame * 4096)} while the IOTLB may still know ${hex(pending.frame * 4096)}`,
          [unit, domain.id],
        )
      }
      this.#checkShared(domain, leaf)
    }
  }

  #checkShared(domain: DomainTables, leaf: Leaf): void {
    if (leaf.input === leaf.frame) return
    for (const { tables } of this.#units) {
      for (const other of tables.domains.values()) {
        if (other === domain || leaf.frame >= other.endFrame || leaf.frame + leaf.pages <= other.firstFrame)
          continue
        const shared = [...other.leaves.values()].filter(
          ({ input, frame, pages }) => input !== frame && overlap(frame, pages, leaf.frame, leaf.pages),
        )
        if (shared.length > 0) this.#doublyMapped(domain, leaf, other, shared)
      }
    }
  }

  /** Two domains map the same: that is for the same owner only. */
  #doublyMapped(domain: DomainTables, leaf: Leaf, other: DomainTables, shared: readonly Leaf[]): void {
    const owners = this.#ownersOf(domain)
    const others = this.#ownersOf(other)
    if (others.some(owner => owners.includes(owner))) return
    for (const { frame } of shared) {
      this.#log.find(
        'doubleMapping',
        undefined,
        Math.max(frame, leaf.frame),
        `domain ${domain.id} of ${domain.unit.id} (${owners.join(', ')}) and domain ${other.id} of ${other.unit.id} (${others.join(', ')}) both map it`,
        [domain.unit, domain.id],
      )
    }
  }

  #ownersOf({ unit, requesters }: DomainTables): string[] {
    return [...new Set([...requesters].map(rid => this.#ownerOf(unit, rid)))]
  }

  #ownerOf(unit: RemappingUnit, rid: number): string {
    const { host, hardware } = this.#platform
    const fn = host.functions().find(one => one.rid === rid && hardware.unitOf(one.segment, one.rid) === unit)
    if (fn === undefined) return `host, requester ${rid.toString(16)}`
    return fn.owner.kind === 'vm' ? fn.owner.name : `host, group ${fn.group}`
  }
}
