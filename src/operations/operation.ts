/** The shape of one row of the table of operations. */
import type { Static, TSchema } from '@sinclair/typebox'
import { type ErrorCode, NorthbridgeError } from '../core/index.ts'
import type { Software, Trace } from '../engine/index.ts'
import { type SimulatedPlatform, undoneOnFailure } from '../system/index.ts'
import type { OperationContext } from './context.ts'
import type { PastCommand } from './history.ts'

/** Where an operation hangs in the REST face. Input that is not in the path travels in the query or the body. */
export interface RestBinding {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With `{property}` for input that is part of the path. */
  readonly path: string
  /** Status of a success; default 200. */
  readonly status?: 200 | 201 | 202 | 204
  /** `Location` of what was created: a path with `{property}` of the output, else of the input. */
  readonly location?: string
  /** The input property that is the whole body; default: the body holds what is not in the path. */
  readonly body?: string
  /** What the answer is, if not JSON: the output is its text. */
  readonly media?: 'text/html' | 'text/csv'
}

/** Events that a client may follow while they happen, as server-sent events. */
export interface Followed {
  readonly trace: Trace
  /** Whether the last event has been told. Default: there is always one more. */
  readonly ended?: () => boolean
}

/** What a list is ordered by: cursors point behind a key, so they survive changes of the list. */
export type ListKey = (item: never) => string | number

/** How a list is paged and shown. */
export interface ListRendering {
  readonly key: ListKey
  /** Fields that a table for people shows. */
  readonly columns: readonly string[]
}

export interface Operation<Input extends TSchema = TSchema, Output extends TSchema = TSchema> {
  readonly summary: string
  readonly rest: RestBinding
  /** The words of the command line, e.g. `functions list`. */
  readonly words: string
  /** An object schema. */
  readonly input: Input
  readonly output: Output
  /** Codes of errors that a caller of this operation must expect, beyond invalid input. */
  readonly errors: readonly ErrorCode[]
  /**
   * It takes several steps on the platform that its input names, and may be refused half-way: then the platform is put
   * back as it was.
   */
  readonly atomic?: true
  /** Platforms that it works on besides those that its input names as `platform` or `platforms`. */
  readonly others?: (context: OperationContext, input: Static<Input>) => readonly string[]
  /** It only asks, though it is no GET: nothing is changed, and nothing of it is kept. */
  readonly asks?: true
  /** How it is kept, where not as it came and in the logs of the platforms that its input names. */
  readonly kept?: {
    /** Its output names, as `id`, a platform that it has made. */
    readonly makes?: true
    /** It is not done again after a restart: the state that it has led to is kept. */
    readonly asState?: true
    /** What is written down in the place of its input, in the log of a platform. */
    input?(input: Static<Input>, running: SimulatedPlatform): object
    /** What had been done to the platform before it came here. */
    earlier?(input: Static<Input>): readonly PastCommand[]
  }
  /** It gives back more than it takes: who has reached a limit of memory may do it all the same. */
  readonly frees?: true
  /** It answers from what is installed with the program: a command needs no server for it. */
  readonly ofInstallation?: true
  /** Present if the output is an array, ascending by the key. */
  readonly list?: ListRendering
  run(context: OperationContext, input: Static<Input>): Software<Static<Output>>
  /** The answer may also be followed as events. Of what the output names, where the operation makes it. */
  readonly follow?: (context: OperationContext, input: Static<Input>, output?: Static<Output>) => Followed
  /** The result in one sentence for people. */
  readonly tell?: (output: Static<Output>, input: Static<Input>) => string
}

/** Whether an operation changes something, as far as its row tells. */
export const changes = ({ rest, asks }: Operation): boolean => rest.method !== 'GET' && asks !== true

/** Platforms that an operation works on: it waits for its turn with each, and each keeps what it did there. */
export function platformsOf(
  row: Operation,
  context: OperationContext,
  input: Readonly<Record<string, unknown>>,
): readonly string[] {
  const { platform, platforms } = input
  const named = Array.isArray(platforms) ? platforms : [platform]
  const others = row.others?.(context, input as never) ?? []
  return [...new Set([...named, ...others].filter(name => typeof name === 'string'))]
}

/** Declares an operation. */
export const operation = <Input extends TSchema, Output extends TSchema>(
  row: Operation<Input, Output>,
): Operation<Input, Output> => (row.atomic ? { ...row, run: asAWhole(row) } : row)

/** A kernel that has stopped is no refusal: it stays stopped. */
const hasHappened = (error: unknown): boolean =>
  error instanceof NorthbridgeError && error.code === 'hostHalted'

const asAWhole = <Input extends TSchema, Output extends TSchema>(
  row: Operation<Input, Output>,
): Operation<Input, Output>['run'] =>
  function* (context, input) {
    const { platform } = input as { readonly platform: string }
    const { running } = context.platforms.get(platform)
    return yield* undoneOnFailure([running], row.run(context, input), hasHappened)
  }

/** Runs what needs no waiting as software. */
// biome-ignore lint/correctness/useYield: software that never waits is still software
export function* now<Result>(compute: () => Result): Software<Result> {
  return compute()
}
