/** Worlds as they are kept: which of them a command concerns, where they stand, and their states. */
import { NorthbridgeError, opened, type Saved } from '../core/index.ts'
import { drive, type Software } from '../engine/index.ts'
import { changes, type Operation, type OperationContext } from '../operations/index.ts'
import { readTopology } from '../platform/index.ts'
import type { WorldMark } from '../store/index.ts'
import { SimulatedPlatform } from '../system/index.ts'

/** The catalogue of topologies as a world: no platform has such a name. */
export const CATALOGUE = ':topologies'

export const changesExperiments = (row: Operation): boolean =>
  changes(row) && row.rest.path.startsWith('/v1/experiments')

export const changesCatalogue = (row: Operation): boolean =>
  changes(row) && row.rest.path.startsWith('/v1/topologies')

/** Undefined for a world that is not there, or cannot go on. */
export function markOf(context: OperationContext, world: string): WorldMark | undefined {
  if (world === CATALOGUE) return { timeNs: 0, told: context.topologies.entries().length }
  const engine = context.platforms.find(world)?.running.engine
  return engine && { timeNs: engine.now, told: engine.trace.told }
}

export const sameMark = (a: WorldMark | undefined, b: WorldMark | undefined): boolean =>
  a?.timeNs === b?.timeNs && a?.told === b?.told

/** What is needed to make a platform again, with its state. */
type PlatformState = {
  readonly version: 1
  /** As a document. */
  readonly topology: Saved
  readonly state: Saved
}

/** Documents that users have stored, by name. */
type CatalogueState = {
  readonly version: 1
  readonly topologies: readonly (readonly [name: string, topology: Saved])[]
}

/** The state of a world, from which {@link loadWorld} makes it again. */
export function saveWorld(context: OperationContext, world: string): Saved {
  if (world === CATALOGUE) return catalogueState(context)
  const { running } = context.platforms.get(world)
  const state: PlatformState = {
    version: 1,
    topology: running.topology as unknown as Saved,
    state: running.save(),
  }
  return state
}

function catalogueState({ topologies }: OperationContext): CatalogueState {
  const own = topologies.entries().filter(([, { shipped }]) => !shipped)
  return {
    version: 1,
    topologies: own.map(([name, { topology }]) => [name, topology as unknown as Saved] as const),
  }
}

/** Puts a world into an installation that has none of its name. Throws `invalidDocument` for a state of another version. */
export function loadWorld(context: OperationContext, world: string, saved: Saved): void {
  drive(
    world === CATALOGUE ? loadCatalogue(context, saved) : loadPlatform(context, world, saved),
    () => false,
  )
}

function* loadCatalogue(context: OperationContext, saved: Saved): Software {
  const { topologies } = opened<CatalogueState>(saved, 'the catalogue of topologies', 1)
  for (const [name, document] of topologies) {
    context.topologies.set(name, { shipped: false, topology: yield* readTopology(document) })
  }
}

function* loadPlatform(context: OperationContext, id: string, saved: Saved): Software {
  const { topology: document, state } = opened<PlatformState>(saved, 'a platform', 1)
  const topology = yield* readTopology(document)
  const { files } = context
  const running = yield* SimulatedPlatform.restore(topology, { id, name: id, files }, state)
  context.platforms.set(id, { id, running })
}

/** Whether disks of a platform are on files: what is in them is of the world outside, and not in its state. */
export const usesFiles = (context: OperationContext, world: string): boolean =>
  context.platforms.find(world)?.running.usesFiles ?? false

/** Where a world stands, for one that is there. */
export function standing(context: OperationContext, world: string): WorldMark {
  const mark = markOf(context, world)
  if (mark === undefined) throw new NorthbridgeError('worldUnavailable', `"${world}" is not there any more`)
  return mark
}
