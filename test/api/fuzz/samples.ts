/** Values that a JSON Schema of the contract describes, most of them as it asks, at chance. */
import fc from 'fast-check'
import type { Random } from '../../../src/core/index.ts'

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly maxLength?: number
}

/** Texts of a pattern that are made once, and then taken at chance. */
const TEXTS = 24
/** Schemas inside of each other after which only what is asked for is made. */
const DEEP = 6

/** True in so many of all cases. */
export const chance = (random: Random, share: number): boolean => random.integer(1, 1000) <= share * 1000

export class Samples {
  readonly #document: object
  readonly #random: Random
  readonly #texts = new Map<string, readonly string[]>()

  constructor(document: object, random: Random) {
    this.#document = document
    this.#random = random
  }

  of(schema: Schema, depth = 0): unknown {
    const random = this.#random
    const found = this.#resolve(schema)
    if (found.const !== undefined) return found.const
    if (found.enum !== undefined) return this.#one(found.enum)
    const choices = found.anyOf ?? found.oneOf
    if (choices !== undefined) return this.of(this.#one(choices), depth + 1)
    if (found.allOf !== undefined) return this.of(this.#one(found.allOf), depth + 1)
    const type = Array.isArray(found.type) ? this.#one(found.type as string[]) : found.type
    switch (type) {
      case 'object':
        return this.#object(found, depth)
      case 'array': {
        const most = depth > DEEP ? 0 : 3
        const length = Math.max(found.minItems ?? 0, random.integer(0, most))
        return Array.from({ length }, () => this.of(found.items ?? {}, depth + 1))
      }
      case 'integer':
        return this.#integer(found)
      case 'number':
        return chance(random, 0.5) ? this.#integer(found) : random.integer(0, 1000) / 7
      case 'boolean':
        return chance(random, 0.5)
      case 'null':
        return null
      case 'string':
        return this.#text(found)
      default:
        return this.#one<unknown>([null, 0, 'text', [], {}, true])
    }
  }

  #resolve(schema: Schema): Schema {
    if (schema.$ref === undefined) return schema
    let at: unknown = this.#document
    for (const part of schema.$ref.slice(2).split('/')) at = (at as Record<string, unknown>)[part]
    return this.#resolve(at as Schema)
  }

  #object({ properties = {}, required = [], additionalProperties }: Schema, depth: number): object {
    const optional = depth > DEEP ? 0 : 0.4
    const names = Object.keys(properties).filter(
      name => required.includes(name) || chance(this.#random, optional),
    )
    const fields = names.map((name): [string, unknown] => [name, this.of(properties[name]!, depth + 1)])
    if (typeof additionalProperties === 'object' && chance(this.#random, optional)) {
      fields.push([this.#one(['a', 'x-1', '__proto__', '0']), this.of(additionalProperties, depth + 1)])
    }
    return Object.fromEntries(fields)
  }

  /** Small ones mostly: large ones are right too, but make the server work for long. */
  #integer({ minimum = -1000, maximum = 1e9 }: Schema): number {
    const random = this.#random
    if (chance(random, 0.04)) return maximum
    if (chance(random, 0.1)) return minimum
    return random.integer(Math.max(minimum, -1000), Math.min(maximum, Math.max(minimum, 0) + 40))
  }

  #text({ pattern, maxLength = 40 }: Schema): string {
    if (pattern === undefined)
      return this.#one(['', 'text', 'p', 'ä☃', '0x10', 'a/b', '..']).slice(0, maxLength)
    let texts = this.#texts.get(pattern)
    if (texts === undefined) {
      texts = fc.sample(fc.stringMatching(new RegExp(pattern), { maxLength: 64 }), {
        numRuns: TEXTS,
        seed: 7,
      })
      this.#texts.set(pattern, texts)
    }
    return this.#one(texts)
  }

  #one<Item>(items: readonly Item[]): Item {
    return items[this.#random.integer(0, items.length - 1)]!
  }
}
