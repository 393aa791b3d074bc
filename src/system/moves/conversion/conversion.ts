/**
 * A machine becomes another kind of machine: physical to virtual, virtual to virtual, virtual to physical. Its definition is
 * read at one host and made good at another, and everything that it had is told of: kept, changed, or not carried over.
 * The source is left as it was; a virtual one stands still afterwards, since its addresses are in use elsewhere.
 */
import { NorthbridgeError } from '../../../core/index.ts'
import { type Software, within } from '../../../engine/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import { onlyTried } from '../../transaction.ts'
import type { TwoPlatforms } from '../two-platforms.ts'
import type { MachineDefinition } from './definition.ts'
import type { ConversionOptions } from './options.ts'
import { definitionOfHost } from './physical-source.ts'
import { furnishHost } from './physical-target.ts'
import type { ConversionItem } from './report.ts'
import { definitionOfVm } from './virtual-source.ts'
import { makeMachine } from './virtual-target.ts'

export interface Conversion {
  readonly way: ConversionOptions['way']
  /** What was converted: a platform, or a virtual machine of it. */
  readonly source: string
  /** The virtual machine that came of it; null: the other platform itself. */
  readonly vm: string | null
  readonly items: readonly ConversionItem[]
  /** Bytes of the disk that were not zeros; null: there was no disk, or nothing was done. */
  readonly diskBytes: number | null
}

const invalid = (path: string, message: string): NorthbridgeError =>
  new NorthbridgeError('invalidArgument', `${path.slice(1)} ${message}`, { issues: [{ path, message }] })

/** Throws `invalidArgument`. */
function check({ way, vm, vcpus, memoryMiB, name, network, disks, disk }: ConversionOptions): void {
  if ((vm === undefined) !== (way === 'p2v')) {
    throw invalid(
      '/vm',
      way === 'p2v' ? 'is no part of a physical machine' : 'is required: what is converted',
    )
  }
  if (network.length === 0) throw invalid('/network', 'names at least one model')
  if (disks.length === 0) throw invalid('/disks', 'names at least one model')
  if (disk?.namespace !== undefined && disk.namespace < 1) throw invalid('/disk/namespace', 'is 1 or more')
  if (way !== 'v2p') return
  const given = Object.entries({ vcpus, memoryMiB, name }).find(([, value]) => value !== undefined)
  if (given !== undefined) throw invalid(`/${given[0]}`, 'is not chosen for a physical machine')
}

/** Converts. Half-done if it throws: see `undoneOnFailure`. */
export function* convert(platforms: TwoPlatforms, options: ConversionOptions): Software<Conversion> {
  check(options)
  const { source, target } = platforms
  const definition = yield* platforms.on(source, read(source, options, true))
  const items = yield* platforms.on(target, make(target, definition, options))
  const { vm } = options
  const { moves } = source.hypervisor
  if (vm !== undefined && !moves.isPaused(vm)) moves.pause(vm)
  if (options.way !== 'v2p') target.networking.announce(options.name ?? definition.name)
  return reportOf(options, definition, items, definition.disk?.contents?.bytes.length ?? null)
}

/** What {@link convert} would answer: it is tried, without the contents of disks, and undone. */
export function* planConversion(
  { source, target }: TwoPlatforms,
  options: ConversionOptions,
): Software<Conversion> {
  check(options)
  const tried = function* (): Software<Conversion> {
    const definition = yield* within(source.engine, read(source, options, false))
    const items = yield* within(target.engine, make(target, definition, options))
    return reportOf(options, definition, items, null)
  }
  return yield* onlyTried([source, target], tried())
}

const read = (
  source: SimulatedPlatform,
  { way, vm }: ConversionOptions,
  withContents: boolean,
): Software<MachineDefinition> =>
  way === 'p2v'
    ? definitionOfHost(source, source.id, withContents)
    : definitionOfVm(source, vm!, withContents)

const make = (
  target: SimulatedPlatform,
  definition: MachineDefinition,
  options: ConversionOptions,
): Software<ConversionItem[]> =>
  options.way === 'v2p' ? furnishHost(target, definition, options) : makeMachine(target, definition, options)

const reportOf = (
  { way, name }: ConversionOptions,
  definition: MachineDefinition,
  items: readonly ConversionItem[],
  diskBytes: number | null,
): Conversion => ({
  way,
  source: definition.name,
  vm: way === 'v2p' ? null : (name ?? definition.name),
  items,
  diskBytes,
})
