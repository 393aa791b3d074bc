/** The settings of a record: its configuration, and its place on the axis where that is a setting too. */
import type { FigureRecord } from './record.ts'

type Setting = string | number | boolean

const isSetting = (value: unknown): value is Setting =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

/** Descriptions in words, which say what no key says. */
const DESCRIBING = ['variant', 'path', 'workload', 'traffic', 'op']

export class Settings {
  readonly #values = new Map<string, Setting>()
  /** Everything that the record says in words, lower case. */
  readonly words: string

  constructor({ configuration, x, system, cpu, conditions }: FigureRecord) {
    if (x) this.#place(x.name, x.value)
    for (const [name, value] of Object.entries(configuration)) {
      if (isSetting(value)) this.#values.set(name, value)
    }
    const described = DESCRIBING.map(name => this.text(name))
    this.words = [system, cpu, conditions, ...described, x?.value].filter(isSetting).join(' ').toLowerCase()
  }

  /** An axis may name two settings: `dir,mtu` at `rx,1500`. */
  #place(name: string, value: unknown): void {
    const names = name.split(/[,|]/)
    const values = names.length === 1 ? [value] : String(value).split(/[,|/ ]+/)
    for (const [i, each] of names.entries()) {
      const own = values[i]
      if (!isSetting(own)) continue
      this.#values.set(each.trim(), /^\d+$/.test(String(own).trim()) ? Number(own) : own)
    }
  }

  text(name: string): string {
    return String(this.#values.get(name) ?? '').toLowerCase()
  }

  /** Of the first name that has one. */
  number(...names: readonly string[]): number | undefined {
    for (const name of names) {
      const value = this.#values.get(name)
      if (typeof value === 'number' && Number.isFinite(value)) return value
    }
    return undefined
  }

  flag(name: string): boolean {
    return this.#values.get(name) === true
  }

  says(words: RegExp): boolean {
    return words.test(this.words)
  }
}
