/**
 * Cost tables: what one event of each kind costs on a processor generation, in cycles, with a source for every number;
 * and the estimate that a ledger and a table give.
 */
import { z } from 'zod'
import { NorthbridgeError } from '../../core/index.ts'
import { EVENTS, type Ledger, type LedgerEvent } from './ledger.ts'

const costSchema = z
  .strictObject({
    cycles: z.number().min(0),
    range: z.tuple([z.number().min(0), z.number().min(0)]).describe('What it may be, lowest and highest'),
    estimate: z.boolean().describe('Not measured on this generation, or not read in its source'),
    source: z.string().min(1),
  })
  .refine(
    ({ cycles, range }) => range[0] <= cycles && cycles <= range[1],
    'must have its cycles within the range',
  )

export const costTableSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be lower-case letters, digits and "-"'),
    title: z.string().min(1).max(200),
    vendor: z.enum(['intel', 'amd']),
    features: z
      .strictObject({
        vmx: z.boolean(),
        ept: z.boolean(),
        svm: z.boolean(),
        nestedPaging: z.boolean(),
        taggedTlb: z.boolean().describe('VPID, or address-space identifiers'),
        umip: z.boolean(),
        longModeSegmentLimits: z.boolean().describe('EFER.LMSLE'),
      })
      .describe('What techniques can use on this generation'),
    cycles: z.strictObject(
      Object.fromEntries(EVENTS.map(event => [event, costSchema])) as Record<LedgerEvent, typeof costSchema>,
    ),
  })
  .meta({ title: 'Northbridge cost table', description: 'Prices of virtualization events on a processor' })

export type CostTable = z.output<typeof costTableSchema>

/** Throws `invalidDocument` with an issue for each broken rule. */
export function parseCostTable(document: unknown): CostTable {
  const parsed = costTableSchema.safeParse(document)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: `/${path.join('/')}`, message }))
  const [first] = issues
  throw new NorthbridgeError('invalidDocument', `the cost table: ${first!.path} ${first!.message}`, {
    issues,
  })
}

export const costTableJsonSchema = (): unknown => z.toJSONSchema(costTableSchema, { io: 'input' })

export interface Estimate {
  readonly cycles: number
  readonly low: number
  readonly high: number
}

/** Sum over the kinds of events of count times price. */
export function estimate(ledger: Ledger, { cycles: prices }: CostTable): Estimate {
  let cycles = 0
  let low = 0
  let high = 0
  for (const event of EVENTS) {
    const count = ledger.total(event)
    const price = prices[event]
    cycles += count * price.cycles
    low += count * price.range[0]
    high += count * price.range[1]
  }
  return { cycles: Math.round(cycles), low: Math.round(low), high: Math.round(high) }
}
