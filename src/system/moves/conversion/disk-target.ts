/** A disk on its way into a virtual machine: into memory of the host, or onto a namespace that was named. */
import { NorthbridgeError } from '../../../core/index.ts'
import type { Software } from '../../../engine/index.ts'
import type { NvmeNamespace } from '../../../host/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import { type DiskModel, SECTOR, type VmDisk } from '../../storage/index.ts'
import { writeMedium } from '../medium.ts'
import type { DiskDefinition } from './definition.ts'
import { writeNamespace } from './disk-contents.ts'
import type { ConversionOptions, DiskChoice } from './options.ts'
import { attempt, type ConversionItem, changed, kept, notCarried, placedDevice } from './report.ts'

const NAMED = { what: 'disk', name: 'disk' } as const
/** Disks in memory are whole pages. */
const SECTORS_OF_PAGE = 8
/** Models whose controller the guest has for itself. */
const ASSIGNED: readonly DiskModel[] = ['virtualFunction', 'direct']
const IN_MEMORY: readonly DiskModel[] = ['emulation', 'paravirtual']

/** By which model the driver of before goes on. */
const SAME_DRIVER = {
  physical: 'direct',
  direct: 'direct',
  virtualFunction: 'virtualFunction',
  queuePair: 'paravirtual',
  paravirtual: 'paravirtual',
  emulation: 'emulation',
} as const satisfies Record<DiskDefinition['model'], DiskModel>

const modelOf = (disk: DiskDefinition, choice: DiskChoice): DiskModel =>
  choice === 'keepDriver' ? SAME_DRIVER[disk.model] : choice

/** The namespace that is to be overwritten, if it holds the disk. Throws `notFound`, `unsupported`, and what the driver does. */
export function* namedNamespace(
  { disks, host }: SimulatedPlatform,
  { function: address, namespace: nsid }: NonNullable<ConversionOptions['disk']>,
  sectors: number,
): Software<{ readonly address: string; readonly namespace: NvmeNamespace }> {
  const { address: full, physicalFunction } = host.find(address)
  const physical = physicalFunction ?? full
  const { namespaces } = yield* disks.hostDriver(physical)
  const namespace = namespaces.find(
    ({ id, blockSize }) => blockSize === SECTOR && (nsid === undefined || id === nsid),
  )
  const what = nsid === undefined ? 'no namespace' : `no namespace ${nsid}`
  if (namespace === undefined)
    throw new NorthbridgeError('notFound', `${full} has ${what} with blocks of ${SECTOR} bytes`)
  if (namespace.blocks < sectors) {
    const size = `namespace ${namespace.id} of ${full} has ${namespace.blocks} blocks`
    throw new NorthbridgeError('unsupported', `${size}, and the disk ${sectors} sectors`)
  }
  return { address: physical, namespace }
}

/** Gives a machine its disk. A namespace is overwritten only if it was named; without contents, not even then. */
export function* placeDisk(
  platform: SimulatedPlatform,
  vm: string,
  disk: DiskDefinition,
  options: ConversionOptions,
): Software<ConversionItem[]> {
  const was = { text: `${disk.model}: ${disk.place}`, driver: disk.driver }
  const passedOver: string[] = []
  for (const choice of options.disks) {
    const model = modelOf(disk, choice)
    const tried = yield* attempt(open(platform, vm, model, disk, options))
    if ('refusal' in tried) {
      passedOver.push(`${model}: ${tried.refusal}`)
      continue
    }
    const { guestAddress, driver, sectors, function: address } = tried.result
    const is = { text: `${model}: ${guestAddress}, on ${address ?? 'memory of the host'}`, driver }
    return [placedDevice(NAMED, was, is, passedOver), sizeItem(disk.sectors, sectors)]
  }
  return [notCarried(NAMED, was.text, passedOver.join('; '))]
}

const SIZE = { what: 'disk', name: 'size and contents' } as const

export const sizeItem = (was: number, is: number): ConversionItem =>
  is === was
    ? kept(SIZE, `${was} sectors`)
    : changed(
        SIZE,
        `${was} sectors`,
        `${is} sectors, the first ${was} with what was there`,
        'the medium is larger',
      )

function* open(
  platform: SimulatedPlatform,
  vm: string,
  model: DiskModel,
  { sectors, contents }: DiskDefinition,
  options: ConversionOptions,
): Software<VmDisk> {
  const { disks } = platform
  if (options.disk === undefined) {
    if (!IN_MEMORY.includes(model)) {
      const message = 'no namespace was named (`disk`) that may be overwritten'
      throw new NorthbridgeError('invalidArgument', message)
    }
    const whole = Math.ceil(sectors / SECTORS_OF_PAGE) * SECTORS_OF_PAGE
    const view = yield* disks.open({ vm, model, sectors: whole })
    if (contents === null) return view
    try {
      yield* writeMedium(disks.medium(vm)!, contents)
    } catch (error) {
      yield* disks.close(vm)
      throw error
    }
    return view
  }
  const { function: address, namespace: nsid } = options.disk
  const { address: physical, namespace } = yield* namedNamespace(platform, options.disk, sectors)
  const served = ASSIGNED.includes(model) ? {} : { namespace: nsid ?? namespace.id }
  if (contents !== null) yield* writeNamespace(platform, physical, namespace, contents)
  return yield* disks.open({ vm, model, function: platform.host.find(address).address, ...served })
}
