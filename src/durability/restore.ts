/** From what a store has kept to an installation that goes on where it was. */
import { drive } from '../engine/index.ts'
import type { OperationContext } from '../operations/index.ts'
import { decodeState, type Kept, type KeptWorld, type Store } from '../store/index.ts'
import { Journal, type JournalOptions } from './journal.ts'
import { repeat } from './replay.ts'
import { lastOf, mayRest } from './standings.ts'
import { loadWorld } from './worlds.ts'

export interface Restored {
  readonly journal: Journal
  /** Worlds that are kept, but cannot go on under this version, and why; more may be found when they are needed. */
  readonly refused: ReadonlyMap<string, string>
}

/**
 * Gives an installation that is fresh everything that a store has kept; platforms may rest there until somebody needs
 * them. Throws `storeFailed`.
 *
 * @param kept what `store.open()` has found
 */
export async function restoreInstallation(
  context: OperationContext,
  kept: Pick<Kept, 'worlds'>,
  store: Store,
  options: JournalOptions = {},
): Promise<Restored> {
  const refused = new Map<string, string>()
  const journal = new Journal(context, store, options)
  const resting = await mayRest(store, kept.worlds)
  for (const world of kept.worlds) {
    const { world: name, commands } = world
    journal.goOn(name, lastOf(world), commands.length)
    const standing = resting.get(name)
    if (standing !== undefined) {
      context.platforms.rest(name, standing)
      continue
    }
    const reason = restoreWorld(context, world)
    if (reason === undefined) continue
    refused.set(name, reason)
    journal.refuse(name, reason)
  }
  await journal.experiments.restore()
  await journal.records.restore()
  return { journal, refused }
}

/** Returns why the world cannot go on. */
function restoreWorld(
  context: OperationContext,
  { world, snapshot, commands }: KeptWorld,
): string | undefined {
  try {
    if (snapshot !== undefined) drive(loadWorld(context, world, decodeState(snapshot.state)), () => false)
    for (const command of commands) drive(repeat(context, world, command), () => false)
    return undefined
  } catch (error) {
    // Whatever it is: the other worlds can go on.
    return error instanceof Error ? error.message : String(error)
  }
}
