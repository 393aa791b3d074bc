/** Cost files (`costs/machines/*.json`): values of parameters with source and range; a machine says what differs from another. */
import { readdirSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { NorthbridgeError, packageFile, parseDocument } from '../../core/index.ts'
import { type Costs, PARAMETER_NAMES, PARAMETERS, type ParameterName } from './parameters.ts'

const parameterSchema = (name: ParameterName) =>
  z
    .strictObject({
      value: z.number().min(0),
      unit: z.literal(PARAMETERS[name].unit),
      range: z.tuple([z.number().min(0), z.number().min(0)]).describe('What it may be, lowest and highest'),
      source: z.string().min(1),
      free: z.literal(true).optional().describe('Calibration may move it within its range'),
    })
    .refine(
      ({ value, range: [low, high] }) => low <= value && value <= high,
      'must have its value within the range',
    )
    .describe(PARAMETERS[name].about)

const schemas = Object.fromEntries(PARAMETER_NAMES.map(name => [name, parameterSchema(name).optional()]))

export const costFileSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be lower-case letters, digits and "-"'),
    title: z.string().min(1).max(200),
    extends: z.string().optional().describe('The file that has what is not here'),
    parameters: z.strictObject(
      schemas as Record<ParameterName, z.ZodOptional<ReturnType<typeof parameterSchema>>>,
    ),
  })
  .meta({ title: 'Northbridge machine costs', description: 'What things cost in time on a machine' })

export type CostFile = z.output<typeof costFileSchema>
export type CostParameter = z.output<ReturnType<typeof parameterSchema>>
export type CostParameters = Readonly<Record<ParameterName, CostParameter>>

/** Throws `invalidDocument` with an issue for each broken rule. */
export const parseCostFile = (document: unknown): CostFile =>
  parseDocument(costFileSchema, document, 'the cost file')

const FOLDER = packageFile('costs/machines/')

/** Names of the shipped files, in order. */
export const machineNames = (): readonly string[] =>
  readdirSync(FOLDER)
    .filter(file => file.endsWith('.json'))
    .map(file => file.slice(0, -'.json'.length))
    .sort()

function shipped(name: string): CostFile {
  if (!machineNames().includes(name)) {
    throw new NorthbridgeError('notFound', `there is no cost file ${name}`, { name })
  }
  return parseCostFile(JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')))
}

const resolved = new Map<string, CostParameters>()

/** All parameters of a shipped machine, with their sources. Throws `notFound`. */
export function machineParameters(name: string): CostParameters {
  const known = resolved.get(name)
  if (known !== undefined) return known
  const file = shipped(name)
  const base = file.extends === undefined ? {} : machineParameters(file.extends)
  const parameters = { ...base, ...file.parameters }
  const missing = PARAMETER_NAMES.filter(parameter => !(parameter in parameters))
  if (missing.length > 0) {
    throw new NorthbridgeError('invalidDocument', `the cost file ${name} has no ${missing.join(', ')}`, {
      missing,
    })
  }
  resolved.set(name, parameters as CostParameters)
  return parameters as CostParameters
}

/** The values alone. */
export const machineCosts = (name: string): Costs =>
  Object.fromEntries(
    Object.entries(machineParameters(name)).map(([parameter, { value }]) => [parameter, value]),
  ) as Costs

/** Values with some replaced. Throws `invalidArgument` for a name that is no parameter. */
export function withOverrides(costs: Costs, overrides: Readonly<Record<string, number>>): Costs {
  const unknown = Object.keys(overrides).filter(name => !Object.hasOwn(PARAMETERS, name))
  if (unknown.length > 0) {
    throw new NorthbridgeError('invalidArgument', `no parameter is called ${unknown.join(', ')}`, { unknown })
  }
  return { ...costs, ...overrides }
}
