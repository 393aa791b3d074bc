/** What writes to registers set in motion: the GCMD protocol and the dispatch to the parts that own a register. */
import type { UnitCapabilities } from './capabilities.ts'
import type { DmaRemapping } from './dma-remapping.ts'
import type { EventInterrupt } from './event-interrupt.ts'
import type { FaultRecorder } from './fault-recording.ts'
import * as R from './formats/registers.ts'
import type { InterruptRemapping } from './interrupt-remapping.ts'
import type { Invalidation } from './invalidation.ts'
import type { InvalidationQueue } from './invalidation-queue.ts'
import { updateProtection } from './protected-memory.ts'
import type { RegisterBlock } from './register-block.ts'
import type { RegisterInvalidation } from './register-invalidation.ts'

const { TES, RTPS, IRES, IRTPS, CFIS } = R.GSTS.f
const { TE, SRTP, WBF, QIE, IRE, SIRTP, CFI, SFL } = R.GCMD.f
/** Commands that act when written 1 and are not levels. */
const ONE_SHOT = SRTP.mask | SFL.mask | WBF.mask | SIRTP.mask

/** The parts of a unit that register writes reach. */
export interface RegisterOwners {
  readonly dma: DmaRemapping
  readonly interrupts: InterruptRemapping
  readonly faults: FaultRecorder
  readonly faultEvent: EventInterrupt
  readonly completionEvent: EventInterrupt
  readonly invalidation: Invalidation
  readonly queue: InvalidationQueue
  readonly registerInvalidation: RegisterInvalidation
}

export class RegisterEffects {
  readonly #block: RegisterBlock
  readonly #words: Uint32Array
  readonly #capabilities: UnitCapabilities
  readonly #owners: RegisterOwners
  readonly #firstFaultRecord: number
  readonly #endOfFaultRecords: number

  constructor(block: RegisterBlock, capabilities: UnitCapabilities, owners: RegisterOwners) {
    this.#block = block
    this.#words = block.file.words
    this.#capabilities = capabilities
    this.#owners = owners
    this.#firstFaultRecord = block.FRCD[0]!.offset
    this.#endOfFaultRecords = this.#firstFaultRecord + 16 * block.FRCD.length
  }

  /** A dword write inside the register window. */
  write(offset: number, value: number, lanes: number): void {
    const { registerInvalidation, faults, faultEvent, queue } = this.#owners
    const { IVA, IOTLB } = this.#block
    this.#block.file.write(offset, value, lanes)
    if (offset === R.GCMD.offset) this.#command(value & lanes, lanes)
    else if (offset === R.CCMD.offset) registerInvalidation.commandWritten(0, value, lanes)
    else if (offset === R.CCMD.offset + 4) registerInvalidation.commandWritten(1, value, lanes)
    else if (offset === IVA.offset) registerInvalidation.addressWritten(0, value, lanes)
    else if (offset === IVA.offset + 4) registerInvalidation.addressWritten(1, value, lanes)
    else if (offset === IOTLB.offset + 4) registerInvalidation.iotlbWritten()
    else if (offset === R.FSTS.offset) {
      faults.serviced()
      queue.run()
    } else if (offset === R.FECTL.offset) faultEvent.release()
    else if (offset === R.PMEN.offset) updateProtection(this.#block.file)
    else if (offset >= this.#firstFaultRecord && offset < this.#endOfFaultRecords) faults.serviced()
    else if (this.#capabilities.QI) this.#queueRegisterWritten(offset)
  }

  #queueRegisterWritten(offset: number): void {
    const { queue, completionEvent } = this.#owners
    if (offset === R.IQT.offset || offset === R.IQA.offset) queue.run()
    else if (offset === R.IECTL.offset) completionEvent.release()
    else if (offset === R.ICS.offset && (this.#words[R.ICS.at]! & R.ICS.f.IWC.mask) === 0) {
      completionEvent.withdraw()
    }
  }

  /**
   * "Global Command Register": levels act where they differ from GSTS, one-shot bits where they are written 1. All
   * commands complete at once, so a write buffer flush is never seen in progress.
   */
  #command(written: number, lanes: number): void {
    const words = this.#words
    const { invalidation, queue, faults } = this.#owners
    const { ESRTPS, ESIRTPS, QI, IR } = this.#capabilities
    const changed = (written ^ words[R.GSTS.at]!) & lanes & ~ONE_SHOT
    if (written & SRTP.mask) {
      this.latchRootTable()
      if (ESRTPS) invalidation.rootTableChanged()
      words[R.GSTS.at]! |= RTPS.mask
    }
    if (IR && written & SIRTP.mask) {
      this.latchInterruptTable()
      if (ESIRTPS) invalidation.interruptTableChanged()
      words[R.GSTS.at]! |= IRTPS.mask
    }
    if (QI && changed & QIE.mask) {
      if (written & QIE.mask) queue.enable()
      else queue.disable()
    }
    if (changed & TE.mask) words[R.GSTS.at]! ^= TES.mask
    if (IR && changed & IRE.mask) {
      words[R.GSTS.at]! ^= IRES.mask
      if (ESIRTPS && (written & IRE.mask) === 0) invalidation.interruptTableChanged()
    }
    if (IR && changed & CFI.mask) words[R.GSTS.at]! ^= CFIS.mask
    if ((words[R.GSTS.at]! & (TES.mask | IRES.mask)) === 0) faults.next = 0
  }

  latchRootTable(): void {
    const low = this.#words[R.RTADDR.at]!
    const { dma } = this.#owners
    dma.rootTable = this.#words[R.RTADDR.at + 1]! * 0x10_0000 + (low >>> 12)
    dma.mode = (low & R.RTADDR.f.TTM.mask) >>> R.RTADDR.f.TTM.shift
  }

  latchInterruptTable(): void {
    const low = this.#words[R.IRTA.at]!
    const { interrupts } = this.#owners
    interrupts.table = this.#words[R.IRTA.at + 1]! * 0x10_0000 + (low >>> 12)
    interrupts.entries = 2 << (low & R.IRTA.f.S.mask)
    interrupts.extended = (low & R.IRTA.f.EIME.mask) !== 0
  }
}
