/** What a device type is to the transport in front of it, and the transport to the device type. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { DevicePort } from '../emulated-device.ts'
import type { DeviceQueue } from './device-queue.ts'

/** What a device of some type is behind the transport. */
export interface VirtioModel {
  readonly kind: string
  /** {@link VIRTIO_TYPE}. */
  readonly type: number
  /** Base class, subclass and programming interface. */
  readonly classCode: number
  /** Numbers of the feature bits of its type that it offers. */
  readonly features: readonly number[]
  /** Largest size of each queue. */
  readonly queueSizes: readonly number[]
  /** An aligned dword of the device configuration. */
  readConfiguration(offset: number): number
  writeConfiguration?(offset: number, value: number, lanes: number): void
  /** The driver is ready. `queues` by number; those that it did not enable are missing. */
  start(link: VirtioLink): void
  /** The driver has notified a queue that is there. */
  notified(queue: number): Software
  /** Everything that {@link start} gave is void. */
  reset(): void
  save(): Saved
  /**
   * Goes on from what {@link save} returned, touching nothing.
   *
   * @param link what {@link start} gave; undefined if the driver was not ready
   */
  load(saved: Saved, link: VirtioLink | undefined): void
}

/** What a started model has of its transport. */
export interface VirtioLink {
  readonly port: DevicePort
  readonly queues: readonly (DeviceQueue | undefined)[]
  hasFeature(bit: number): boolean
  /** Publishes what was given, with an interrupt if the driver wants one; a broken ring makes the device need a reset. */
  complete(queue: number): void
  /** The device configuration has changed. */
  configurationChanged(): void
}
