/** Results of operations for people. */
import { stringify } from 'yaml'
import { OPERATIONS, type Operation, type OperationId } from '../../operations/index.ts'
import { table } from '../output.ts'

export function render(id: OperationId, output: unknown, input: unknown): string {
  const row = OPERATIONS[id] as unknown as Operation
  if (row.tell !== undefined) return row.tell(output, input)
  if (output === null) return 'Done.'
  if (row.list !== undefined) {
    const rows = output as readonly Readonly<Record<string, unknown>>[]
    return rows.length === 0 ? 'None.' : table(rows, row.list.columns)
  }
  return stringify(output).trimEnd()
}
