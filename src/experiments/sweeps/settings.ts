/** Parts of configurations: plain JSON that is put together before it is judged. */

export type Settings = Readonly<Record<string, unknown>>

const isSettings = (value: unknown): value is Settings =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `above` with the fields of `below` that it does not have itself, at every depth. */
export function over(above: Settings, below: Settings): Settings {
  const merged = Object.entries(above).map(([key, value]): [string, unknown] => {
    const other = Object.hasOwn(below, key) ? below[key] : undefined
    return [key, isSettings(value) && isSettings(other) ? over(value, other) : value]
  })
  return Object.fromEntries([...Object.entries(below), ...merged])
}

/** The settings that have one value, at a JSON pointer. */
export function settingAt(pointer: string, value: unknown): Settings {
  const keys = pointer
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  return keys.reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), value) as Settings
}
