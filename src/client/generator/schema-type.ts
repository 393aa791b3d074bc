/** A JSON Schema as the text of a TypeScript type. */

export interface Schema {
  readonly $ref?: string
  readonly title?: string
  readonly description?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly items?: Schema | boolean
  readonly prefixItems?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
}

const COMPONENTS = '#/components/schemas/'

/** What a schema says of the values that it lets pass, in one line or, for objects, several. */
export function typeOf(schema: Schema, indent = ''): string {
  if (schema.$ref !== undefined) return schema.$ref.slice(COMPONENTS.length)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(value => JSON.stringify(value)).join(' | ')
  const alternatives = schema.anyOf ?? schema.oneOf
  if (alternatives !== undefined) {
    const types = new Set(alternatives.map(each => typeOf(each, indent)))
    return types.has('unknown') ? 'unknown' : [...types].join(' | ')
  }
  if (schema.allOf !== undefined) return schema.allOf.map(each => grouped(each, indent)).join(' & ')
  if (Array.isArray(schema.type)) {
    return schema.type.map(type => typeOf({ ...schema, type }, indent)).join(' | ')
  }
  switch (schema.type) {
    case 'string':
      return 'string'
    case 'number':
    case 'integer':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'null':
      return 'null'
    case 'array':
      return arrayType(schema, indent)
    case 'object':
      return objectType(schema, indent)
    default:
      return 'unknown'
  }
}

function arrayType({ items, prefixItems }: Schema, indent: string): string {
  if (prefixItems !== undefined) {
    return `readonly [${prefixItems.map(item => typeOf(item, indent)).join(', ')}]`
  }
  return `readonly ${typeof items === 'object' ? grouped(items, indent) : 'unknown'}[]`
}

function objectType(
  { properties = {}, required = [], additionalProperties }: Schema,
  indent: string,
): string {
  const names = Object.keys(properties)
  if (names.length === 0) {
    const values = typeof additionalProperties === 'object' ? typeOf(additionalProperties, indent) : 'unknown'
    return `Readonly<Record<string, ${additionalProperties === false ? 'never' : values}>>`
  }
  const inner = `${indent}  `
  const lines = names.map(name => {
    const schema = properties[name]!
    const comment = commentOf(schema, inner)
    const key = /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
    return `${comment}${inner}readonly ${key}${required.includes(name) ? '' : '?'}: ${typeOf(schema, inner)}`
  })
  return `{\n${lines.join('\n')}\n${indent}}`
}

export function commentOf({ title, description }: Schema, indent: string): string {
  const text = description ?? title
  return text === undefined ? '' : `${indent}/** ${text.replaceAll('*/', '* /')} */\n`
}

/** The same where it stands beside others, or before `[]`. */
function grouped(schema: Schema, indent: string): string {
  const type = typeOf(schema, indent)
  const alternatives = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? schema.enum ?? []
  return alternatives.length > 1 || Array.isArray(schema.type) || schema.type === 'array' ? `(${type})` : type
}
