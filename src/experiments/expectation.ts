/** Whether a result is what a document expects: the expected is contained in the actual. */

/** One spot where they differ. */
export interface Difference {
  /** JSON pointer into the result. */
  readonly path: string
  readonly message: string
}

const show = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value))

type Matcher = (actual: unknown, operand: unknown, path: string) => Difference[]

const MATCHERS: Readonly<Record<string, Matcher>> = {
  $contains(actual, operand, path) {
    const found =
      typeof actual === 'string'
        ? actual.includes(String(operand))
        : Array.isArray(actual) && actual.some(item => differences(operand, item, path).length === 0)
    return found ? [] : [{ path, message: `is ${show(actual)}, which does not contain ${show(operand)}` }]
  },
  $not(actual, operand, path) {
    const alike = differences(operand, actual, path).length === 0
    return alike ? [{ path, message: `is ${show(actual)}, which it must not be` }] : []
  },
  $length(actual, operand, path) {
    const length = typeof actual === 'string' || Array.isArray(actual) ? actual.length : undefined
    return length === operand ? [] : [{ path, message: `has length ${show(length)}, not ${show(operand)}` }]
  },
}

/** Where `actual` lacks what is expected; empty if nowhere. */
export function differences(expected: unknown, actual: unknown, path = ''): Difference[] {
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) {
      return [{ path, message: `is ${show(actual)}, not ${show(expected)}` }]
    }
    return expected.flatMap((item, i) => differences(item, actual[i], `${path}/${i}`))
  }
  if (typeof expected === 'object' && expected !== null) {
    return Object.entries(expected).flatMap(([key, value]) => {
      const matcher = MATCHERS[key]
      if (matcher !== undefined) return matcher(actual, value, path)
      const isObject = typeof actual === 'object' && actual !== null && !Array.isArray(actual)
      const member =
        isObject && Object.hasOwn(actual, key) ? (actual as Record<string, unknown>)[key] : undefined
      return differences(value, member, `${path}/${key}`)
    })
  }
  return Object.is(expected, actual) ? [] : [{ path, message: `is ${show(actual)}, not ${show(expected)}` }]
}
