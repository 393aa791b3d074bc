/** Where software meets what takes real time. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Software } from '../engine/index.ts'
import type { Sooner } from '../store/index.ts'

/** Waits for a value that may be there already. Throws what the promise was rejected with. */
export function* settled<Value>(value: Sooner<Value>): Software<Value> {
  if (!(value instanceof Promise)) return value
  let result: { readonly value: Value } | { readonly error: unknown } | undefined
  value.then(
    found => {
      result = { value: found }
    },
    error => {
      result = { error }
    },
  )
  while (result === undefined) yield () => result !== undefined
  if ('error' in result) throw result.error
  return result.value
}

/** Milliseconds between looks at what software waits for. */
const POLL_MS = 1

/** Runs software to its end where nobody else has to be answered meanwhile. */
export async function finished<Result>(software: Software<Result>): Promise<Result> {
  for (;;) {
    const step = software.next()
    if (step.done) return step.value
    while (step.value !== undefined && !step.value()) await delay(POLL_MS)
  }
}
