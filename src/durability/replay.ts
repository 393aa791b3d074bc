/** Doing a command of a log again: it has to end as it did, and to leave its world where it stood. */
import { isErrorCode, NorthbridgeError, VERSION } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import {
  execute,
  isOperationId,
  OPERATIONS,
  type Operation,
  type OperationContext,
} from '../operations/index.ts'
import type { CommandRecord } from '../store/index.ts'
import { markOf, sameMark } from './worlds.ts'

/**
 * Does a command of a world again, on the world as it was before. Throws an error that says why it cannot be done, or
 * what has come out differently; the world is of no use then.
 */
export function* repeat(context: OperationContext, world: string, command: CommandRecord): Software {
  const { sequence, operation, version } = command
  const which = `command ${sequence} (${operation})`
  if (version !== VERSION) {
    throw new Error(`version ${version} has carried out ${which}; version ${VERSION} might do it differently`)
  }
  if (!isOperationId(operation)) throw new Error(`there is no operation for ${which}`)
  if ((OPERATIONS[operation] as unknown as Operation).kept?.asState) {
    throw new Error(`${which} cannot be done again, and the state that it led to is gone`)
  }
  const error = yield* ending(context, operation, command.input)
  if (error !== command.error) {
    throw new Error(`${which} ended with ${error ?? 'success'} instead of ${command.error ?? 'success'}`)
  }
  if (!sameMark(command.after, markOf(context, world))) {
    throw new Error(`${which} has come to another state than the first time`)
  }
}

/** The code of the error that an operation ends with, null for a success. */
function* ending(
  context: OperationContext,
  id: Parameters<typeof execute>[1],
  input: unknown,
): Software<string | null> {
  try {
    yield* execute(context, id, input as never)
    return null
  } catch (error) {
    if (error instanceof NorthbridgeError && isErrorCode(error.code)) return error.code
    throw error
  }
}
