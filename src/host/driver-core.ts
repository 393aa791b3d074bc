/** Binding drivers to functions: what a driver's probe and remove do to the hardware and to the group's ownership. */
import { NorthbridgeError } from '../core/index.ts'
import type { Software, Trace } from '../engine/index.ts'
import { COMMAND_STATUS, HEADER } from '../pcie/formats/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { type DriverRow, driverFor, driverNamed } from './driver-table.ts'
import { FunctionInterrupts, type SavedFunctionInterrupts } from './function-interrupts.ts'
import { type HostInterrupts, VECTORS } from './interrupts.ts'
import type { Iommu } from './iommu/iommu.ts'
import type { KernelDma } from './kernel-dma.ts'
import { enableContainment } from './pci/containment.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import {
  enableRootErrors,
  type PortServiceRules,
  portMessages,
  servesContainment,
} from './pci/port-services.ts'

const { IOSE, MSE, BME } = COMMAND_STATUS.f
/** "Cache Line Size" counts dwords; lines have 64 bytes. */
const CACHE_LINE_DWORDS = 16

export interface DriverCoreOptions {
  readonly machine: MachinePort
  readonly interrupts: HostInterrupts
  readonly iommu: Iommu
  readonly dma: KernelDma
  readonly trace: Trace
  readonly missingDrivers: readonly string[]
  readonly overrides: Readonly<Record<string, string | null>>
  readonly portServices: PortServiceRules
  /** What a port's interrupt handler does, by message number. */
  readonly onPortInterrupt?: (port: HostPciFunction, message: number) => boolean
  /** Whether the hot-plug driver serves the slot of a port. */
  readonly servesHotplug: (port: HostPciFunction) => boolean
}

/** What the code of a function's driver does when the kernel calls it. */
export interface DriverCode {
  /** A message of the function has arrived. Runs in the interrupt handler. */
  interrupt(index: number): void
  /** Virtual functions were enabled or disabled: how many there are. */
  virtualFunctionsChanged?(count: number): Software
  /** The function was reset: its registers have forgotten everything. */
  wasReset?(): Software
  /** The driver is taken off the function, which may be gone. */
  remove?(): Software
}

type SavedArmed = readonly [address: string, interrupts: SavedFunctionInterrupts]

/** A driver at work for a function, told from the next one by being another object. */
export type Binding = object

export class DriverCore {
  readonly #options: DriverCoreOptions
  /** Interrupts of functions that a kernel driver is bound to. */
  readonly #armed = new Map<HostPciFunction, FunctionInterrupts>()
  /** The code of drivers that have any. */
  readonly #code = new Map<HostPciFunction, DriverCode>()
  /** So that a driver's code that outlives its binding is told from the next. */
  readonly #binding = new Map<HostPciFunction, Binding>()

  constructor(options: DriverCoreOptions) {
    this.#options = options
  }

  /** The driver that probing would find for a function; undefined if there is none. */
  candidate(fn: HostPciFunction): DriverRow | undefined {
    const { overrides, missingDrivers } = this.#options
    const override = overrides[fn.address]
    return override === undefined ? driverFor(fn, missingDrivers) : driverNamed(override)
  }

  /** Probes a function without driver: binds what fits, if anything. */
  *probe(fn: HostPciFunction): Software {
    const driver = this.candidate(fn)
    if (driver === undefined || fn.driver !== null) return
    if (driver.kernelDma && this.#options.iommu.stateOf(fn)?.user !== undefined) return
    yield* this.bind(fn, driver)
  }

  /** Throws `functionInUse` if the function has a driver, or if its group's DMA belongs to a virtual machine. */
  *bind(fn: HostPciFunction, driver: DriverRow): Software {
    const { iommu, trace } = this.#options
    const user = iommu.stateOf(fn)?.user
    if (fn.driver !== null) {
      throw new NorthbridgeError('functionInUse', `${fn.address} is bound to ${fn.driver}`, {
        errno: 'EBUSY',
      })
    }
    if (driver.kernelDma && user !== undefined) {
      throw new NorthbridgeError(
        'functionInUse',
        `${fn.address} cannot be bound to ${driver.name}: virtual machine "${user}" owns the DMA of its group`,
        { errno: 'EBUSY', vm: user },
      )
    }
    fn.driver = driver.name
    fn.owner = { kind: 'driver', name: driver.name }
    this.#binding.set(fn, {})
    if (fn.virtualization !== undefined) {
      fn.vfLimit = Math.min(fn.virtualization.totalVfs, driver.sriov?.limit ?? fn.virtualization.totalVfs)
    }
    trace.emit('host', `${fn.address}: bound to ${driver.name}`, {
      function: fn.address,
      driver: driver.name,
    })
    if (fn.bridge || driver.portsOnly === true) {
      this.enable(fn)
      if (driver.portsOnly === true) yield* this.#servePort(fn, driver)
      return
    }
    this.enable(fn)
    if (driver.kernelDma && driver.noBusMaster !== true) setBusMaster(fn, true)
    if (driver.wantsWriteInvalidate === true) fn.config.set(0, HEADER, HEADER.f.CLS, CACHE_LINE_DWORDS)
    if (driver.vectors > 0) yield* this.#arm(fn, driver)
  }

  /** Takes the driver off a function: its interrupts are freed, its DMA is stopped. */
  *unbind(fn: HostPciFunction): Software {
    const { driver } = fn
    if (driver === null) return
    yield* this.#code.get(fn)?.remove?.() ?? nothing()
    const armed = this.#armed.get(fn)
    this.#armed.delete(fn)
    this.#code.delete(fn)
    this.#binding.delete(fn)
    if (!fn.bridge) setBusMaster(fn, false)
    if (armed !== undefined) yield* armed.disable()
    yield* this.#options.dma.release(fn)
    fn.driver = null
    fn.owner = { kind: 'none' }
    if (fn.virtualization !== undefined) fn.vfLimit = fn.virtualization.totalVfs
    this.#options.trace.emit('host', `${fn.address}: unbound from ${driver}`, {
      function: fn.address,
      driver,
    })
  }

  /** Whether a driver got message-signalled interrupts. */
  hasMessages(fn: HostPciFunction): boolean {
    return this.#armed.has(fn)
  }

  /** How many of them. */
  armedMessages(fn: HostPciFunction): number {
    return this.#armed.get(fn)?.armed ?? 0
  }

  /** Virtual functions of a function were enabled or disabled: its driver follows. */
  *virtualFunctionsChanged(fn: HostPciFunction): Software {
    yield* this.#code.get(fn)?.virtualFunctionsChanged?.(fn.virtuals.length) ?? nothing()
  }

  /** The function's present binding; undefined without a driver. */
  bindingOf(fn: HostPciFunction): Binding | undefined {
    return this.#binding.get(fn)
  }

  /** Code serves a function until its driver is unbound. `undefined`: nobody does any more. */
  serve(fn: HostPciFunction, code: DriverCode | undefined): void {
    if (code === undefined) this.#code.delete(fn)
    else this.#code.set(fn, code)
  }

  /** Interrupt state of a bound function before a reset; puts it back afterwards. */
  *rearm(fn: HostPciFunction): Software {
    const driver = driverNamed(fn.driver)
    const armed = this.#armed.get(fn)
    if (driver === undefined) return
    this.#armed.delete(fn)
    if (armed !== undefined) yield* armed.forget()
    this.enable(fn)
    if (driver.portsOnly === true) return yield* this.#servePort(fn, driver)
    if (driver.kernelDma && !fn.bridge && driver.noBusMaster !== true) setBusMaster(fn, true)
    if (armed !== undefined) yield* this.#arm(fn, driver)
    yield* this.#code.get(fn)?.wasReset?.() ?? nothing()
  }

  /** Lets a function decode its addresses, and every bridge above pass requests in both directions. */
  enable(fn: HostPciFunction): void {
    for (let bridge = fn.bridge ? fn : fn.above; bridge !== undefined; bridge = bridge.above) {
      setCommand(bridge, IOSE.mask | MSE.mask | BME.mask, 0)
    }
    // "VF configuration space": a VF decodes by VF MSE of its PF.
    if (fn.bridge || fn.physical !== undefined) return
    const placed = fn.bars.filter(({ address }) => address !== 0)
    const io = placed.some(({ kind }) => kind === 'io') ? IOSE.mask : 0
    setCommand(fn, io | (placed.some(({ kind }) => kind !== 'io') ? MSE.mask : 0), 0)
  }

  /** Interrupts of a function, remapped by the unit that covers it; undefined if the kernel gives it none. */
  interruptsOf(fn: HostPciFunction): FunctionInterrupts | undefined {
    const { machine, interrupts, iommu } = this.#options
    const unit = iommu.interruptUnitOf(fn)
    if (unit === undefined && iommu.remapsInterrupts) return undefined
    return new FunctionInterrupts(machine, interrupts, fn, unit?.interrupts)
  }

  save(): readonly SavedArmed[] {
    return [...this.#armed]
      .map(([fn, interrupts]): SavedArmed => [fn.address, interrupts.save()])
      .sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Code of drivers says again whom it serves when it is restored. @param functions all of the machine */
  load(saved: readonly SavedArmed[], functions: ReadonlyMap<string, HostPciFunction>): void {
    for (const fn of functions.values()) if (fn.driver !== null) this.#binding.set(fn, {})
    for (const [address, state] of saved) {
      const fn = functions.get(address)!
      const interrupts = this.interruptsOf(fn)!
      interrupts.load(state, this.#handlerOf(fn, driverNamed(fn.driver)!))
      this.#armed.set(fn, interrupts)
    }
  }

  #handlerOf(fn: HostPciFunction, { portsOnly }: DriverRow): (index: number) => unknown {
    return portsOnly === true
      ? index => this.#options.onPortInterrupt?.(fn, index)
      : index => this.#code.get(fn)?.interrupt(index)
  }

  /** The port driver: interrupts for what a port tells of, and error reporting. */
  *#servePort(fn: HostPciFunction, driver: DriverRow): Software {
    const { portServices, servesHotplug } = this.#options
    if (!fn.bridge) setBusMaster(fn, true)
    const wanted = portMessages(fn, portServices, servesHotplug(fn))
    if (wanted > 0) yield* this.#armWith(fn, driver, wanted)
    if (portServices.errorReporting === false) return
    enableRootErrors(fn)
    if (servesContainment(fn, portServices)) enableContainment(fn)
  }

  *#arm(fn: HostPciFunction, driver: DriverRow): Software {
    // One for each processor's queue and one for everything else.
    const wanted = Math.min(driver.vectors, this.#options.machine.processors.length + 1)
    yield* this.#armWith(fn, driver, wanted)
  }

  *#armWith(fn: HostPciFunction, driver: DriverRow, wanted: number): Software {
    const { interrupts: vectors } = this.#options
    const interrupts = this.interruptsOf(fn)
    const count = Math.min(wanted, interrupts?.available ?? 0)
    if (interrupts === undefined || count === 0) return
    const processor = vectors.leastLoaded()
    // Half of the vectors are left to virtual machines: a driver falls back to INTx before a guest has to.
    if (vectors.free(processor) - count < VECTORS / 2) return
    try {
      yield* interrupts.enable(count, this.#handlerOf(fn, driver), processor)
      this.#armed.set(fn, interrupts)
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      // As on a real machine: the driver falls back to INTx.
      this.#options.trace.emit('host', `${fn.address}: ${driver.name} got no message-signalled interrupts`, {
        function: fn.address,
        reason: error.message,
      })
    }
  }
}

function* nothing(): Software {}

export const setBusMaster = (fn: HostPciFunction, on: boolean): void =>
  on ? setCommand(fn, BME.mask, 0) : setCommand(fn, 0, BME.mask)

/** Sets and clears bits of Command, leaving Status alone. */
export function setCommand(fn: HostPciFunction, set: number, clear: number): void {
  const command = fn.config.read(COMMAND_STATUS.offset) & 0xffff
  fn.config.write(COMMAND_STATUS.offset, (command & ~clear) | set, 0xffff)
}
