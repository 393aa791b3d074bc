/** What a conversion did with each thing that a machine had: every one is told of once. */
import { type ErrorCode, NorthbridgeError } from '../../../core/index.ts'
import type { Software } from '../../../engine/index.ts'

export const CONVERSION_OUTCOMES = ['kept', 'changed', 'notCarried'] as const

export interface ConversionItem {
  readonly what:
    | 'processors'
    | 'memory'
    | 'memoryContents'
    | 'interrupts'
    | 'nested'
    | 'backing'
    | 'hugePages'
    | 'claims'
    | 'remappingUnit'
    | 'topology'
    | 'switch'
    | 'virtualMachine'
    | 'virtualFunctions'
    | 'network'
    | 'rules'
    | 'vlan'
    | 'disk'
    | 'function'
  /** Which one, where there may be several: an address, a name. */
  readonly name: string
  readonly outcome: (typeof CONVERSION_OUTCOMES)[number]
  readonly was: string
  /** Null: nothing is in its place. */
  readonly is: string | null
  /** Of a device. */
  readonly driver: { readonly was: string | null; readonly is: string | null } | null
  /** Why it is not what it was. */
  readonly reason: string | null
}

type Named = Pick<ConversionItem, 'what' | 'name'>

export const kept = (of: Named, was: string, is = was): ConversionItem => ({
  ...of,
  outcome: 'kept',
  was,
  is,
  driver: null,
  reason: null,
})

export const changed = (of: Named, was: string, is: string, reason: string): ConversionItem => ({
  ...of,
  outcome: 'changed',
  was,
  is,
  driver: null,
  reason,
})

export const notCarried = (of: Named, was: string, reason: string): ConversionItem => ({
  ...of,
  outcome: 'notCarried',
  was,
  is: null,
  driver: null,
  reason,
})

/** A device that there is again: kept if its driver is the one that it had. */
export const placedDevice = (
  of: Named,
  was: { readonly text: string; readonly driver: string | null },
  is: { readonly text: string; readonly driver: string | null },
  passedOver: readonly string[],
): ConversionItem => {
  const same = was.driver === is.driver
  return {
    ...of,
    outcome: same ? 'kept' : 'changed',
    was: was.text,
    is: is.text,
    driver: { was: was.driver, is: is.driver },
    reason: same ? null : passedOver.join('; ') || 'another model was asked for',
  }
}

/**
 * Does what a host may refuse: its result, or the reason in words.
 *
 * @param only refusals that can be done without; default: all
 */
export function* attempt<Result>(
  software: Software<Result>,
  only?: ErrorCode,
): Software<{ readonly result: Result } | { readonly refusal: string }> {
  try {
    return { result: yield* software }
  } catch (error) {
    if (!(error instanceof NorthbridgeError) || error.code === 'hostHalted') throw error
    if (only !== undefined && error.code !== only) throw error
    return { refusal: error.message }
  }
}
