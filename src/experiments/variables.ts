/** Values that a step saves and later steps use: `${name}`, `${name/pointer}`, `${name | form}`. */
import { hex, NorthbridgeError } from '../core/index.ts'
import { remappableAddress } from '../interrupts/formats/message.ts'

/** Ways to write a saved number. */
const FORMS: Readonly<Record<string, (value: number) => string>> = {
  hex: value => hex(value),
  /** Message address that names an entry of the interrupt remapping table, without subhandle. */
  messageAddress: index => hex(remappableAddress(index, false)),
}

const PLACE = /\$\{([A-Za-z][A-Za-z0-9]*)((?:\/[^}|]*?)?)\s*(?:\|\s*(\w+)\s*)?\}/g
const ONE_PLACE = new RegExp(`^${PLACE.source}$`)

export class Variables {
  readonly #values = new Map<string, unknown>()

  set(name: string, value: unknown): void {
    this.#values.set(name, value)
  }

  /** A value with every place filled; a text that is one place becomes the value itself. Throws `invalidDocument`. */
  fill(value: unknown): unknown {
    if (typeof value === 'string') {
      const match = ONE_PLACE.exec(value)
      if (match) return this.#get(match[1]!, match[2]!, match[3])
      return this.text(value)
    }
    if (Array.isArray(value)) return value.map(item => this.fill(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [this.text(key), this.fill(member)]),
    )
  }

  /** A text with every place filled. */
  text(text: string): string {
    return text.replace(PLACE, (_place, name: string, pointer: string, form?: string) => {
      const value = this.#get(name, pointer, form)
      return typeof value === 'string' ? value : JSON.stringify(value)
    })
  }

  #get(name: string, pointer: string, form: string | undefined): unknown {
    if (!this.#values.has(name)) {
      throw new NorthbridgeError('invalidDocument', `\${${name}} was saved by no step before`)
    }
    const value = pointed(this.#values.get(name), pointer)
    if (form === undefined) return value
    const write = FORMS[form]
    if (write === undefined || typeof value !== 'number') {
      throw new NorthbridgeError(
        'invalidDocument',
        `\${${name} | ${form}}: forms are ${Object.keys(FORMS).join(', ')}, of numbers`,
      )
    }
    return write(value)
  }
}

/** The value at a JSON pointer (RFC 6901). Throws `invalidDocument` if there is none. */
export function pointed(value: unknown, pointer: string): unknown {
  let at = value
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) {
      throw new NorthbridgeError('invalidDocument', `the result has nothing at "${pointer}"`)
    }
    at = (at as Record<string, unknown>)[key]
  }
  return at
}
