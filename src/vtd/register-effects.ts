/** What writes to registers set in motion: the dispatch to the parts that own a register, and what reads show. */
import type { UnitCapabilities } from './capabilities.ts'
import type { EventInterrupt } from './event-interrupt.ts'
import type { FaultRecorder } from './fault-recording.ts'
import * as R from './formats/registers.ts'
import type { GlobalCommand } from './global-command.ts'
import type { InvalidationQueue } from './invalidation-queue.ts'
import { updateProtection } from './protected-memory.ts'
import type { Quirks } from './quirks.ts'
import type { RegisterBlock } from './register-block.ts'
import type { RegisterInvalidation } from './register-invalidation.ts'

/** The parts of a unit that register writes reach. */
export interface RegisterOwners {
  readonly command: GlobalCommand
  readonly faults: FaultRecorder
  readonly faultEvent: EventInterrupt
  readonly completionEvent: EventInterrupt
  readonly pageRequestEvent: EventInterrupt
  readonly queue: InvalidationQueue
  readonly registerInvalidation: RegisterInvalidation
}

export class RegisterEffects {
  readonly #block: RegisterBlock
  readonly #words: Uint32Array
  readonly #capabilities: UnitCapabilities
  readonly #owners: RegisterOwners
  readonly #quirks: Quirks
  readonly #firstFaultRecord: number
  readonly #endOfFaultRecords: number

  constructor(block: RegisterBlock, capabilities: UnitCapabilities, owners: RegisterOwners, quirks: Quirks) {
    this.#block = block
    this.#words = block.file.words
    this.#capabilities = capabilities
    this.#owners = owners
    this.#quirks = quirks
    this.#firstFaultRecord = block.FRCD[0]!.offset
    this.#endOfFaultRecords = this.#firstFaultRecord + 16 * block.FRCD.length
  }

  /** A dword of the register window as software reads it. */
  read(offset: number): number {
    const value = this.#words[offset >>> 2] ?? 0
    if (this.#quirks.iqaBaseHiddenUntilQie && !this.#owners.queue.enabled) {
      if (offset === R.IQA.offset) return value & 0xfff
      if (offset === R.IQA.offset + 4) return 0
    }
    return value
  }

  /** A dword write inside the register window. */
  write(offset: number, value: number, lanes: number): void {
    const { command, registerInvalidation, faults, faultEvent, queue } = this.#owners
    const { IVA, IOTLB } = this.#block
    this.#block.file.write(offset, value, lanes)
    if (offset === R.GCMD.offset) command.written(value & lanes, lanes)
    else if (offset === R.CCMD.offset) registerInvalidation.commandWritten(0, value, lanes)
    else if (offset === R.CCMD.offset + 4) registerInvalidation.commandWritten(1, value, lanes)
    else if (offset === IVA.offset) registerInvalidation.addressWritten(0, value, lanes)
    else if (offset === IVA.offset + 4) registerInvalidation.addressWritten(1, value, lanes)
    else if (offset === IOTLB.offset + 4) registerInvalidation.iotlbWritten()
    else if (offset === R.FSTS.offset) {
      faults.serviced()
      faults.withdrawServiced()
      queue.resume()
    } else if (offset === R.FECTL.offset) faultEvent.release()
    else if (offset === R.PMEN.offset) updateProtection(this.#block.file)
    else if (offset >= this.#firstFaultRecord && offset < this.#endOfFaultRecords) {
      faults.serviced()
      if (!this.#quirks.fectlIpKeptUntilFstsWrite) faults.withdrawServiced()
    } else {
      if (this.#capabilities.QI) this.#queueRegisterWritten(offset)
      if (this.#capabilities.PRS) this.#pageRequestRegisterWritten(offset)
    }
  }

  #queueRegisterWritten(offset: number): void {
    const { queue, completionEvent } = this.#owners
    if (offset === R.IQT.offset || offset === R.IQA.offset) queue.run()
    else if (offset === R.IECTL.offset) completionEvent.release()
    else if (offset === R.ICS.offset && (this.#words[R.ICS.at]! & R.ICS.f.IWC.mask) === 0) {
      completionEvent.withdraw()
    }
  }

  #pageRequestRegisterWritten(offset: number): void {
    const { pageRequestEvent } = this.#owners
    if (offset === R.PECTL.offset) pageRequestEvent.release()
    else if (offset === R.PRS.offset && (this.#words[R.PRS.at]! & R.PRS.f.PPR.mask) === 0) {
      pageRequestEvent.withdraw()
    }
  }
}
