/** SVG as text: elements, escaped. */

export type Attributes = Readonly<Record<string, string | number | undefined>>

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text that may stand in SVG and HTML, in an attribute too. */
export const escapeMarkup = (text: string): string => text.replace(/[&<>"]/g, found => ENTITIES[found]!)

/** Coordinates need no more than tenths of a pixel. */
const plain = (value: string | number): string =>
  typeof value === 'number' ? String(Math.round(value * 10) / 10) : escapeMarkup(value)

/** An element; children are markup already. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes)
    .filter((entry): entry is [string, string | number] => entry[1] !== undefined)
    .map(([key, value]) => ` ${key}="${plain(value)}"`)
    .join('')
  return children.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${children.join('')}</${name}>`
}

export const textElement = (attributes: Attributes, text: string): string =>
  element('text', attributes, escapeMarkup(text))
