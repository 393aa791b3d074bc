/** VIRTIO 1.2, §4.1 "Virtio Over PCI Bus", the device's side: a modern device whose registers exit. */
import { opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { DevicePort, EmulatedCapability, EmulatedDevice, EmulatedIdentity } from '../emulated-device.ts'
import {
  COMMON,
  ISR,
  NO_VECTOR,
  VIRTIO_CAPABILITY,
  VIRTIO_FEATURE,
  VIRTIO_STATUS,
  VIRTIO_VENDOR,
  virtioDeviceId,
} from '../formats/virtio.ts'
import type { DeviceQueue } from './device-queue.ts'
import type { VirtioLink, VirtioModel } from './model.ts'
import { PackedQueue } from './packed-queue.ts'
import { QueueRegisters, type SavedQueueRegisters } from './queue-registers.ts'
import { SplitQueue } from './split-queue.ts'

export interface TransportOptions {
  /** Offer VIRTIO_F_RING_PACKED. Default true. */
  readonly packed?: boolean
  /** Offer VIRTIO_F_RING_EVENT_IDX. Default true. */
  readonly eventIndex?: boolean
  /** Offer VIRTIO_F_INDIRECT_DESC. Default true. */
  readonly indirect?: boolean
  /** Offer VIRTIO_F_ACCESS_PLATFORM, and work for no driver that does not take it. Default true. */
  readonly accessPlatform?: boolean
}

/** Where the structures lie in BAR 4; MSI-X is alone in BAR 1. */
const STRUCTURE_BAR = 4
const MESSAGE_BAR = 1
const AREA = { common: 0, isr: 0x1000, device: 0x2000, notify: 0x3000, size: 0x4000 } as const
const AREA_SIZE = 0x1000
const NOTIFY_MULTIPLIER = 4

const VENDOR_SPECIFIC = 0x09

/** Body of a "virtio_pci_cap": length, type, BAR, id, padding, offset, length. */
function structure(type: number, offset: number, length: number, ...more: number[]): EmulatedCapability {
  const body = new Uint8Array(14 + more.length * 4)
  const view = new DataView(body.buffer)
  body[0] = body.length + 2
  body[1] = type
  body[2] = STRUCTURE_BAR
  view.setUint32(6, offset, true)
  view.setUint32(10, length, true)
  for (const [i, word] of more.entries()) view.setUint32(14 + i * 4, word, true)
  return { id: VENDOR_SPECIFIC, body }
}

type SavedVirtioDevice = {
  readonly version: 1
  readonly status: number
  readonly isr: number
  readonly generation: number
  readonly accepted: readonly [number, number]
  readonly selects: readonly [device: number, driver: number, queue: number]
  readonly configVector: number
  readonly registers: readonly SavedQueueRegisters[]
  /** By number; empty until the driver is ready, null for a queue that it did not enable. */
  readonly queues: readonly (Saved | null)[]
  readonly counters: readonly [notifications: number, interrupts: number]
  readonly model: Saved
}

export class VirtioDevice implements EmulatedDevice, VirtioLink {
  readonly kind: string
  readonly identity: EmulatedIdentity
  readonly bars = [
    { index: MESSAGE_BAR, size: 0x1000, is64: false, prefetchable: false },
    { index: STRUCTURE_BAR, size: AREA.size, is64: true, prefetchable: true },
  ]
  readonly messages
  readonly capabilities = [
    structure(VIRTIO_CAPABILITY.common, AREA.common, AREA_SIZE),
    structure(VIRTIO_CAPABILITY.isr, AREA.isr, AREA_SIZE),
    structure(VIRTIO_CAPABILITY.device, AREA.device, AREA_SIZE),
    structure(VIRTIO_CAPABILITY.notify, AREA.notify, AREA_SIZE, NOTIFY_MULTIPLIER),
  ]
  readonly #model: VirtioModel
  readonly #offered: readonly [number, number]
  readonly #accessPlatform: boolean
  readonly #registers: QueueRegisters[]
  #port: DevicePort | undefined
  #queues: (DeviceQueue | undefined)[] = []
  #deviceSelect = 0
  #driverSelect = 0
  #accepted: [number, number] = [0, 0]
  #status = 0
  #isr = 0
  #generation = 0
  #configVector = NO_VECTOR
  #queueSelect = 0
  /** Notifications, and interrupts sent, since the device was made. */
  notifications = 0
  interrupts = 0

  constructor(model: VirtioModel, options: TransportOptions = {}) {
    const { packed = true, eventIndex = true, indirect = true, accessPlatform = true } = options
    this.#model = model
    this.kind = model.kind
    this.#accessPlatform = accessPlatform
    const bits = [
      ...model.features,
      VIRTIO_FEATURE.version1,
      ...(packed ? [VIRTIO_FEATURE.ringPacked] : []),
      ...(eventIndex ? [VIRTIO_FEATURE.eventIndex] : []),
      ...(indirect ? [VIRTIO_FEATURE.indirectDescriptors] : []),
      ...(accessPlatform ? [VIRTIO_FEATURE.accessPlatform] : []),
    ]
    const half = (from: number): number =>
      bits.reduce((mask, bit) => (bit >>> 5 === from ? (mask | (1 << (bit & 31))) >>> 0 : mask), 0)
    this.#offered = [half(0), half(1)]
    this.#registers = model.queueSizes.map(size => new QueueRegisters(size))
    const count = model.queueSizes.length + 1
    this.messages = { count, bar: MESSAGE_BAR, tableOffset: 0, pbaOffset: 0x800 }
    this.identity = {
      vendorId: VIRTIO_VENDOR,
      deviceId: virtioDeviceId(model.type),
      subsystemVendorId: VIRTIO_VENDOR,
      subsystemId: 0x1100,
      classCode: model.classCode,
      revision: 1,
    }
  }

  connect(port: DevicePort): void {
    this.#port = port
  }

  disconnect(): void {
    this.#reset()
  }

  // What the model has of it

  get port(): DevicePort {
    return this.#port!
  }

  get queues(): readonly (DeviceQueue | undefined)[] {
    return this.#queues
  }

  hasFeature(bit: number): boolean {
    return ((this.#accepted[bit >>> 5]! >>> (bit & 31)) & 1) === 1
  }

  complete(number: number): void {
    const queue = this.#queues[number]
    if (queue === undefined) return
    if (queue.publish()) this.#interrupt(ISR.queue, this.#registers[number]!.vector)
    if (queue.broken !== undefined) this.#needsReset()
  }

  configurationChanged(): void {
    this.#generation = (this.#generation + 1) & 0xff
    this.#interrupt(ISR.configuration, this.#configVector)
  }

  #interrupt(cause: number, vector: number): void {
    this.#isr |= cause
    if (vector === NO_VECTOR) return
    this.interrupts++
    this.#port!.signal(vector)
  }

  /** "Device Status": what the driver did cannot be recovered from. Told once. */
  #needsReset(): void {
    if ((this.#status & VIRTIO_STATUS.needsReset) !== 0) return
    this.#status |= VIRTIO_STATUS.needsReset
    if ((this.#status & VIRTIO_STATUS.driverOk) !== 0) this.#interrupt(ISR.configuration, this.#configVector)
  }

  // Registers

  readRegister(bar: number, offset: number): number {
    if (bar !== STRUCTURE_BAR) return 0
    if (offset >= AREA.notify) return 0
    if (offset >= AREA.device) return this.#model.readConfiguration(offset - AREA.device)
    if (offset >= AREA.isr) return this.#readIsr(offset)
    return this.#readCommon(offset)
  }

  /** Reading clears it. */
  #readIsr(offset: number): number {
    if (offset !== AREA.isr) return 0
    const isr = this.#isr
    this.#isr = 0
    return isr
  }

  #readCommon(offset: number): number {
    const queue = this.#registers[this.#queueSelect]
    switch (offset) {
      case COMMON.deviceFeatureSelect:
        return this.#deviceSelect
      case COMMON.deviceFeature:
        return this.#offered[this.#deviceSelect] ?? 0
      case COMMON.driverFeatureSelect:
        return this.#driverSelect
      case COMMON.driverFeature:
        return this.#accepted[this.#driverSelect] ?? 0
      case COMMON.configVector:
        return this.#configVector | (this.#registers.length << 16)
      case COMMON.status:
        return this.#status | (this.#generation << 8) | (this.#queueSelect << 16)
      default:
        return offset >= COMMON.queueSize ? (queue?.read(offset, this.#queueSelect) ?? 0) : 0
    }
  }

  *writeRegister(bar: number, offset: number, value: number, lanes: number): Software {
    if (bar !== STRUCTURE_BAR) return
    if (offset >= AREA.notify) return yield* this.#notify((offset - AREA.notify) / NOTIFY_MULTIPLIER)
    if (offset >= AREA.device) {
      this.#model.writeConfiguration?.(offset - AREA.device, value, lanes)
      return
    }
    if (offset >= AREA.isr) return
    this.#writeCommon(offset, value >>> 0, lanes)
  }

  *#notify(number: number): Software {
    this.notifications++
    const queue = this.#queues[number]
    if (queue === undefined || (this.#status & VIRTIO_STATUS.needsReset) !== 0) return
    yield* this.#model.notified(number)
    if (queue.broken !== undefined) this.#needsReset()
  }

  #writeCommon(offset: number, value: number, lanes: number): void {
    switch (offset) {
      case COMMON.deviceFeatureSelect:
        this.#deviceSelect = value
        return
      case COMMON.driverFeatureSelect:
        this.#driverSelect = value
        return
      case COMMON.driverFeature:
        // Features are settled by FEATURES_OK.
        if (this.#driverSelect < 2 && (this.#status & VIRTIO_STATUS.featuresOk) === 0) {
          this.#accepted[this.#driverSelect] = value
        }
        return
      case COMMON.configVector:
        if ((lanes & 0xffff) !== 0) this.#configVector = this.#vector(value & 0xffff)
        return
      case COMMON.status:
        if ((lanes & 0xffff_0000) !== 0) this.#queueSelect = value >>> 16
        if ((lanes & 0xff) !== 0) this.#writeStatus(value & 0xff)
        return
      default:
        if (offset >= COMMON.queueSize && offset < COMMON.size) this.#writeQueue(offset, value, lanes)
    }
  }

  /** A vector that there is not reads back as none: that is how the driver learns. */
  #vector(vector: number): number {
    return vector < this.messages.count ? vector : NO_VECTOR
  }

  #writeQueue(offset: number, value: number, lanes: number): void {
    const queue = this.#registers[this.#queueSelect]
    if (queue === undefined) return
    if (offset === COMMON.queueSize && (lanes & 0xffff_0000) !== 0) queue.vector = this.#vector(value >>> 16)
    queue.write(offset, value, lanes, this.hasFeature(VIRTIO_FEATURE.ringPacked))
    // A queue may be enabled when the driver is ready already.
    if ((this.#status & VIRTIO_STATUS.driverOk) !== 0 && this.#queues[this.#queueSelect] === undefined) {
      this.#start()
    }
  }

  #writeStatus(value: number): void {
    if (value === 0) {
      this.#reset()
      return
    }
    const before = this.#status
    let next = (before | value) & ~VIRTIO_STATUS.needsReset
    if ((next & VIRTIO_STATUS.featuresOk) !== 0 && !this.#acceptable()) next &= ~VIRTIO_STATUS.featuresOk
    // "Driver Requirements: Device Initialization": no DRIVER_OK before FEATURES_OK.
    if ((next & VIRTIO_STATUS.featuresOk) === 0) next &= ~VIRTIO_STATUS.driverOk
    this.#status = next | (before & VIRTIO_STATUS.needsReset)
    if ((next & VIRTIO_STATUS.driverOk) !== 0 && (before & VIRTIO_STATUS.driverOk) === 0) this.#start()
  }

  /** Nothing that was not offered, VERSION_1, and ACCESS_PLATFORM where it was offered. */
  #acceptable(): boolean {
    const [low, high] = this.#accepted
    const subset = (low & ~this.#offered[0]) === 0 && (high & ~this.#offered[1]) === 0
    const platform = !this.#accessPlatform || this.hasFeature(VIRTIO_FEATURE.accessPlatform)
    return subset && this.hasFeature(VIRTIO_FEATURE.version1) && platform
  }

  #start(): void {
    const packed = this.hasFeature(VIRTIO_FEATURE.ringPacked)
    this.#queues = this.#registers.map((registers, number) => {
      const running = this.#queues[number]
      if (running !== undefined || !registers.enabled) return running
      if (!registers.isAligned(packed)) {
        this.#needsReset()
        return undefined
      }
      const queue = this.#makeQueue(registers)
      // Before the model begins, which may want none: what was made available before, the driver need not notify of.
      queue.notifications(true)
      return queue
    })
    this.#model.start(this)
  }

  /** What is enabled stays where it is, with the features that were settled. */
  #makeQueue(registers: QueueRegisters): DeviceQueue {
    const areas = registers.areas(
      this.hasFeature(VIRTIO_FEATURE.eventIndex),
      this.hasFeature(VIRTIO_FEATURE.indirectDescriptors),
    )
    return this.hasFeature(VIRTIO_FEATURE.ringPacked)
      ? new PackedQueue(areas, this.#port!)
      : new SplitQueue(areas, this.#port!)
  }

  #reset(): void {
    this.#status = 0
    this.#isr = 0
    this.#accepted = [0, 0]
    this.#deviceSelect = 0
    this.#driverSelect = 0
    this.#configVector = NO_VECTOR
    this.#queueSelect = 0
    this.#queues = []
    for (const queue of this.#registers) queue.reset()
    this.#model.reset()
  }

  save(): SavedVirtioDevice {
    return {
      version: 1,
      status: this.#status,
      isr: this.#isr,
      generation: this.#generation,
      accepted: [...this.#accepted],
      selects: [this.#deviceSelect, this.#driverSelect, this.#queueSelect],
      configVector: this.#configVector,
      registers: this.#registers.map(registers => registers.save()),
      queues: this.#queues.map(queue => queue?.save() ?? null),
      counters: [this.notifications, this.interrupts],
      model: this.#model.save(),
    }
  }

  load(saved: Saved): void {
    const state = opened<SavedVirtioDevice>(saved, 'a virtio device', 1)
    this.#status = state.status
    this.#isr = state.isr
    this.#generation = state.generation
    this.#accepted = [...state.accepted]
    ;[this.#deviceSelect, this.#driverSelect, this.#queueSelect] = state.selects
    this.#configVector = state.configVector
    for (const [number, registers] of this.#registers.entries()) registers.load(state.registers[number]!)
    this.#queues = state.queues.map((queue, number) => {
      if (queue === null) return undefined
      const running = this.#makeQueue(this.#registers[number]!)
      running.load(queue)
      return running
    })
    ;[this.notifications, this.interrupts] = state.counters
    this.#model.load(state.model, this.#queues.length > 0 ? this : undefined)
  }
}
