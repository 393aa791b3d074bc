/** What is whole of the log of a world: the same decision for every kind of database. */
import type { CommandRecord, KeptWorld } from './records.ts'
import { commandOf, type Row, snapshotOf } from './rows.ts'

export interface LogPiece {
  readonly world: string
  /** Newest first. */
  readonly snapshots: readonly Row[]
  /** Ascending. */
  commandsAfter(sequence: number): readonly Row[]
}

export interface WholeWorld {
  /** Undefined if nothing is left to go on from. */
  readonly kept: KeptWorld | undefined
  /** The first command that is damaged or missing; it and everything behind it goes. */
  readonly cut: number | undefined
  /** Sequences of states that go. */
  readonly damagedSnapshots: readonly number[]
  readonly losses: readonly string[]
}

/**
 * A world goes on from its newest whole state, and as far behind it as its commands are whole and none is missing. Records
 * older than that state are not looked at here: they are, when somebody goes back to them.
 */
export function wholeWorld({ world, snapshots, commandsAfter }: LogPiece): WholeWorld {
  const losses: string[] = []
  const damagedSnapshots: number[] = []
  let snapshot: KeptWorld['snapshot']
  for (const row of snapshots) {
    snapshot = snapshotOf(row)
    if (snapshot !== undefined) break
    damagedSnapshots.push(Number(row['sequence']))
    losses.push(`the state of "${world}" after command ${row['sequence']} is damaged and left out`)
  }
  const first = snapshot?.sequence ?? 0
  const rows = commandsAfter(first)
  const commands: CommandRecord[] = []
  for (const row of rows) {
    const command = commandOf(row)
    if (command === undefined || command.sequence !== first + commands.length + 1) break
    commands.push(command)
  }
  let cut: number | undefined
  if (commands.length < rows.length) {
    cut = first + commands.length + 1
    const found = Number(rows[commands.length]!['sequence'])
    losses.push(
      `command ${cut} of "${world}" is ${found === cut ? 'damaged' : 'missing'}: ${cutOff(rows.length - commands.length)}`,
    )
  }
  if (snapshot !== undefined || commands.length > 0) {
    return { kept: { world, snapshot, commands }, cut, damagedSnapshots, losses }
  }
  return { kept: undefined, cut, damagedSnapshots, losses: [...losses, `nothing is left of "${world}"`] }
}

const cutOff = (count: number): string =>
  count === 1 ? 'the last record of its log is cut off' : `the last ${count} records of its log are cut off`
