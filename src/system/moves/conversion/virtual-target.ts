/** A virtual machine made of a definition: what the host has not is given up, thing by thing, and told. */
import { NorthbridgeError } from '../../../core/index.ts'
import type { Software } from '../../../engine/index.ts'
import type { VmOptions } from '../../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import type { FunctionDefinition, MachineDefinition } from './definition.ts'
import { placeDisk } from './disk-target.ts'
import { placeInterface } from './network-target.ts'
import type { ConversionOptions } from './options.ts'
import { attempt, type ConversionItem, changed, kept, notCarried, placedDevice } from './report.ts'
import { functionsLike } from './target-functions.ts'
import { guestDriver } from './virtual-source.ts'

/** Of any virtual machine. */
const MOST_PROCESSORS = 64

/** Throws what making the machine does, but for what can be done without; `notFound` for what was named and is not there. */
export function* makeMachine(
  platform: SimulatedPlatform,
  definition: MachineDefinition,
  options: ConversionOptions,
): Software<ConversionItem[]> {
  const { name = definition.name } = options
  const vcpus = options.vcpus ?? Math.min(definition.processors, MOST_PROCESSORS)
  const memoryMiB = options.memoryMiB ?? Math.floor(definition.memoryMiB)
  const size = { name, vcpus, memoryMiB }
  const items = [...sizes(definition, vcpus, memoryMiB)]
  items.push(...(yield* create(platform, definition, size)))
  items.push(...claims(platform, definition, name))
  for (const device of definition.network)
    items.push(...(yield* placeInterface(platform, name, device, options)))
  if (definition.disk !== undefined)
    items.push(...(yield* placeDisk(platform, name, definition.disk, options)))
  for (const fn of definition.functions) items.push(yield* placeFunction(platform, name, fn))
  items.push(...pinning(platform, definition, name), ...withoutUnit(definition), ...definition.left)
  return items
}

function sizes(
  { processors, memoryMiB: before }: MachineDefinition,
  vcpus: number,
  memoryMiB: number,
): ConversionItem[] {
  const cpus = { what: 'processors', name: 'processors' } as const
  const memory = { what: 'memory', name: 'memory' } as const
  const most =
    processors > MOST_PROCESSORS && vcpus === MOST_PROCESSORS
      ? `a virtual machine has at most ${MOST_PROCESSORS}`
      : 'so many were asked for'
  return [
    vcpus === processors ? kept(cpus, `${processors}`) : changed(cpus, `${processors}`, `${vcpus}`, most),
    memoryMiB === before
      ? kept(memory, `${before} MiB`)
      : changed(memory, `${before} MiB`, `${memoryMiB} MiB`, 'so much was asked for'),
  ]
}

/** Something that a host may lack, and what there is in its place. */
interface Feature {
  readonly what: ConversionItem['what']
  readonly was: string
  /** With it. */
  readonly wanted: Partial<VmOptions>
  /** In its place, best first; nothing at all is always possible. */
  readonly instead: readonly { readonly is: string; readonly options: Partial<VmOptions> }[]
}

/** What was said of the machine beyond its size. */
function featuresOf({ options, remappingUnit, origin }: MachineDefinition): Feature[] {
  const {
    interrupts = 'emulated',
    nested,
    vmcsShadowing,
    program,
    backing,
    hugePages,
    memorySettings,
  } = options
  const features: Feature[] = []
  if (interrupts !== 'emulated') {
    const virtualized = { is: 'virtualized', options: { interrupts: 'virtualized' } } as const
    features.push({
      what: 'interrupts',
      was: interrupts,
      wanted: { interrupts },
      instead: interrupts === 'posted' ? [virtualized] : [],
    })
  }
  if (nested === true) {
    const shadowed = vmcsShadowing === true
    const plain = { is: 'VMX', options: { nested, program } } as const
    features.push({
      what: 'nested',
      was: shadowed ? 'VMX, with a shadowed VMCS' : 'VMX',
      wanted: { nested, vmcsShadowing: shadowed, ...(program && { program }) },
      instead: shadowed ? [{ ...plain, options: { nested, ...(program && { program }) } }] : [],
    })
  }
  if (backing === 'paged') {
    const wanted = { backing, ...(memorySettings && { memorySettings }) } as const
    features.push({ what: 'backing', was: 'paged', wanted, instead: [] })
  }
  if (hugePages !== undefined && hugePages !== '2MiB')
    features.push({ what: 'hugePages', was: hugePages, wanted: { hugePages }, instead: [] })
  if (remappingUnit !== undefined && origin === 'virtual' && remappingUnit !== 'physical') {
    const shadow = { is: 'shadow', options: { viommu: { mode: 'shadow' } } } as const
    features.push({
      what: 'remappingUnit',
      was: remappingUnit,
      wanted: { viommu: { mode: remappingUnit } },
      instead: remappingUnit === 'nested' ? [shadow] : [],
    })
  }
  return features
}

/** Makes the machine with all that the host has of what it is to have. Throws as `createVm`, but `unsupported` only without all of it. */
function* create(
  { hypervisor }: SimulatedPlatform,
  definition: MachineDefinition,
  size: Pick<VmOptions, 'name' | 'vcpus' | 'memoryMiB'>,
): Software<ConversionItem[]> {
  const features = featuresOf(definition)
  const whole: VmOptions = Object.assign({}, size, ...features.map(({ wanted }) => wanted))
  const tried = yield* attempt(hypervisor.createVm(whole), 'unsupported')
  if ('result' in tried) return features.map(({ what, was }) => kept({ what, name: what }, was))
  let options: VmOptions = size
  const items: ConversionItem[] = []
  for (const feature of features) {
    const { item, more } = yield* fallBack(hypervisor, options, feature)
    options = { ...options, ...more }
    items.push(item)
  }
  yield* hypervisor.createVm(options)
  return items
}

/** The first of a feature's forms that the host has: such a machine is made, and taken away again. */
function* fallBack(
  hypervisor: SimulatedPlatform['hypervisor'],
  options: VmOptions,
  { what, was, wanted, instead }: Feature,
): Software<{ readonly item: ConversionItem; readonly more: Partial<VmOptions> }> {
  const named = { what, name: what } as const
  let reason = ''
  for (const { is, options: more } of [{ is: was, options: wanted }, ...instead]) {
    const tried = yield* attempt(hypervisor.createVm({ ...options, ...more }), 'unsupported')
    if ('refusal' in tried) {
      reason ||= tried.refusal
      continue
    }
    yield* hypervisor.deleteVm(options.name)
    return { item: is === was ? kept(named, was) : changed(named, was, is, reason), more }
  }
  return { item: notCarried(named, was, reason), more: {} }
}

/** Its claim on processors. */
function claims(
  { hypervisor }: SimulatedPlatform,
  { claims: wanted, processors }: MachineDefinition,
  vm: string,
): ConversionItem[] {
  if (wanted === undefined) return []
  const named = { what: 'claims', name: 'processors' } as const
  const { shares, reservationPercent, limitPercent } = wanted
  const text = `${shares} shares, keeps ${reservationPercent} %, gets at most ${limitPercent} %`
  const { vcpus } = hypervisor.vm(vm)
  if (vcpus.length !== processors) {
    return [notCarried(named, text, 'it was said of another number of virtual processors (setVmCpu)')]
  }
  try {
    hypervisor.cpu.set(vm, wanted)
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    return [notCarried(named, text, error.message)]
  }
  return [kept(named, text)]
}

/** A function that is neither network interface nor disk: another like it. */
function* placeFunction(
  platform: SimulatedPlatform,
  vm: string,
  fn: FunctionDefinition,
): Software<ConversionItem> {
  const named = { what: 'function', name: fn.address } as const
  const was = { text: fn.address, driver: fn.driver }
  const { functions, reason } = functionsLike(platform, vm, fn)
  let refusal = reason
  for (const address of functions) {
    const tried = yield* attempt(platform.hypervisor.attach(vm, address))
    if ('refusal' in tried) {
      refusal = tried.refusal
      continue
    }
    const { guestAddress } = tried.result
    const driver = guestDriver(platform, vm, Number.parseInt(guestAddress.slice(8, 10), 16))
    return placedDevice(named, was, { text: `${address}: ${guestAddress}`, driver }, [
      'the guest has no driver that starts with it',
    ])
  }
  return notCarried(named, `${fn.address} (${fn.driver ?? 'no driver'})`, refusal)
}

/** Memory that could be taken away before, and now cannot, or the other way round. */
function pinning(
  { hypervisor }: SimulatedPlatform,
  { options }: MachineDefinition,
  vm: string,
): ConversionItem[] {
  const { backing, pinnedBy } = hypervisor.memory.view(vm)
  if (options.backing !== 'paged' || backing !== 'paged' || pinnedBy.length === 0) return []
  const reason = `${pinnedBy.join(', ')} may reach all of it at any moment`
  return [changed({ what: 'backing', name: 'pages' }, 'paged', 'paged, and all of it pinned', reason)]
}

const withoutUnit = ({ remappingUnit }: MachineDefinition): ConversionItem[] =>
  remappingUnit === 'physical'
    ? [
        notCarried(
          { what: 'remappingUnit', name: 'remappingUnit' },
          'remapping units of the machine',
          'a virtual machine has one if it is made with one (createVm, viommu)',
        ),
      ]
    : []
