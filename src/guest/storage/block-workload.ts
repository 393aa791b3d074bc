/**
 * A program that keeps a disk busy: commands of one size, at places in a row or at random, several under way together.
 * Each sector that it writes carries a stamp by which a later read is checked, as fio's verify headers do.
 */
import { Random } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { SECTOR_SIZE } from '../../hypervisor/formats/virtio.ts'
import type { GuestAccess } from '../guest-access.ts'
import type { BlockDriver } from './block-driver.ts'

export interface BlockWorkload {
  readonly pattern: 'sequential' | 'random'
  /** Of one command: its size, to which places are aligned. */
  readonly sectors: number
  /** Most commands under way together. */
  readonly depth: number
  readonly commands: number
  /** Of a hundred commands, so many read; the others write. */
  readonly readPercent: number
  /** The part of the disk that is used. A row begins anew at its end. */
  readonly firstSector: number
  readonly span: number
  /** Of places and of the mix. */
  readonly seed: number
}

export interface BlockWorkloadResult {
  readonly reads: number
  readonly writes: number
  /** Commands that the disk ended with an error, or never. */
  readonly failed: number
  /** Sectors that a read brought without what the program had written there. */
  readonly mismatches: number
}

/** A command under way. */
interface Flight {
  readonly write: boolean
  readonly block: number
  /** Number of its piece of the buffer. */
  readonly piece: number
  /** Number of the command, from 1. */
  readonly number: number
}

/** Looks at a disk without a completion before what is under way is given up. */
const LOOKS = 64

export class BlockWorkloadRun {
  readonly #access: GuestAccess
  readonly #driver: BlockDriver
  readonly #workload: BlockWorkload
  readonly #random: Random
  /** By tag. */
  readonly #flights = new Map<number, Flight>()
  readonly #pieces: number[]
  /** Number of the command that wrote a block last. */
  readonly #writer = new Map<number, number>()
  #started = 0
  /** Commands that ended well. */
  #reads = 0
  #writes = 0
  #failed = 0
  #mismatches = 0

  /** The workload fits the driver: `depth` pieces its buffer, the span its disk. */
  constructor(access: GuestAccess, driver: BlockDriver, workload: BlockWorkload) {
    this.#access = access
    this.#driver = driver
    this.#workload = workload
    this.#random = new Random(workload.seed)
    this.#pieces = Array.from({ length: workload.depth }, (_, piece) => piece)
  }

  *run(): Software<BlockWorkloadResult> {
    let next = this.#draw()
    while (next !== undefined || this.#flights.size > 0) {
      const before = this.#flights.size
      while (next !== undefined && this.#mayStart(next)) {
        yield* this.#start(next)
        next = this.#draw()
      }
      if (this.#flights.size > before) yield* this.#driver.commit()
      if (this.#flights.size > 0 && !(yield* this.#wait())) break
      // A long workload lets others run, and takes no time for it.
      yield () => true
    }
    this.#failed += this.#flights.size
    return {
      reads: this.#reads,
      writes: this.#writes,
      failed: this.#failed,
      mismatches: this.#mismatches,
    }
  }

  /** What the next command does, and where; undefined after the last. */
  #draw(): Pick<Flight, 'write' | 'block'> | undefined {
    const { pattern, commands, readPercent, span, sectors } = this.#workload
    if (this.#started === commands) return undefined
    const blocks = Math.floor(span / sectors)
    const block = pattern === 'random' ? this.#random.integer(0, blocks - 1) : this.#started % blocks
    return { write: this.#random.integer(1, 100) > readPercent, block }
  }

  /** Disks do not say in which order they do what is under way: commands for one block wait for each other. */
  #mayStart({ block }: Pick<Flight, 'block'>): boolean {
    return this.#pieces.length > 0 && [...this.#flights.values()].every(flight => flight.block !== block)
  }

  *#start({ write, block }: Pick<Flight, 'write' | 'block'>): Software {
    const piece = this.#pieces.pop()!
    const flight: Flight = { write, block, piece, number: ++this.#started }
    yield* this.#stamp(flight)
    const { sectors } = this.#workload
    const tag = yield* this.#driver.prepare({
      kind: write ? 'write' : 'read',
      sector: this.#sectorOf(block),
      count: sectors,
      address: this.#addressOf(piece),
    })
    if (tag >= 0) this.#flights.set(tag, flight)
    else this.#lose(flight)
  }

  #lose({ piece }: Flight): void {
    this.#failed++
    this.#pieces.push(piece)
  }

  #sectorOf(block: number): number {
    return this.#workload.firstSector + block * this.#workload.sectors
  }

  #addressOf(piece: number): number {
    return this.#driver.buffer + piece * this.#workload.sectors * SECTOR_SIZE
  }

  /** Sector and command at the front of each sector; for a read, nothing of what is to come. */
  *#stamp({ write, block, piece, number }: Flight): Software {
    for (let i = 0; i < this.#workload.sectors; i++) {
      const at = this.#addressOf(piece) + i * SECTOR_SIZE
      yield* write
        ? this.#access.write64(at, this.#sectorOf(block) + i, number)
        : this.#access.write64(at, 0, 0)
    }
  }

  /** Until a command has ended. False if none does. */
  *#wait(): Software<boolean> {
    for (let look = 0; look < LOOKS; look++) {
      yield* this.#driver.reap()
      const before = this.#flights.size
      for (const [tag, flight] of this.#flights) yield* this.#finish(tag, flight)
      if (this.#flights.size < before) return true
      yield
    }
    return false
  }

  *#finish(tag: number, flight: Flight): Software {
    const ok = this.#driver.outcome(tag)
    if (ok === undefined) return
    const { write, block, piece, number } = flight
    this.#flights.delete(tag)
    // A write that failed may have written a part.
    if (write) this.#writer.delete(block)
    if (!ok) return this.#lose(flight)
    this.#pieces.push(piece)
    if (write) {
      this.#writes++
      this.#writer.set(block, number)
    } else {
      this.#reads++
      yield* this.#check(flight)
    }
  }

  *#check({ block, piece }: Flight): Software {
    const writer = this.#writer.get(block)
    if (writer === undefined) return
    for (let i = 0; i < this.#workload.sectors; i++) {
      const at = this.#addressOf(piece) + i * SECTOR_SIZE
      const sector = yield* this.#access.read32(at)
      const number = yield* this.#access.read32(at + 4)
      if (sector !== (this.#sectorOf(block) + i) % 2 ** 32 || number !== writer) this.#mismatches++
    }
  }
}
