/** What a database holds when a server opens it. What is damaged is cut off. */
import type { Client } from 'pg'
import type { Kept } from '../records.ts'
import { type WholeWorld, wholeWorld } from '../recovery.ts'
import { answerOf, documentOf, type Row, snapshotOf } from '../rows.ts'

/** Rows that are read at a time where none of them is to be kept. */
const PAGE = 1_000

export async function keptIn(client: Client): Promise<Kept> {
  const losses: string[] = []
  const worlds: NonNullable<WholeWorld['kept']>[] = []
  for (const log of await logsIn(client)) {
    const found = wholeWorld({ ...log, commandsAfter: () => log.commands })
    losses.push(...found.losses)
    await cut(client, log.world, found)
    if (found.kept !== undefined) worlds.push(found.kept)
  }
  losses.push(...(await damagedDocuments(client)))
  const { rows } = await client.query('SELECT * FROM northbridge.answers ORDER BY number')
  const answers = rows.map(answerOf).filter(answer => answer !== undefined)
  if (answers.length < rows.length)
    losses.push(`${rows.length - answers.length} answers under idempotency keys are damaged and left out`)
  return { worlds, answers, losses }
}

interface Log {
  readonly world: string
  /** Newest first, up to the first that is whole. */
  readonly snapshots: Row[]
  /** Those that the whole one does not contain, ascending. */
  commands: Row[]
}

/** The log of every world, by ascending name. */
async function logsIn(client: Client): Promise<readonly Log[]> {
  const newest = await client.query(
    'SELECT DISTINCT ON (world) * FROM northbridge.snapshots ORDER BY world, sequence DESC',
  )
  const later = await client.query(
    `SELECT c.* FROM northbridge.commands AS c LEFT JOIN
       (SELECT world, max(sequence) AS newest FROM northbridge.snapshots GROUP BY world) AS s USING (world)
     WHERE c.sequence > coalesce(s.newest, 0) ORDER BY c.world, c.sequence`,
  )
  const logs = new Map<string, Log>()
  const logOf = (world: string): Log => {
    let log = logs.get(world)
    if (log === undefined) logs.set(world, (log = { world, snapshots: [], commands: [] }))
    return log
  }
  for (const row of newest.rows) logOf(row.world).snapshots.push(row)
  for (const row of later.rows) logOf(row.world).commands.push(row)
  for (const log of logs.values()) await goBack(client, log)
  return [...logs.values()].sort((a, b) => (a.world < b.world ? -1 : 1))
}

/** Where the newest state is damaged, an older one and the commands behind it are wanted. */
async function goBack(client: Client, log: Log): Promise<void> {
  let last = log.snapshots[0]
  if (last === undefined || snapshotOf(last) !== undefined) return
  while (last !== undefined && snapshotOf(last) === undefined) {
    const { rows }: { rows: Row[] } = await client.query(
      `SELECT * FROM northbridge.snapshots WHERE world = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT 1`,
      [log.world, last['sequence']],
    )
    last = rows[0]
    if (last !== undefined) log.snapshots.push(last)
  }
  const { rows } = await client.query(
    'SELECT * FROM northbridge.commands WHERE world = $1 AND sequence > $2 ORDER BY sequence',
    [log.world, last?.['sequence'] ?? 0],
  )
  log.commands = rows
}

async function cut(client: Client, world: string, { kept, cut: from, damagedSnapshots }: WholeWorld) {
  if (damagedSnapshots.length > 0)
    await client.query(
      'DELETE FROM northbridge.snapshots WHERE world = $1 AND sequence = ANY($2::bigint[])',
      [world, damagedSnapshots],
    )
  const first = kept === undefined ? 0 : from
  if (first === undefined) return
  for (const table of ['commands', 'snapshots'])
    await client.query(`DELETE FROM northbridge.${table} WHERE world = $1 AND sequence >= $2`, [world, first])
}

/** Says which documents are damaged. */
async function damagedDocuments(client: Client): Promise<readonly string[]> {
  const losses: string[] = []
  for (let last = ['', '']; ; ) {
    const { rows } = await client.query(
      'SELECT * FROM northbridge.documents WHERE (kind, key) > ($1, $2) ORDER BY kind, key LIMIT $3',
      [...last, PAGE],
    )
    for (const row of rows)
      if (documentOf(row) === undefined) losses.push(`${row.kind} "${row.key}" is damaged and left out`)
    if (rows.length < PAGE) return losses
    last = [rows.at(-1).kind, rows.at(-1).key]
  }
}
