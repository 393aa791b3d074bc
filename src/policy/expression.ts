/** Expressions in the Common Expression Language, as Kubernetes and our own policies use it. */
import { Environment } from '@marcbachmann/cel-js'
import { refusePolicy } from './model/index.ts'
import { parseQuantity, Quantity, readQuantity } from './quantity.ts'

const environment = new Environment({ enableOptionalTypes: true, unlistedVariablesAreDyn: true })
  .registerType('Quantity', Quantity)
  .registerFunction('quantity(string): Quantity', parseQuantity)
  .registerFunction('isQuantity(string): bool', (text: string) => readQuantity(text) !== undefined)
  .registerFunction('Quantity.compareTo(Quantity): int', (a: Quantity, b: Quantity) => a.compareTo(b))
  .registerFunction(
    'Quantity.isGreaterThan(Quantity): bool',
    (a: Quantity, b: Quantity) => a.compareTo(b) > 0n,
  )
  .registerFunction('Quantity.isLessThan(Quantity): bool', (a: Quantity, b: Quantity) => a.compareTo(b) < 0n)

/** Facts that an expression sees. Whole numbers are `bigint`: CEL tells `int` from `double`. */
export type Facts = Readonly<Record<string, unknown>>

export interface Expression {
  readonly text: string
  /** Whether a variable of that name may occur. */
  mentions(variable: string): boolean
  /** Throws an `EvaluationError` of the library: a fact that is not there, an operator on other types. */
  holds(facts: Facts): boolean
}

/** Throws `invalidDocument` naming the field for what is no expression. */
export function parseExpression(text: string, field: string): Expression {
  try {
    const evaluate = environment.parse(text)
    const words = new Set(text.split(/\W+/))
    return {
      text,
      mentions: variable => words.has(variable),
      holds: facts => evaluate(facts) === true,
    }
  } catch (error) {
    return refusePolicy(`${field}: ${(error as Error).message.split('\n')[0]} in "${text}"`, {
      errorClass: 'invalid-expression',
      field,
    })
  }
}
