/** A topology document as text: read, judged by line, and changed at a place without losing what people wrote around it. */
import { type Document, isMap, isNode, isSeq, LineCounter, parseDocument, type YAMLMap, YAMLSeq } from 'yaml'
import type { TopologyDocument } from '../api.ts'

export type Format = 'yaml' | 'json'
/** Names and positions from the root on. */
export type Path = readonly (string | number)[]
export type Draft = Partial<TopologyDocument>

/** Something that is wrong, and where: lines count from 1. */
export interface Mistake {
  readonly line: number
  readonly path: string
  readonly message: string
}

export interface ReadDocument {
  readonly value: Draft | undefined
  readonly mistakes: readonly Mistake[]
  lineOf(pointer: string): number
}

export function readText(text: string): ReadDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line)
  const mistakes = document.errors.map(({ pos: [at], message }) => ({
    line: lineAt(at),
    path: '',
    message: message.split('\n')[0]!,
  }))
  const value: unknown = mistakes.length > 0 ? undefined : document.toJS()
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (mistakes.length === 0 && !isObject)
    mistakes.push({ line: 1, path: '', message: 'is no topology document' })
  return {
    value: isObject ? (value as Draft) : undefined,
    mistakes,
    lineOf: pointer => lineAt(offsetOf(document, pathOf(pointer))),
  }
}

/** Where the nearest thing to a path begins: what is missing has no place of its own. */
function offsetOf(document: Document.Parsed, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const [name] = path.slice(length - 1)
    const above = document.getIn(path.slice(0, length - 1), true)
    const pair = isMap(above) ? above.items.find(({ key }) => String(key) === String(name)) : undefined
    const place = isNode(pair?.key) ? pair.key : document.getIn(path.slice(0, length), true)
    if (isNode(place) && place.range) return place.range[0]
  }
  return 0
}

export const pathOf = (pointer: string): Path =>
  pointer
    .split('/')
    .slice(1)
    .map(part => part.replace(/~1/g, '/').replace(/~0/g, '~'))
    .map(part => (/^\d+$/.test(part) ? Number(part) : part))

export const pointerOf = (path: Path): string => path.map(part => `/${part}`).join('')

/** Text in which a change was made. */
export function changed(text: string, format: Format, change: (document: Document.Parsed) => void): string {
  const document = parseDocument(text)
  change(document)
  return written(document, format)
}

export const inFormat = (text: string, format: Format): string => written(parseDocument(text), format)

const written = (document: Document, format: Format): string =>
  format === 'json' ? `${JSON.stringify(document.toJS(), null, 2)}\n` : textOf(document)

/** A document that was JSON becomes one of lines; what was short stays on its line. */
function textOf(document: Document): string {
  document.contents = unflowed(document.contents) as never
  return document.toString({ lineWidth: 120, flowCollectionPadding: true })
}

function unflowed(node: unknown): unknown {
  if (isMap(node)) {
    const small = node.items.length <= 4 && node.items.every(({ value }) => !isMap(value) && !isSeq(value))
    node.flow = small && node.items.length > 0
    for (const { value } of node.items) unflowed(value)
  } else if (isSeq(node)) {
    node.flow = node.items.every(item => !isMap(item) && !isSeq(item))
    for (const item of node.items) unflowed(item)
  }
  return node
}

/** Appends to a list that may not be there yet. Returns where. */
export function append(document: Document, list: Path, value: unknown): Path {
  const found = document.getIn(list, true)
  const sequence = isSeq(found) ? found : new YAMLSeq()
  if (sequence !== found) document.setIn(list, sequence)
  sequence.add(isNode(value) ? value : document.createNode(value))
  return [...list, sequence.items.length - 1]
}

/** Takes a node out and appends it elsewhere, with what hangs below it. */
export function moveNode(document: Document, from: Path, below: Path, change: (node: YAMLMap) => void): void {
  const node = document.getIn(from, true)
  const target = document.getIn(below, true)
  if (!isMap(node) || !isMap(target)) return
  document.deleteIn(from)
  change(node)
  const list = target.get('devices', true)
  if (isSeq(list)) list.add(node)
  else target.set('devices', document.createNode([node]))
}
