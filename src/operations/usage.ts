/**
 * How much of an installation is taken, and whether there is room for more. Limits are judged before a command begins; what
 * a restart does again is not judged anew, so a limit that was lowered costs nobody what is there.
 */
import { NorthbridgeError, PAGE_SIZE } from '../core/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import type { OperationContext } from './context.ts'
import type { LimitName } from './limits.ts'

/** What the limits count, for messages. */
const NAMES: Readonly<Record<LimitName, string>> = {
  topologies: 'topologies',
  platforms: 'platforms',
  functions: 'functions on its platforms',
  vms: 'virtual machines on its platforms',
  memoryMiB: 'MiB of RAM that was written to',
  experiments: 'experiments',
  runningExperiments: 'experiments that run',
}

const PAGES_PER_MIB = 2 ** 20 / PAGE_SIZE

const functionsOf = ({ hardware }: SimulatedPlatform): number => hardware.fabric.functions().length
const vmsOf = (running: SimulatedPlatform): number => (running.responds ? running.hypervisor.vms().length : 0)

const COUNTS: Readonly<Record<LimitName, (context: OperationContext) => number>> = {
  topologies: ({ topologies }) => count(topologies.values(), ({ shipped }) => (shipped ? 0 : 1)),
  platforms: ({ platforms }) => count(platforms.values(), () => 1),
  functions: ({ platforms }) => count(platforms.values(), ({ running }) => functionsOf(running)),
  vms: ({ platforms }) => count(platforms.values(), ({ running }) => vmsOf(running)),
  memoryMiB: ({ platforms }) =>
    count(platforms.values(), ({ running }) => running.hardware.memory.populatedPages) / PAGES_PER_MIB,
  experiments: ({ experiments }) => count(experiments.values(), () => 1),
  runningExperiments: ({ experiments }) =>
    count(experiments.values(), ({ state }) => (state === 'running' ? 1 : 0)),
}

function count<Item>(items: Iterable<Item>, of: (item: Item) => number): number {
  let sum = 0
  for (const item of items) sum += of(item)
  return sum
}

/** How much of something is there now. */
export const usageOf = (context: OperationContext, name: LimitName): number => COUNTS[name](context)

/** Throws `limitExceeded` if there is no room for so many more. */
export function checkRoom(context: OperationContext, name: Exclude<LimitName, 'memoryMiB'>, more = 1): void {
  const limit = context.limits[name]
  // Counting is not for nothing.
  if (more <= 0 || limit === Number.POSITIVE_INFINITY) return
  const used = usageOf(context, name)
  if (used + more > limit) throw exceeded(name, limit, `there are ${used}, and ${more} more are asked for`)
}

/** Throws `limitExceeded` if a platform that was just made has more functions than there is room for. */
export const checkPlatform = (context: OperationContext, made: SimulatedPlatform): void =>
  checkRoom(context, 'functions', functionsOf(made))

/** Throws `limitExceeded` once a limit is exceeded, e.g. by a card that turned out to have many functions. */
export function checkStillWithin(context: OperationContext, name: LimitName): void {
  const limit = context.limits[name]
  if (limit === Number.POSITIVE_INFINITY) return
  const used = usageOf(context, name)
  if (used > limit) throw exceeded(name, limit, `it would be ${used}`)
}

/**
 * Throws `limitExceeded` while as much memory is taken as may be. How much a command will write is not known before, so
 * one that begins below the limit may end above it.
 */
export function checkMemory(context: OperationContext): void {
  const limit = context.limits.memoryMiB
  if (limit === Number.POSITIVE_INFINITY) return
  const used = usageOf(context, 'memoryMiB')
  if (used >= limit) throw exceeded('memoryMiB', limit, `it is ${Math.floor(used)}`)
}

const exceeded = (name: LimitName, limit: number, found: string): NorthbridgeError =>
  new NorthbridgeError('limitExceeded', `At most ${limit} ${NAMES[name]} may be here: ${found}`, {
    limit: name,
    most: limit,
  })
