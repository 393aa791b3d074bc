/**
 * What is kept of an installation so that it survives its process. Every world has a log of its own: commands in the
 * order in which they happened, and states from which it goes on. A world is a platform, or a catalogue of topologies.
 * Beside the worlds there are documents: small things that are replaced as a whole.
 */
import type { NorthbridgeError } from '../core/index.ts'

/** Where a world stood after a command: a replay has to come to the same. */
export interface WorldMark {
  /** Virtual time, nanoseconds. */
  readonly timeNs: number
  /** Events that its trace has told of. */
  readonly told: number
}

export interface CommandRecord {
  /** Its name; with its namespace before it, `<namespace>/<name>`, in others than the first. */
  readonly world: string
  /** 1, 2, 3, … through the life of its world, without a gap. */
  readonly sequence: number
  readonly operation: string
  /** Plain JSON. */
  readonly input: unknown
  /** Code of the error that it ended with; it has happened all the same. */
  readonly error: string | null
  readonly after: WorldMark
  /** Of the model that carried it out. */
  readonly version: string
}

export interface Snapshot {
  readonly world: string
  /** The last command that it contains. */
  readonly sequence: number
  readonly version: string
  /** That command is not one to be done again: this state is kept as long as the command is. */
  readonly origin: boolean
  /** See `encodeState`. */
  readonly state: Uint8Array
}

/** An answer that a request under an idempotency key gets again. */
export interface KeptAnswer {
  readonly key: string
  /** Of the request: another one may not use the key. */
  readonly fingerprint: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A small thing that is replaced as a whole: an experiment, the result of one of its points, a token. */
export interface KeptDocument {
  readonly kind: string
  readonly key: string
  /** Plain JSON; `undefined` in a commit takes the document away. */
  readonly value: unknown
}

/** What becomes durable together, or not at all; in the order in which the parts are listed here. */
export interface Commit {
  /** Worlds that are no more, with all that was kept of them. */
  readonly forgotten?: readonly string[]
  readonly commands?: readonly CommandRecord[]
  readonly snapshots?: readonly Snapshot[]
  readonly documents?: readonly KeptDocument[]
  readonly answer?: KeptAnswer
}

export interface KeptWorld {
  readonly world: string
  /** The newest. */
  readonly snapshot: Snapshot | undefined
  /** Those that the snapshot does not contain, ascending, without a gap. */
  readonly commands: readonly CommandRecord[]
}

/** What was found when a store was opened. */
export interface Kept {
  /** By ascending name. */
  readonly worlds: readonly KeptWorld[]
  /** Oldest first. */
  readonly answers: readonly KeptAnswer[]
  /** What could not be read and was cut off, in words; empty for a store that was whole. */
  readonly losses: readonly string[]
}

/** What is there at once in a store in memory takes a while in others. */
export type Sooner<Value> = Value | Promise<Value>

/** A place where an installation is kept. Throws `storeFailed` when it cannot keep what it is given. */
export interface Store {
  /** Why nothing can be kept at the moment; who is about to change something asks first. */
  readonly trouble: NorthbridgeError | undefined
  /** Commands of a world after which its state is worth keeping. */
  readonly commandsPerSnapshot: number
  /** It takes what it is given at once: its user may never wait for anything. */
  readonly immediate: boolean
  /** Before anything else. Cuts off what is damaged: of a world, everything from the first damaged command on. */
  open(): Promise<Kept>
  /** Resolves once everything of the commit is durable. Commits become durable in the order in which they are given. */
  commit(commit: Commit): Promise<void>
  /** The newest snapshot of a world that contains no command after `sequence`. Sees all commits given before. */
  snapshotBefore(world: string, sequence: number): Sooner<Snapshot | undefined>
  /** Commands of a world after one and up to another, ascending. Sees all commits given before. */
  commandsOf(world: string, after: number, upTo: number): Sooner<readonly CommandRecord[]>
  /** Documents of a kind by ascending key. Those that are damaged are left out, and told of by `open`. */
  documents(kind: string): Sooner<readonly KeptDocument[]>
  /** Everything given before is durable then. */
  close(): Promise<void>
}
