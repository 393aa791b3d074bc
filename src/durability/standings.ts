/**
 * How platforms stand, as documents beside their logs: each is replaced in the commit of every command, so that a start
 * knows what there is without doing anything again.
 */
import { type Saved, VERSION, versionOf } from '../core/index.ts'
import { type OperationContext, type PlatformStanding, standingOf } from '../operations/index.ts'
import type { KeptDocument, KeptWorld, Store } from '../store/index.ts'

const PLATFORM = 'platform'
const STANDING_VERSION = 1

interface KeptStanding {
  readonly version: typeof STANDING_VERSION
  /** The last command that it knows of. */
  readonly sequence: number
  readonly standing: PlatformStanding
}

/** Undefined for a world that is no platform, or is not in memory. */
export function standingDocument(
  { platforms }: OperationContext,
  world: string,
  sequence: number,
): KeptDocument | undefined {
  const running = platforms.find(world)?.running
  if (running === undefined) return undefined
  const value: KeptStanding = { version: STANDING_VERSION, sequence, standing: standingOf(running) }
  return { kind: PLATFORM, key: world, value }
}

export const withoutStanding = (world: string): KeptDocument => ({
  kind: PLATFORM,
  key: world,
  value: undefined,
})

/**
 * The platforms of an installation that may rest until somebody needs them. All others are brought into memory at the
 * start: what another version has kept may be of no use to this one, and that is to be told then; of files it matters who
 * has them open.
 */
export async function mayRest(
  store: Store,
  worlds: readonly KeptWorld[],
): Promise<ReadonlyMap<string, PlatformStanding>> {
  // Whose user may never wait has everything in memory.
  if (store.immediate) return new Map()
  const kept = new Map((await store.documents(PLATFORM)).map(({ key, value }) => [key, value as Saved]))
  const found = new Map<string, PlatformStanding>()
  for (const { world, snapshot, commands } of worlds) {
    const document = kept.get(world)
    if (document === undefined || versionOf(document) !== STANDING_VERSION) continue
    const { sequence, standing } = document as unknown as KeptStanding
    const ofThisVersion = [...(snapshot ? [snapshot] : []), ...commands].every(
      ({ version }) => version === VERSION,
    )
    if (sequence === lastOf({ snapshot, commands }) && ofThisVersion && !standing.usesFiles)
      found.set(world, standing)
  }
  return found
}

/** Sequence of the last command of a world. */
export const lastOf = ({ snapshot, commands }: Pick<KeptWorld, 'snapshot' | 'commands'>): number =>
  commands.at(-1)?.sequence ?? snapshot!.sequence
