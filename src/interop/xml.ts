/** XML as a tree of elements, read with the position of what is wrong, and written with everything escaped. */
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { NorthbridgeError } from '../core/index.ts'

export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly XmlElement[]
  /** Of the element itself, trimmed. */
  readonly text: string
}

/** No machine description nests deeper. */
const DEEPEST = 256

const PARSER = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
})

/** The elements that a text begins with; several documents may stand one after the other. Throws `malformedInput`. */
export function parseXml(text: string, what: string): XmlElement[] {
  // Declarations and document types may stand before each document; line numbers are kept.
  const bare = text
    .replace(/^\uFEFF/, '')
    .replace(/<\?xml[^>]*\?>|<!DOCTYPE[^>[]*>/g, found => found.replace(/[^\n]/g, ' '))
  const fail = (rule: string, line?: number): never => {
    const place = line === undefined ? '' : `, line ${line}`
    throw new NorthbridgeError(
      'malformedInput',
      `${what}${place}: ${rule}`,
      line === undefined ? {} : { line },
    )
  }
  const wrapped = `<documents>${bare}</documents>`
  const judged = XMLValidator.validate(wrapped)
  if (judged !== true) fail(judged.err.msg, judged.err.line)
  let parsed: readonly OrderedNode[] = []
  try {
    parsed = PARSER.parse(wrapped) as readonly OrderedNode[]
  } catch (error) {
    fail((error as Error).message)
  }
  return elementsOf(contentOf(parsed[0] ?? {}), 0, fail)
}

type OrderedNode = Readonly<Record<string, unknown>>
const ATTRIBUTES = ':@'
const TEXT = '#text'

const contentOf = (node: OrderedNode): readonly OrderedNode[] => {
  const key = nameOf(node)
  return key === undefined ? [] : (node[key] as readonly OrderedNode[])
}
const nameOf = (node: OrderedNode): string | undefined => Object.keys(node).find(key => key !== ATTRIBUTES)

function elementsOf(
  nodes: readonly OrderedNode[],
  depth: number,
  fail: (rule: string) => never,
): XmlElement[] {
  if (depth > DEEPEST) fail(`elements are nested more than ${DEEPEST} deep`)
  return nodes.flatMap(node => {
    const name = nameOf(node)
    if (name === undefined || name === TEXT) return []
    const content = contentOf(node)
    const texts = content.flatMap(one => (TEXT in one ? [String(one[TEXT])] : []))
    return [
      {
        name,
        attributes: (node[ATTRIBUTES] ?? {}) as Readonly<Record<string, string>>,
        children: elementsOf(content, depth + 1, fail),
        text: texts.join('').trim(),
      },
    ]
  })
}

export const childOf = ({ children }: XmlElement, name: string): XmlElement | undefined =>
  children.find(child => child.name === name)

export const childrenOf = ({ children }: XmlElement, name: string): XmlElement[] =>
  children.filter(child => child.name === name)

/** What {@link writeXml} takes: attributes that are undefined are left out. */
export interface XmlOutput {
  readonly name: string
  readonly attributes?: Readonly<Record<string, string | number | undefined>>
  readonly children?: readonly XmlOutput[]
  readonly text?: string | number
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}
// Control characters cannot stand in XML 1.0 at all.
const escaped = (value: string | number): string =>
  String(value)
    .replace(/[&<>"']/g, found => ESCAPES[found]!)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be left out
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '')

/** Lines of an element, indented by two spaces a level. */
export function writeXml({ name, attributes = {}, children = [], text }: XmlOutput, indent = ''): string {
  const words = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${escaped(value)}"`],
  )
  const start = `${indent}<${name}${words.join('')}`
  if (children.length === 0)
    return text === undefined ? `${start}/>\n` : `${start}>${escaped(text)}</${name}>\n`
  return `${start}>\n${children.map(child => writeXml(child, `${indent}  `)).join('')}${indent}</${name}>\n`
}
