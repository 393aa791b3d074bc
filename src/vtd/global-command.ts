/** "Global Command Register", "Global Status Register": commands and the latches that they load. */
import type { UnitCapabilities } from './capabilities.ts'
import type { DmaRemapping } from './dma-remapping.ts'
import type { FaultRecorder } from './fault-recording.ts'
import * as R from './formats/registers.ts'
import type { InterruptRemapping } from './interrupt-remapping.ts'
import type { Invalidation } from './invalidation.ts'
import type { InvalidationQueue } from './invalidation-queue.ts'
import { type PendingWork, WORK } from './pending-work.ts'
import type { Quirks } from './quirks.ts'

const { TES, RTPS, IRES, IRTPS, CFIS, WBFS } = R.GSTS.f
const { TE, SRTP, WBF, QIE, IRE, SIRTP, CFI, SFL } = R.GCMD.f
/** Commands that act when written 1 and are not levels. */
const ONE_SHOT = SRTP.mask | SFL.mask | WBF.mask | SIRTP.mask

/** The parts of a unit that commands reach. */
export interface CommandTargets {
  readonly dma: DmaRemapping
  readonly interrupts: InterruptRemapping
  readonly faults: FaultRecorder
  readonly invalidation: Invalidation
  readonly queue: InvalidationQueue
  readonly work: PendingWork
}

export class GlobalCommand {
  readonly #words: Uint32Array
  readonly #capabilities: UnitCapabilities
  readonly #targets: CommandTargets
  readonly #quirks: Quirks
  readonly #latency: number

  /** @param latency nanoseconds until GSTS shows a command as completed. */
  constructor(
    words: Uint32Array,
    capabilities: UnitCapabilities,
    targets: CommandTargets,
    { quirks, latency }: { quirks: Quirks; latency: number },
  ) {
    this.#words = words
    this.#capabilities = capabilities
    this.#targets = targets
    this.#quirks = quirks
    this.#latency = latency
    targets.work.handle(WORK.command, written => this.#perform(written))
  }

  /** After a write: levels act where they differ from GSTS, one-shot bits where they are written 1. */
  written(value: number, lanes: number): void {
    const command = (value | (this.#words[R.GSTS.at]! & ~ONE_SHOT & ~lanes)) >>> 0
    if (this.#latency === 0) {
      this.#perform(command)
      return
    }
    const { IR, RWBF } = this.#capabilities
    let underWay = command & SRTP.mask
    if (IR) underWay |= command & SIRTP.mask
    // The status bits stand where the command bits do; they are clear while a table pointer is being set.
    this.#words[R.GSTS.at]! &= ~underWay
    if (RWBF && command & WBF.mask) this.#words[R.GSTS.at]! |= WBFS.mask
    this.#targets.work.start(this.#latency, WORK.command, command)
  }

  #perform(written: number): void {
    const words = this.#words
    const { invalidation, queue, faults } = this.#targets
    const { ESRTPS, ESIRTPS, QI, IR, SMTS } = this.#capabilities
    const changed = (written ^ words[R.GSTS.at]!) & ~ONE_SHOT
    words[R.GSTS.at]! &= ~WBFS.mask
    if (written & SRTP.mask) {
      this.latchRootTable()
      if (ESRTPS) invalidation.everythingForDma()
      words[R.GSTS.at]! |= RTPS.mask
    }
    if (IR && written & SIRTP.mask) {
      this.latchInterruptTable()
      if (ESIRTPS) invalidation.everythingForInterrupts()
      words[R.GSTS.at]! |= IRTPS.mask
    }
    if (QI && changed & QIE.mask) {
      if (written & QIE.mask) queue.enable()
      else queue.disable()
    }
    if (changed & TE.mask) {
      words[R.GSTS.at]! ^= TES.mask
      // A unit with scalable mode forgets everything when translation is disabled.
      if (SMTS && (written & TE.mask) === 0) invalidation.everythingForDma()
    }
    if (IR && changed & IRE.mask) {
      words[R.GSTS.at]! ^= IRES.mask
      if (ESIRTPS && (written & IRE.mask) === 0) invalidation.everythingForInterrupts()
    }
    if (IR && changed & CFI.mask && !this.#quirks.cfisNeverSet) words[R.GSTS.at]! ^= CFIS.mask
    if ((words[R.GSTS.at]! & (TES.mask | IRES.mask)) === 0) faults.next = 0
  }

  latchRootTable(): void {
    const low = this.#words[R.RTADDR.at]!
    const { dma } = this.#targets
    dma.rootTable = this.#words[R.RTADDR.at + 1]! * 0x10_0000 + (low >>> 12)
    dma.mode = (low & R.RTADDR.f.TTM.mask) >>> R.RTADDR.f.TTM.shift
  }

  latchInterruptTable(): void {
    const low = this.#words[R.IRTA.at]!
    const { interrupts } = this.#targets
    interrupts.table = this.#words[R.IRTA.at + 1]! * 0x10_0000 + (low >>> 12)
    interrupts.entries = 2 << (low & R.IRTA.f.S.mask)
    interrupts.extended = (low & R.IRTA.f.EIME.mask) !== 0
  }
}
