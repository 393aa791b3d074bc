/** VIRTIO 1.2, §3.1 "Device Initialization" and §4.1 "Virtio Over PCI Bus", the driver's side. */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  CAPABILITY_FIELD,
  COMMON,
  VIRTIO_CAPABILITY,
  VIRTIO_FEATURE,
  VIRTIO_STATUS,
} from '../../hypervisor/formats/virtio.ts'
import { CAPABILITIES_POINTER } from '../../pcie/formats/index.ts'
import type { DriverContext, DriverOptions } from '../driver.ts'
import { PackedRing } from './packed-ring.ts'
import type { DriverRing, RingOptions, SavedRing } from './ring.ts'
import { SplitRing } from './split-ring.ts'

const VENDOR_SPECIFIC = 0x09
const LONGEST_LIST = 48
const DEFAULT_ENTRIES = 64

/** Which of the ring features the driver takes, if they are offered. Default: all. */
export interface VirtioOptions extends DriverOptions {
  readonly packed?: boolean
  readonly eventIndex?: boolean
  readonly indirect?: boolean
}

/** Feature bits as two dwords. */
type Features = readonly [low: number, high: number]

const has = (features: Features, bit: number): boolean => ((features[bit >>> 5]! >>> (bit & 31)) & 1) === 1

type SavedTransport = {
  readonly areas: readonly (readonly [type: number, address: number])[]
  readonly multiplier: number
  readonly features: Features
  readonly notifications: number
  readonly rings: readonly SavedRing[]
}

export class VirtioTransport {
  readonly #context: DriverContext
  /** Guest-physical, by cfg_type. */
  readonly #areas: ReadonlyMap<number, number>
  readonly #multiplier: number
  readonly #features: Features
  readonly rings: readonly DriverRing[]
  /** Notifications that were written. */
  notifications = 0

  private constructor(
    context: DriverContext,
    areas: ReadonlyMap<number, number>,
    multiplier: number,
    features: Features,
    rings: readonly DriverRing[],
  ) {
    this.#context = context
    this.#areas = areas
    this.#multiplier = multiplier
    this.#features = features
    this.rings = rings
  }

  /**
   * Resets the device, negotiates, and brings up `queues` queues.
   * @param wanted feature bits of the device type. Throws `unsupported` if the device accepts none of it.
   */
  static *start(
    context: DriverContext,
    wanted: readonly number[],
    queues: number,
    { packed = true, eventIndex = true, indirect = true, ringEntries = DEFAULT_ENTRIES }: VirtioOptions = {},
  ): Software<VirtioTransport> {
    const { access } = context
    const { areas, multiplier } = yield* findStructures(context)
    const common = areas.get(VIRTIO_CAPABILITY.common)!
    yield* access.write8(common + COMMON.status, 0)
    yield* access.write8(common + COMMON.status, VIRTIO_STATUS.acknowledge)
    yield* access.write8(common + COMMON.status, VIRTIO_STATUS.acknowledge | VIRTIO_STATUS.driver)
    const bits = [
      ...wanted,
      VIRTIO_FEATURE.version1,
      VIRTIO_FEATURE.accessPlatform,
      ...(packed ? [VIRTIO_FEATURE.ringPacked] : []),
      ...(eventIndex ? [VIRTIO_FEATURE.eventIndex] : []),
      ...(indirect ? [VIRTIO_FEATURE.indirectDescriptors] : []),
    ]
    const features: [number, number] = [0, 0]
    for (const half of [0, 1] as const) {
      yield* access.write32(common + COMMON.deviceFeatureSelect, half)
      const offered = yield* access.read32(common + COMMON.deviceFeature)
      const mask = bits.reduce((sum, bit) => (bit >>> 5 === half ? sum | (1 << (bit & 31)) : sum), 0)
      features[half] = (offered & mask) >>> 0
      yield* access.write32(common + COMMON.driverFeatureSelect, half)
      yield* access.write32(common + COMMON.driverFeature, features[half])
    }
    const agreed = VIRTIO_STATUS.acknowledge | VIRTIO_STATUS.driver | VIRTIO_STATUS.featuresOk
    yield* access.write8(common + COMMON.status, agreed)
    if (((yield* access.read8(common + COMMON.status)) & VIRTIO_STATUS.featuresOk) === 0) {
      yield* access.write8(common + COMMON.status, VIRTIO_STATUS.failed)
      throw new NorthbridgeError('unsupported', 'the virtio device does not accept what the driver takes')
    }
    const rings: DriverRing[] = []
    for (let number = 0; number < queues; number++) {
      rings.push(yield* startQueue(context, common, number, ringEntries, features))
    }
    yield* access.write16(common + COMMON.configVector, 0)
    yield* access.write8(common + COMMON.status, agreed | VIRTIO_STATUS.driverOk)
    return new VirtioTransport(context, areas, multiplier, features, rings)
  }

  hasFeature(bit: number): boolean {
    return has(this.#features, bit)
  }

  /** A dword of the device configuration. */
  *readConfiguration(offset: number): Software<number> {
    return yield* this.#context.access.read32(this.#areas.get(VIRTIO_CAPABILITY.device)! + offset)
  }

  *writeConfiguration(offset: number, value: number): Software {
    yield* this.#context.access.write32(this.#areas.get(VIRTIO_CAPABILITY.device)! + offset, value)
  }

  /** Tells the device of what was added to a queue, if it wants to know. */
  *kick(number: number): Software {
    const ring = this.rings[number]!
    if (!(yield* ring.needsNotification())) return
    this.notifications++
    const address = this.#areas.get(VIRTIO_CAPABILITY.notify)! + number * this.#multiplier
    yield* this.#context.access.write16(address, number)
  }

  *status(): Software<number> {
    return yield* this.#context.access.read8(this.#areas.get(VIRTIO_CAPABILITY.common)! + COMMON.status)
  }

  *stop(): Software {
    yield* this.#context.access.write8(this.#areas.get(VIRTIO_CAPABILITY.common)! + COMMON.status, 0)
  }

  save(): SavedTransport {
    return {
      areas: [...this.#areas],
      multiplier: this.#multiplier,
      features: [...this.#features],
      notifications: this.notifications,
      rings: this.rings.map(ring => ring.save()),
    }
  }

  static restore(context: DriverContext, saved: Saved): VirtioTransport {
    const { areas, multiplier, features, notifications, rings } = saved as SavedTransport
    const restored = rings.map(state => {
      const { Ring, options } = layoutOf(features, state.size)
      const ring = new Ring(context.access, state.at, options)
      ring.load(state)
      return ring
    })
    const transport = new VirtioTransport(context, new Map(areas), multiplier, [...features], restored)
    transport.notifications = notifications
    return transport
  }
}

/** The kind of ring that was negotiated. */
const layoutOf = (features: Features, size: number) => ({
  Ring: has(features, VIRTIO_FEATURE.ringPacked) ? PackedRing : SplitRing,
  options: {
    size,
    eventIndex: has(features, VIRTIO_FEATURE.eventIndex),
    indirect: has(features, VIRTIO_FEATURE.indirectDescriptors),
  } satisfies RingOptions,
})

function* startQueue(
  { access, allocate }: DriverContext,
  common: number,
  number: number,
  wanted: number,
  features: Features,
): Software<DriverRing> {
  yield* access.write16(common + COMMON.queueSelect, number)
  const size = Math.min(yield* access.read16(common + COMMON.queueSize), wanted)
  yield* access.write16(common + COMMON.queueSize, size)
  const { Ring, options } = layoutOf(features, size)
  const ring = new Ring(access, yield* allocate(Ring.bytes(options)), options)
  for (const [offset, address] of [
    [COMMON.queueDescriptors, ring.descriptors],
    [COMMON.queueDriver, ring.driver],
    [COMMON.queueDevice, ring.device],
  ] as const) {
    yield* access.write32(common + offset, address % 2 ** 32)
    yield* access.write32(common + offset + 4, Math.floor(address / 2 ** 32))
  }
  // Message 0 tells of the configuration, each queue has the one after its number.
  yield* access.write16(common + COMMON.queueVector, number + 1)
  yield* access.write16(common + COMMON.queueEnable, 1)
  return ring
}

/** "Virtio Structure PCI Capabilities": where the structures lie, by the vendor-specific capabilities. */
function* findStructures({
  device,
  readConfig,
}: DriverContext): Software<{ areas: Map<number, number>; multiplier: number }> {
  const areas = new Map<number, number>()
  let multiplier = 0
  let at = (yield* readConfig(CAPABILITIES_POINTER)) & 0xfc
  for (let i = 0; i < LONGEST_LIST && at !== 0; i++) {
    const header = yield* readConfig(at)
    if ((header & 0xff) === VENDOR_SPECIFIC) {
      const type = header >>> 24
      const bar = (yield* readConfig(at + CAPABILITY_FIELD.bar)) & 0xff
      const base = device.bars.find(({ index }) => index === bar)?.base
      const offset = yield* readConfig(at + CAPABILITY_FIELD.offset)
      // The first of each type is to be used.
      if (base !== undefined && !areas.has(type)) areas.set(type, base + offset)
      if (type === VIRTIO_CAPABILITY.notify)
        multiplier = yield* readConfig(at + CAPABILITY_FIELD.notifyMultiplier)
    }
    at = (header >>> 8) & 0xfc
  }
  for (const [name, type] of Object.entries(VIRTIO_CAPABILITY)) {
    if (!areas.has(type)) {
      throw new NorthbridgeError('unsupported', `the virtio device has no ${name} structure in a placed BAR`)
    }
  }
  return { areas, multiplier }
}
