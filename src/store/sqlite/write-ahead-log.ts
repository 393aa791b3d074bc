/**
 * What SQLite does not say of its write-ahead log: it goes on behind the last frame that is whole, and keeps silent of
 * what follows. See "The WAL File Format" of its documentation.
 */
import { existsSync, readFileSync } from 'node:fs'

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
/** The lowest bit tells the order of bytes in the words that are summed. */
const MAGIC = 0x377f_0682

/** In words, if something of this log was lost. To be asked before the database is opened. */
export function lossesOf(path: string): readonly string[] {
  if (!existsSync(path)) return []
  const log = readFileSync(path)
  if (log.length === 0) return []
  const words = new DataView(log.buffer, log.byteOffset, log.byteLength)
  const littleEndian = log.length >= 4 && words.getUint32(0) === MAGIC
  const sum = new Checksum(words, littleEndian)
  if (log.length < HEADER_BYTES || !sum.goesOnWith(0, 24, 24)) {
    return ['the head of the write-ahead log is damaged: what was in it is cut off']
  }
  const frameBytes = FRAME_HEADER_BYTES + words.getUint32(8)
  const salt = (at: number): bigint => words.getBigUint64(at)
  const isOfThisLog = (frame: number): boolean => salt(frame + 8) === salt(16)
  let whole = 0
  let later = 0
  for (let frame = HEADER_BYTES; frame + FRAME_HEADER_BYTES <= log.length; frame += frameBytes) {
    // What an earlier turn of the log has left behind its end.
    if (!isOfThisLog(frame)) {
      if (later === 0) break
      continue
    }
    const complete = frame + frameBytes <= log.length
    if (later === 0 && complete && sum.goesOnWith(frame, 8, 16, frame + FRAME_HEADER_BYTES)) whole++
    else later++
  }
  return later === 0
    ? []
    : [`the write-ahead log is damaged behind ${whole} pages: ${later} later ones are cut off`]
}

/** The running sum that every frame holds: of everything before it and itself. */
class Checksum {
  readonly #words: DataView
  readonly #littleEndian: boolean
  #first = 0
  #second = 0

  constructor(words: DataView, littleEndian: boolean) {
    this.#words = words
    this.#littleEndian = littleEndian
  }

  /** Adds bytes from `at` on, then the page at `page`, and compares with the sum at an offset from `at`. */
  goesOnWith(at: number, length: number, sumAt: number, page?: number): boolean {
    this.#add(at, length)
    if (page !== undefined) this.#add(page, this.#words.getUint32(8))
    return (
      this.#words.getUint32(at + sumAt) === this.#first &&
      this.#words.getUint32(at + sumAt + 4) === this.#second
    )
  }

  #add(at: number, length: number): void {
    for (let i = at; i < at + length; i += 8) {
      this.#first = (this.#first + this.#words.getUint32(i, this.#littleEndian) + this.#second) >>> 0
      this.#second = (this.#second + this.#words.getUint32(i + 4, this.#littleEndian) + this.#first) >>> 0
    }
  }
}
