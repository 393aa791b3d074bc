/** What Get Log Page reads: errors, health, firmware slots: NVM Express 1.4, §5.14. */
import type { Saved } from '../../core/index.ts'
import { ERROR_LOG, HEALTH, LOG_PAGE, LOG_SIZE } from '../formats/nvme/index.ts'
import { ERROR_ENTRIES } from './settings.ts'

/** Words of an entry: submission queue, command id, status, namespace, LBA low and high. */
const WORDS = 6
const TWO_32 = 2 ** 32

export class Logs {
  readonly #errors = new Float64Array(ERROR_ENTRIES * WORDS)
  /** Errors since the subsystem was made: "Error Count" of the newest entry. */
  #count = 0
  readonly #firmware: string
  // Health: since the subsystem was made.
  blocksRead = 0
  blocksWritten = 0
  readCommands = 0
  writeCommands = 0

  constructor(firmwareRevision: string) {
    this.#firmware = firmwareRevision
  }

  get errorCount(): number {
    return this.#count
  }

  /** @param queue and `command` are FFFFh for what belongs to no command. */
  addError(queue: number, command: number, status: number, nsid: number, lbaLow = 0, lbaHigh = 0): void {
    const at = (this.#count % ERROR_ENTRIES) * WORDS
    const errors = this.#errors
    errors[at] = queue
    errors[at + 1] = command
    errors[at + 2] = status
    errors[at + 3] = nsid
    errors[at + 4] = lbaLow
    errors[at + 5] = lbaHigh
    this.#count++
  }

  /** Bytes of a log page; 0 for one that there is not. */
  size(page: number): number {
    switch (page) {
      case LOG_PAGE.error:
        return ERROR_ENTRIES * LOG_SIZE.errorEntry
      case LOG_PAGE.health:
        return LOG_SIZE.health
      case LOG_PAGE.firmware:
        return LOG_SIZE.firmware
      default:
        return 0
    }
  }

  /** Composes a whole page at the start of `target`. */
  compose(page: number, target: Uint8Array): void {
    target.fill(0, 0, this.size(page))
    if (page === LOG_PAGE.error) this.#composeErrors(target)
    else if (page === LOG_PAGE.health) this.#composeHealth(target)
    else {
      target[0] = 1 // AFI: slot 1 is active
      for (let i = 0; i < 8; i++) target[8 + i] = this.#firmware.charCodeAt(i) || 0x20
    }
  }

  /** Newest first. */
  #composeErrors(target: Uint8Array): void {
    const present = Math.min(this.#count, ERROR_ENTRIES)
    for (let i = 0; i < present; i++) {
      const number = this.#count - i
      const from = ((number - 1) % ERROR_ENTRIES) * WORDS
      const at = i * LOG_SIZE.errorEntry
      const errors = this.#errors
      put(target, at + ERROR_LOG.count, number, 8)
      put(target, at + ERROR_LOG.submissionQueue, errors[from]!, 2)
      put(target, at + ERROR_LOG.commandId, errors[from + 1]!, 2)
      // The status field with the phase tag's bit below it.
      put(target, at + ERROR_LOG.status, errors[from + 2]! * 2, 2)
      put(target, at + ERROR_LOG.parameter, 0xffff, 2)
      put(target, at + ERROR_LOG.lba, errors[from + 4]!, 4)
      put(target, at + ERROR_LOG.lba + 4, errors[from + 5]!, 4)
      put(target, at + ERROR_LOG.namespace, errors[from + 3]!, 4)
    }
  }

  #composeHealth(target: Uint8Array): void {
    put(target, HEALTH.temperature, 310, 2)
    target[HEALTH.availableSpare] = 100
    target[HEALTH.spareThreshold] = 10
    // In thousands of 512 bytes, rounded up.
    put(target, HEALTH.dataUnitsRead, Math.ceil(this.blocksRead / 1000), 8)
    put(target, HEALTH.dataUnitsWritten, Math.ceil(this.blocksWritten / 1000), 8)
    put(target, HEALTH.readCommands, this.readCommands, 8)
    put(target, HEALTH.writeCommands, this.writeCommands, 8)
    put(target, HEALTH.powerCycles, 1, 8)
    put(target, HEALTH.errorEntries, this.#count, 8)
  }

  save(): Saved {
    return {
      errors: this.#errors.slice(),
      count: this.#count,
      health: [this.blocksRead, this.blocksWritten, this.readCommands, this.writeCommands],
    }
  }

  load(saved: Saved): void {
    const { errors, count, health } = saved as unknown as {
      errors: Float64Array
      count: number
      health: [number, number, number, number]
    }
    this.#errors.set(errors)
    this.#count = count
    ;[this.blocksRead, this.blocksWritten, this.readCommands, this.writeCommands] = health
  }
}

/** Stores a number of `length` bytes, little-endian. */
export function put(target: Uint8Array, at: number, value: number, length: number): void {
  let low = value % TWO_32
  const high = Math.floor(value / TWO_32)
  for (let i = 0; i < length; i++) {
    if (i === 4) low = high
    target[at + i] = low
    low = Math.floor(low / 256)
  }
}
