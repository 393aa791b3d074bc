/** Carries out operations in this process, as a server would. */
import { drive } from '../../engine/index.ts'
import { execute, installation, type OperationContext } from '../../operations/index.ts'
import type { Call } from '../client.ts'

export const localCall =
  (context: OperationContext): Call =>
  async (id, input) =>
    drive(execute(context, id, input), () => false)

/** An installation for one question. */
export const localInstallation = (): Call => localCall(installation())
