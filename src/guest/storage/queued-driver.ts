/** What the drivers of disks have in common: a buffer, tags for commands under way, and one command at a time on top. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { SECTOR_SIZE } from '../../hypervisor/formats/virtio.ts'
import type { BlockCommand, BlockCounters, BlockDriver } from './block-driver.ts'
import { CommandTags } from './command-tags.ts'

/** Guest memory for data, of which one transfer takes half at most. */
export const BUFFER_SIZE = 128 * 1024
export const MOST_BYTES = 64 * 1024
/** Looks before a command that does not end is given up; its tag stays taken. */
const LOOKS = 64

export type SavedQueuedDriver = {
  readonly version: 1
  readonly depth: number
  readonly buffer: number
  readonly tags: Saved
  readonly commands: number
  readonly doorbells: number
  readonly interrupts: number
}

export abstract class QueuedDriver implements BlockDriver {
  abstract readonly name: string
  abstract readonly sectors: number
  readonly mostSectors = MOST_BYTES / SECTOR_SIZE
  readonly buffer: number
  readonly bufferSize = BUFFER_SIZE
  protected readonly tags: CommandTags
  protected commands = 0
  protected doorbells = 0
  protected interrupts = 0

  constructor(depth: number, buffer: number) {
    this.tags = new CommandTags(depth)
    this.buffer = buffer
  }

  get depth(): number {
    return this.tags.count
  }

  get counters(): BlockCounters {
    const { commands, doorbells, interrupts } = this
    return { commands, doorbells, interrupts }
  }

  *prepare(command: BlockCommand): Software<number> {
    const tag = this.tags.take()
    if (tag < 0) return -1
    this.commands++
    yield* this.describe(tag, command)
    return tag
  }

  /** Writes a command to where the disk will find it. */
  protected abstract describe(tag: number, command: BlockCommand): Software
  abstract commit(): Software
  abstract reap(): Software
  abstract interrupt(index: number): Software
  abstract stop(): Software

  outcome(tag: number): boolean | undefined {
    return this.tags.outcome(tag)
  }

  *transfer(write: boolean, sector: number, count: number, address = this.buffer): Software<boolean> {
    return yield* this.#execute({ kind: write ? 'write' : 'read', sector, count, address })
  }

  *flush(): Software<boolean> {
    return yield* this.#execute({ kind: 'flush', sector: 0, count: 0, address: 0 })
  }

  /** One command from beginning to end. */
  *#execute(command: BlockCommand): Software<boolean> {
    const tag = yield* this.prepare(command)
    if (tag < 0) return false
    yield* this.commit()
    for (let look = 0; look < LOOKS; look++) {
      yield* this.reap()
      const outcome = this.outcome(tag)
      if (outcome !== undefined) return outcome
      yield
    }
    return false
  }

  save(): SavedQueuedDriver {
    return { version: 1, depth: this.depth, buffer: this.buffer, tags: this.tags.save(), ...this.counters }
  }

  /** Takes over what {@link save} returned; the constructor was given depth and buffer. */
  protected load({ tags, commands, doorbells, interrupts }: SavedQueuedDriver): void {
    this.tags.load(tags)
    this.commands = commands
    this.doorbells = doorbells
    this.interrupts = interrupts
  }
}
