/** What a device model is given besides its function, and how models are found by the name that a data sheet gives. */
import type { Trace } from '../engine/index.ts'
import type { FrameSink, NetworkPort } from '../net/index.ts'
import type { FunctionModel, PcieFunction } from '../pcie/index.ts'

/** What the board gives a device. */
export interface DeviceEnvironment {
  /** Place of the function, the same after each boot, like `0000:00:01.0/00.0`. */
  readonly name: string
  /** Virtual time, nanoseconds. */
  readonly clock: { readonly now: number }
  readonly trace: Trace
  /** Has {@link FunctionModel.timeIsUp} called after `delay` nanoseconds, unless the function is gone by then. */
  schedule(delay: number, argument: number): void
  /** The function's network port, if its model has one. */
  readonly port: NetworkPort | undefined
}

/** A model that has a network port: frames that arrive there come to it. */
export interface NetworkModel extends FunctionModel, FrameSink {}

export interface DeviceModelEntry {
  /** Bytes of registers behind BAR 0, which has to be memory of at least that size. */
  readonly registerBytes: number
  /** Functions of other makings than a data sheet's that are the same device. */
  readonly ids?: readonly (readonly [vendor: number, device: number])[]
  /** Fastest speed of its network port, Mb/s; without, it has none, and {@link make} returns no `NetworkModel`. */
  readonly portSpeed?: number
  make(fn: PcieFunction, environment: DeviceEnvironment): FunctionModel
}
