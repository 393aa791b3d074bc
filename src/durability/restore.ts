/** From what a store has kept to an installation that goes on where it was. */
import { drive } from '../engine/index.ts'
import type { OperationContext } from '../operations/index.ts'
import { decodeState, type Kept, type KeptWorld, type Store } from '../store/index.ts'
import { Journal } from './journal.ts'
import { repeat } from './replay.ts'
import { loadWorld } from './worlds.ts'

export interface Restored {
  readonly journal: Journal
  /** Worlds that are kept, but cannot go on under this version, and why. */
  readonly refused: ReadonlyMap<string, string>
}

/**
 * Brings everything that a store has kept back into an installation that is fresh. Throws `storeFailed`.
 *
 * @param kept what `store.open()` has found
 */
export async function restoreInstallation(
  context: OperationContext,
  kept: Pick<Kept, 'worlds'>,
  store: Store,
): Promise<Restored> {
  const refused = new Map<string, string>()
  const journal = new Journal(context, store)
  for (const world of kept.worlds) {
    const { snapshot, commands } = world
    journal.goOn(world.world, commands.at(-1)?.sequence ?? snapshot!.sequence, commands.length)
    const reason = restoreWorld(context, world)
    if (reason === undefined) continue
    refused.set(world.world, reason)
    journal.refuse(world.world, reason)
  }
  await journal.experiments.restore()
  return { journal, refused }
}

/** Returns why the world cannot go on. */
function restoreWorld(
  context: OperationContext,
  { world, snapshot, commands }: KeptWorld,
): string | undefined {
  try {
    if (snapshot !== undefined) loadWorld(context, world, decodeState(snapshot.state))
    for (const command of commands) drive(repeat(context, world, command), () => false)
    return undefined
  } catch (error) {
    // Whatever it is: the other worlds can go on.
    return error instanceof Error ? error.message : String(error)
  }
}
