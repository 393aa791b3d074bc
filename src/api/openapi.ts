/** Named schemas of the HTTP contract: what carries an `$id` is written once, under `components`. */

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type JsonObject = { [key: string]: Json }

const NAME = 'x-component'
const REFERENCE = 'x-component-reference'
const DEFINITIONS = 'x-component-definitions'
const LOCAL = '#/$defs/'

/** Definitions that a schema library numbers get the name of the schema that owns them. */
const definitionName = (owner: string, key: string): string => `${owner}${key.replace('__schema', 'Part')}`

/**
 * A schema for the generator of the document, which resolves references in its own way: names are hidden from it in
 * an extension and put back by {@link liftComponents}. Drops what is not JSON. `owner` is the named schema around.
 */
export function markComponents(schema: unknown, owner = ''): Json {
  if (Array.isArray(schema)) return schema.map(item => markComponents(item, owner))
  if (typeof schema !== 'object' || schema === null) return schema as Json
  const { $id, $defs = {}, $ref, ...rest } = schema as JsonObject
  const root = typeof $id === 'string' ? $id : owner
  const marked = mapValues(rest, value => markComponents(value, root))
  if (typeof $ref === 'string') {
    marked[REFERENCE] = $ref.startsWith(LOCAL) ? definitionName(root, $ref.slice(LOCAL.length)) : root
  }
  if (typeof $id === 'string') marked[NAME] = $id
  const definitions = Object.entries($defs as JsonObject)
  if (definitions.length > 0) {
    marked[DEFINITIONS] = definitions.map(([key, value]) => ({
      ...(markComponents(value, root) as JsonObject),
      [NAME]: definitionName(root, key),
    }))
  }
  return marked
}

/** The document with every marked schema under `components.schemas`, referred to by name. */
export function liftComponents(document: object): object {
  const components = new Map<string, Json>()
  const lift = (node: Json): Json => {
    if (Array.isArray(node)) return node.map(lift)
    if (typeof node !== 'object' || node === null) return node
    const { [NAME]: name, [REFERENCE]: reference, [DEFINITIONS]: definitions = [], ...rest } = node
    if (typeof reference === 'string') return { ...rest, $ref: `#/components/schemas/${reference}` }
    for (const definition of definitions as Json[]) lift(definition)
    if (typeof name !== 'string') return mapValues(rest, lift)
    if (!components.has(name)) {
      components.set(name, null)
      components.set(name, mapValues(rest, lift))
    }
    return { $ref: `#/components/schemas/${name}` }
  }
  const lifted = lift(document as Json) as { components?: JsonObject }
  const sorted = [...components].sort(([a], [b]) => (a < b ? -1 : 1))
  return { ...lifted, components: { ...lifted.components, schemas: Object.fromEntries(sorted) } }
}

const mapValues = (object: JsonObject, map: (value: Json) => Json): JsonObject =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]))
