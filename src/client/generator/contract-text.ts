/** The HTTP contract as a module: a type for each component, input and output of each operation, and its route. */
import { commentOf, type Schema, typeOf } from './schema-type.ts'

interface Contract {
  readonly paths: Readonly<Record<string, Readonly<Record<string, ContractOperation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

interface ContractOperation {
  readonly operationId: string
  readonly summary: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
}

interface Parameter {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly required?: boolean
  readonly schema: Schema
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>

const JSON_MEDIA = 'application/json'

export function clientContract({ paths, components }: Contract): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  return [
    '/** The HTTP contract as types and routes. Made by `npm run openapi` from openapi/openapi.json: not to be edited. */\n',
    ...Object.entries(components.schemas).map(
      ([name, schema]) => `${commentOf(schema, '')}export type ${name} = ${typeOf(schema)}\n`,
    ),
    '/** Input and output of each operation. */',
    'export interface Operations {',
    ...operations.map(({ operation }) => operationType(operation)),
    '}\n',
    'export const ROUTES = {',
    ...operations.map(({ path, method, operation }) => routeText(path, method, operation)),
    '} as const',
    '',
  ].join('\n')
}

function operationType({
  operationId,
  summary,
  parameters = [],
  requestBody,
  responses,
}: ContractOperation): string {
  const fields = parameters
    .filter(({ in: place }) => place !== 'header')
    .map(({ name, required, schema }) => ({ name, required: required === true, schema }))
  const body = requestBody?.content[JSON_MEDIA]?.schema
  if (body !== undefined && isWhole(body)) fields.push({ name: 'body', required: true, schema: body })
  else if (body !== undefined) {
    for (const [name, schema] of Object.entries(body.properties ?? {}))
      fields.push({ name, required: body.required?.includes(name) === true, schema })
  }
  const input: Schema = {
    type: 'object',
    properties: Object.fromEntries(fields.map(({ name, schema }) => [name, schema])),
    required: fields.filter(({ required }) => required).map(({ name }) => name),
    additionalProperties: false,
  }
  return [
    `  /** ${summary} */`,
    `  readonly ${operationId}: {`,
    `    readonly input: ${typeOf(input, '    ')}`,
    `    readonly output: ${outputType(responses)}`,
    '  }',
  ].join('\n')
}

function outputType(responses: ContractOperation['responses']): string {
  const success = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1].content
  if (success === undefined) return 'undefined'
  const schema = success[JSON_MEDIA]?.schema
  return schema === undefined ? 'string' : typeOf(schema, '    ')
}

function routeText(
  path: string,
  method: string,
  { operationId, parameters = [], requestBody }: ContractOperation,
): string {
  const query = parameters.filter(({ in: place }) => place === 'query').map(({ name }) => `'${name}'`)
  const schema = requestBody?.content[JSON_MEDIA]?.schema
  const body = schema === undefined ? 'none' : isWhole(schema) ? 'whole' : 'fields'
  return `  ${operationId}: { method: '${method.toUpperCase()}', path: '${path}', query: [${query.join(', ')}], body: '${body}' },`
}

/** Whether a body is one value, and not the fields of the input that are nowhere else. */
const isWhole = (schema: Schema): boolean => schema.type !== 'object' || schema.properties === undefined
