/**
 * Live migration: memory is copied while its guest changes it, and again what changed, until the rest can be sent while the
 * guest stands still ("pre-copy"); or the guest goes on at the target first, and waits for what is not there ("post-copy").
 */
import { NorthbridgeError, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { type DirtyLog, type GuestMemory, type MemoryBackend, notMigratable } from '../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'
import { GuestWork } from './guest-work.ts'
import {
  checkMigration,
  type MigrationOptions,
  type MigrationReport,
  type MigrationRound,
  PAGE_BYTES,
  type PostCopyReport,
} from './migration-options.ts'
import { PageChannel } from './page-channel.ts'
import { PostCopy } from './post-copy.ts'
import { type Primary, primariesOf, release, take } from './primary-function.ts'
import { Throttling } from './throttling.ts'
import type { TwoPlatforms } from './two-platforms.ts'
import { enterParts, obstaclesOf, partsOf, preparePlace, stateBytes } from './vm-document.ts'

/** Pages that are sent before the guest runs on for as long as that took. */
const SLICE = 64

/** What is still to be sent. */
interface Rest {
  readonly pages: readonly PageNumber[]
  readonly disk: readonly number[]
}

/** Called between two slices, while both hosts run: for tests and stories that disturb a migration. */
export type Meanwhile = (elapsed: number) => Software

export class LiveMigration {
  readonly #between: TwoPlatforms
  readonly #vm: string
  readonly #options: MigrationOptions
  readonly #channel: PageChannel
  readonly #work: GuestWork
  readonly #throttling: Throttling
  readonly #meanwhile: Meanwhile | undefined
  readonly #rounds: MigrationRound[] = []
  #log!: DirtyLog
  #primaries: readonly Primary[] = []
  #releaseNs = 0
  #medium: { readonly from: MemoryBackend; readonly to: MemoryBackend } | undefined

  constructor(between: TwoPlatforms, vm: string, options: MigrationOptions, meanwhile?: Meanwhile) {
    this.#between = between
    this.#vm = vm
    this.#options = options
    this.#channel = new PageChannel(options.bandwidthMbps)
    this.#work = new GuestWork(vm, options.load)
    this.#throttling = new Throttling(options.autoConverge)
    this.#meanwhile = meanwhile
  }

  get #source(): SimulatedPlatform {
    return this.#between.source
  }

  get #target(): SimulatedPlatform {
    return this.#between.target
  }

  #memoryOn({ hypervisor }: SimulatedPlatform): GuestMemory {
    return hypervisor.moves.guestMemory(this.#vm)
  }

  /** Throws `notFound`, `notMigratable`, `invalidArgument`, and what the target refuses the machine with. */
  *run(): Software<MigrationReport> {
    const vm = this.#vm
    const { moves } = this.#source.hypervisor
    if (this.#options.primary !== undefined) yield* this.#releasePrimaries()
    const parts = partsOf(this.#source, vm)
    const memory = this.#memoryOn(this.#source)
    checkMigration(this.#options, (address, length) => memory.contains(address, length))
    const to = preparePlace(this.#target, parts, this.#options)
    const from = this.#source.disks.medium(vm)
    if (from !== undefined && to !== undefined) this.#medium = { from, to }
    const wasPaused = moves.isPaused(vm)
    this.#log = moves.startLog(vm, this.#options.tracking)
    from?.track(true)
    const ended = yield* this.#preCopy({
      pages: [...moves.guestPages(vm)],
      disk: from?.pages ?? [],
    })
    if (ended.outcome === 'cancelled') return yield* this.#cancel()
    return yield* this.#switchOver(ended, wasPaused)
  }

  /** Its standby works from here on. Throws `notMigratable` if other things keep it, with nothing done. */
  *#releasePrimaries(): Software {
    const [source, vm] = [this.#source, this.#vm]
    this.#primaries = primariesOf(source, vm)
    const others = obstaclesOf(source, vm).filter(
      ({ what }) => !this.#primaries.some(primary => primary.function === what),
    )
    if (others.length > 0) throw notMigratable(vm, others)
    if (this.#primaries.length !== 1) {
      const found = `${vm} has ${this.#primaries.length} functions for which a standby stands in, not 1`
      throw new NorthbridgeError('invalidArgument', found, { issues: [{ path: '/primary', message: found }] })
    }
    const began = this.#between.elapsed
    for (const primary of this.#primaries) yield* this.#between.on(source, release(source, primary))
    this.#releaseNs = this.#between.elapsed - began
    this.#tell(`lets go of ${this.#primaries[0]!.function}: its standby works`, {})
  }

  /** The machine gets a function again: another at the target, its own where it stayed. */
  *#takePrimary(platform: SimulatedPlatform, address: string): Software {
    for (const { device } of this.#primaries)
      yield* this.#between.on(platform, take(platform, this.#vm, device.mac, address))
  }

  /** Rounds, until one of the things happens that end them. */
  *#preCopy(all: Rest): Software<{
    readonly outcome: 'stop' | 'postCopy' | 'cancelled'
    readonly rest: Rest
    readonly converged: boolean
  }> {
    const { maxRounds, postCopyAfter, ifNotConverging } = this.#options
    let rest = all
    for (let round = 1; ; round++) {
      if (postCopyAfter !== undefined && round > postCopyAfter)
        return { outcome: 'postCopy', rest, converged: false }
      rest = yield* this.#round(round, rest)
      const { expectedDowntimeNs } = this.#rounds.at(-1)!
      if (expectedDowntimeNs <= this.#options.downtimeLimitNs)
        return { outcome: 'stop', rest, converged: true }
      if (round < maxRounds) continue
      if (postCopyAfter !== undefined) return { outcome: 'postCopy', rest, converged: false }
      return { outcome: ifNotConverging === 'cancel' ? 'cancelled' : 'stop', rest, converged: false }
    }
  }

  /** Sends everything of a rest while the guest runs; returns what has changed by the end. */
  *#round(round: number, rest: Rest): Software<Rest> {
    const between = this.#between
    const channel = this.#channel
    const before = { bytes: channel.bytes, zeroPages: channel.zeroPages, at: between.elapsed }
    const { throttle } = this.#work
    yield* this.#send(rest, round === 1, true)
    const pages = this.#log.take()
    const disk = this.#medium?.from.takeChanged() ?? []
    const bytes = channel.bytes - before.bytes
    const durationNs = between.elapsed - before.at
    const left = (pages.length + disk.length) * PAGE_BYTES + stateBytes(partsOf(this.#source, this.#vm))
    const told: MigrationRound = {
      round,
      pages: rest.pages.length,
      zeroPages: channel.zeroPages - before.zeroPages,
      diskPages: rest.disk.length,
      bytes,
      durationNs,
      dirtied: pages.length,
      dirtyPagesPerSecond: durationNs === 0 ? 0 : Math.round((pages.length * 1e9) / durationNs),
      throttle,
      expectedDowntimeNs: channel.duration(left) + this.#options.latencyNs,
    }
    this.#rounds.push(told)
    this.#tell(`round ${round}: ${bytes} bytes sent, ${pages.length} pages changed meanwhile`, { ...told })
    const held = this.#throttling.after(pages.length * PAGE_SIZE, bytes, throttle)
    if (held !== throttle) this.#work.hold(held, between.elapsed)
    return { pages, disk }
  }

  /** @param empty whether the target's memory is all zeros */
  *#send({ pages, disk }: Rest, empty: boolean, running: boolean): Software {
    const channel = this.#channel
    const began = { bytes: channel.bytes, at: this.#between.elapsed }
    const [from, to] = [this.#memoryOn(this.#source), this.#memoryOn(this.#target)]
    const timePasses = function* (this: LiveMigration): Software {
      yield* this.#between.until(began.at + channel.duration(channel.bytes - began.bytes))
      if (running) yield* this.#guestRuns(this.#source)
    }.bind(this)
    for (const [i, page] of pages.entries()) {
      channel.sendPage(from, to, page, empty)
      if (i % SLICE === SLICE - 1) yield* timePasses()
    }
    for (const [i, page] of disk.entries()) {
      yield* channel.sendDiskPage(this.#medium!.from, this.#medium!.to, page)
      if (i % SLICE === SLICE - 1) yield* timePasses()
    }
    yield* timePasses()
  }

  /** @param stalled time in which it waited for pages */
  *#guestRuns(platform: SimulatedPlatform, stalled = 0): Software {
    const { elapsed } = this.#between
    yield* this.#between.on(platform, this.#work.upTo(platform, elapsed - stalled))
    if (this.#meanwhile !== undefined) yield* this.#meanwhile(elapsed)
  }

  *#cancel(): Software<MigrationReport> {
    yield* this.#endTracking()
    yield* this.#between.on(this.#target, this.#target.hypervisor.deleteVm(this.#vm))
    yield* this.#between.on(this.#target, this.#medium?.to.close() ?? nothing())
    for (const primary of this.#primaries) yield* this.#takePrimary(this.#source, primary.function)
    this.#tell('is given up: it changes its memory faster than it can be sent', {})
    return this.#report({ outcome: 'cancelled', converged: false })
  }

  // biome-ignore lint/correctness/useYield: functions of the host will have to be waited for
  *#endTracking(): Software {
    this.#source.hypervisor.moves.endLog(this.#vm)
    this.#medium?.from.track(false)
  }

  *#switchOver(
    {
      outcome,
      rest,
      converged,
    }: { readonly outcome: string; readonly rest: Rest; readonly converged: boolean },
    wasPaused: boolean,
  ): Software<MigrationReport> {
    const vm = this.#vm
    const between = this.#between
    const [source, target] = [this.#source, this.#target]
    const lostBefore = source.networking.framesToPaused(vm)
    if (!wasPaused) source.hypervisor.moves.pause(vm)
    const stopped = { at: between.elapsed, bytes: this.#channel.bytes }
    // Their last writes are among what is left.
    source.hypervisor.moves.setFunctions(vm, 'STOP')
    const postCopied = outcome === 'postCopy'
    const last = this.#last(rest)
    source.hypervisor.moves.setFunctions(vm, 'STOP_COPY')
    if (!postCopied) yield* this.#send(last, false, false)
    else yield* this.#send({ pages: [], disk: last.disk }, false, false)
    const parts = partsOf(source, vm)
    const state = stateBytes(parts)
    // Which pages are missing is told by a bit for each.
    const bitmap = postCopied ? Math.ceil(this.#pageCount / 8) : 0
    this.#channel.send(state + bitmap)
    const sent = this.#channel.bytes - stopped.bytes
    yield* between.until(stopped.at + this.#channel.duration(sent) + this.#options.latencyNs)
    const framesLost = source.networking.framesToPaused(vm) - lostBefore
    const { cost } = this.#log
    yield* this.#endTracking()
    yield* between.on(target, enterParts(target, parts, this.#options, this.#medium?.to))
    const arrivals = postCopied ? this.#postCopy(last.pages) : undefined
    target.networking.announce(vm)
    const downtimeNs = between.elapsed - stopped.at
    if (!wasPaused) yield* between.on(target, target.hypervisor.moves.resume(vm))
    this.#work.resume(between.elapsed)
    const postCopy =
      arrivals === undefined ? null : yield* arrivals.run(() => this.#guestRuns(target, arrivals.stalledNs))
    yield* between.on(source, source.hypervisor.deleteVm(vm))
    if (this.#options.primary !== undefined && !wasPaused)
      yield* this.#takePrimary(target, this.#options.primary)
    this.#tell(`runs on ${target.name} now, after ${downtimeNs} ns`, { downtimeNs })
    return this.#report({
      outcome: 'migrated',
      converged,
      stateBytes: state,
      finalPages: postCopied ? 0 : last.pages.length,
      finalBytes: sent,
      downtimeNs,
      framesLost,
      postCopy,
      cost,
    })
  }

  /** What is left when the guest stands still: interrupts that were on their way may have changed more. */
  #last({ pages, disk }: Rest): Rest {
    const more = this.#log.take()
    const moreDisk = this.#medium?.from.takeChanged() ?? []
    return { pages: union(pages, more), disk: union(disk, moreDisk) }
  }

  get #pageCount(): number {
    return this.#memoryOn(this.#source).ranges.reduce((sum, { size }) => sum + size / PAGE_SIZE, 0)
  }

  #postCopy(missing: readonly PageNumber[]): PostCopy {
    const { latencyNs } = this.#options
    return new PostCopy(this.#between, this.#vm, this.#channel, latencyNs, missing)
  }

  get #told(): MigrationReport['primary'] {
    const [released] = this.#primaries
    const { primary } = this.#options
    if (released === undefined || primary === undefined) return null
    return { released: released.function, releaseNs: this.#releaseNs, taken: primary }
  }

  #report(
    told: Pick<MigrationReport, 'outcome' | 'converged'> &
      Partial<MigrationReport> & { postCopy?: PostCopyReport | null },
  ): MigrationReport {
    return {
      vm: this.#vm,
      from: this.#source.name,
      to: this.#target.name,
      rounds: this.#rounds,
      stateBytes: 0,
      finalPages: 0,
      finalBytes: 0,
      bytes: this.#channel.bytes,
      downtimeNs: 0,
      totalNs: this.#between.elapsed,
      postCopy: null,
      primary: this.#told,
      framesLost: 0,
      tracking: this.#options.tracking,
      cost: this.#log.cost,
      ...told,
    }
  }

  #tell(what: string, detail: Readonly<Record<string, unknown>>): void {
    const step = { step: 'migration', vm: this.#vm, to: this.#target.name, ...detail }
    this.#source.engine.trace.emit('vm', `${this.#vm} ${what}`, step)
  }
}

const union = (a: readonly number[], b: readonly number[]): number[] =>
  [...new Set([...a, ...b])].sort((x, y) => x - y)

function* nothing(): Software {}
