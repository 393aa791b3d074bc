/**
 * Amounts as Kubernetes writes them (`512Mi`, `1.5`, `250m`, `2e3`) and compares them in expressions. Source:
 * kubernetes/kubernetes staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go and
 * staging/src/k8s.io/apiserver/pkg/cel/library/quantity.go.
 */
import { NorthbridgeError } from '../core/index.ts'

const BINARY = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}
/** Everything is kept in units of 10⁻⁹, the finest that a quantity has. */
const FINEST = 9

export class Quantity {
  readonly nano: bigint

  constructor(nano: bigint) {
    this.nano = nano
  }

  compareTo(other: Quantity): bigint {
    return this.nano < other.nano ? -1n : this.nano > other.nano ? 1n : 0n
  }
}

const power = (exponent: number): bigint => 10n ** BigInt(exponent)

/** Undefined for what is no quantity; finer parts than 10⁻⁹ are rounded up, as upstream. */
export function readQuantity(text: string): Quantity | undefined {
  const [, sign, whole = '', part = '', suffix = ''] =
    /^([+-]?)(\d*)(?:\.(\d*))?([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/.exec(text) ?? []
  if (sign === undefined || whole + part === '') return undefined
  const digits = BigInt(whole + part)
  const binary = BINARY.indexOf(suffix)
  const exponent = /^[eE][+-]?\d/.test(suffix) ? Number(suffix.slice(1)) : (DECIMAL[suffix] ?? 0)
  const scale = FINEST + exponent - part.length
  const factor = binary < 0 ? 1n : 1024n ** BigInt(binary + 1)
  const amount = digits * factor
  const nano = scale >= 0 ? amount * power(scale) : (amount + power(-scale) - 1n) / power(-scale)
  return new Quantity(sign === '-' ? -nano : nano)
}

/** Throws `invalidDocument`. */
export function parseQuantity(text: string): Quantity {
  const quantity = readQuantity(text)
  if (quantity === undefined) throw new NorthbridgeError('invalidDocument', `"${text}" is no quantity`)
  return quantity
}
