/** Configuration files as their systems write them: YAML with several documents, JSON, XML; errors name file and line. */
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml'
import { NorthbridgeError } from '../../core/index.ts'

/** A file that a user hands in. */
export interface PolicyFile {
  readonly name: string
  readonly text: string
}

/** A document in a file, with what errors call it: the file, and the line it begins in if there are several. */
export interface PlacedDocument {
  readonly where: string
  readonly value: unknown
}

/** JSON, or YAML whose empty documents are left out. Throws `malformedInput` naming file and line. */
export function documentsIn({ name, text }: PolicyFile): PlacedDocument[] {
  const lineCounter = new LineCounter()
  const parsed = parseAllDocuments(text, { uniqueKeys: true, stringKeys: true, lineCounter })
  if (!Array.isArray(parsed)) return []
  const documents = parsed.filter(({ contents }) => !isEmpty(contents))
  return documents.map(document => {
    const [error] = document.errors
    if (error !== undefined) malformed(name, error.linePos?.[0].line, error.message.split('\n')[0]!)
    const start = document.contents?.range?.[0] ?? 0
    const where = documents.length === 1 ? name : `${name} line ${lineCounter.linePos(start).line}`
    if (!isMap(document.contents)) malformed(where, undefined, 'a map of fields is expected')
    try {
      return { where, value: document.toJS({ maxAliasCount: 100 }) as unknown }
    } catch (failure) {
      return malformed(where, undefined, (failure as Error).message)
    }
  })
}

const isEmpty = (contents: unknown): boolean =>
  contents === null || (isScalar(contents) && contents.value === null)

/** The one document of a file. Throws `malformedInput`. */
export function documentIn(file: PolicyFile): PlacedDocument {
  const documents = documentsIn(file)
  if (documents.length !== 1)
    malformed(file.name, undefined, `one document is expected, it has ${documents.length}`)
  return documents[0]!
}

/** An element of XML: attributes and child elements by name, children always as a list. */
export interface Element {
  readonly attributes: Readonly<Record<string, string>>
  readonly children: Readonly<Record<string, readonly Element[]>>
  readonly text: string
}

const PARSER = new XMLParser({
  ignoreAttributes: false,
  attributesGroupName: '@',
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  alwaysCreateTextNode: true,
  isArray: (_name, _path, _leaf, isAttribute) => !isAttribute,
})

/** The top element of a file. Throws `malformedInput` naming the line. */
export function elementIn({ name, text }: PolicyFile, top: string): Element {
  const judged = XMLValidator.validate(text)
  if (judged !== true) malformed(name, judged.err.line, judged.err.msg)
  const root = elementOf(PARSER.parse(text) as Record<string, unknown>)
  return root.children[top]?.[0] ?? malformed(name, undefined, `there is no element <${top}>`)
}

function elementOf(node: Readonly<Record<string, unknown>>): Element {
  const { '@': attributes = {}, '#text': text = '', ...children } = node
  return {
    attributes: attributes as Element['attributes'],
    text: String(text).trim(),
    children: Object.fromEntries(
      Object.entries(children).map(([name, list]) => [
        name,
        (Array.isArray(list) ? list : []).map(child =>
          elementOf(typeof child === 'object' ? (child as Record<string, unknown>) : { '#text': child }),
        ),
      ]),
    ),
  }
}

function malformed(where: string, line: number | undefined, rule: string): never {
  const place = line === undefined ? where : `${where} line ${line}`
  throw new NorthbridgeError('malformedInput', `${place}: ${rule}`, { file: where, ...(line && { line }) })
}

/** What reading a part of a file throws, with the file's name in front. */
export function inFile<Result>(where: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    throw new NorthbridgeError(error.code, `${where}: ${error.message}`, { ...error.details, file: where })
  }
}
