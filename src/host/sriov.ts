/** Enabling and disabling virtual functions: sysfs `sriov_numvfs` with Linux's rules and error numbers. */
import {
  busOf,
  devfnOf,
  formatFunctionAddress,
  NorthbridgeError,
  type RequesterId,
  requesterId,
} from '../core/index.ts'
import { type Engine, pause, type Software, sleep } from '../engine/index.ts'
import type { HostBridgeResources } from '../platform/formats/boot-parameters.ts'
import type { DriverCore } from './driver-core.ts'
import { type DriverRow, driverNamed } from './driver-table.ts'
import type { Iommu } from './iommu/iommu.ts'
import type { AccessControl } from './pci/access-control.ts'
import { findSpace } from './pci/address-space.ts'
import { isGone } from './pci/function-reset.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import type { PciScanner } from './pci/scan.ts'
import { judgeNumVfs } from './sriov-rules.ts'
import { VFIO_DRIVER } from './vfio/vf-token.ts'

export interface SriovOptions {
  readonly scanner: PciScanner
  readonly iommu: Iommu
  readonly drivers: DriverCore
  readonly engine: Engine
  readonly accessControl: AccessControl
  readonly autoprobe: boolean
  /** Whether vfio-pci configures SR-IOV. */
  readonly vfioSriov: boolean
  /** The host bridge above a function. */
  readonly rootOf: (fn: HostPciFunction) => HostBridgeResources
  /** Every function of the machine: VFs are added to it and taken from it. */
  readonly functions: Map<string, HostPciFunction>
}

/** Nanoseconds that the kernel waits after it has set VF Enable, and after it has cleared it. */
export const VF_ENABLE_TIME = 100_000_000
const VF_DISABLE_TIME = 1_000_000_000

export class SriovControl {
  readonly #options: SriovOptions

  constructor(options: SriovOptions) {
    this.#options = options
  }

  /** Throws `sriovUnsupported`, `sriovOutOfRange`, `sriovBusy`, `outOfResources`, `outOfMemory`, `invalidArgument`. */
  *setNumVfs(fn: HostPciFunction, count: number): Software {
    const { virtualization } = fn
    if (!Number.isInteger(count) || count < 0) {
      throw new NorthbridgeError('invalidArgument', `numVfs must be a whole number from 0, not ${count}`, {
        errno: 'EINVAL',
      })
    }
    if (virtualization === undefined) {
      throw new NorthbridgeError(
        'sriovUnsupported',
        `${fn.address} has no SR-IOV capability${fn.physical === undefined ? '' : `: it is a VF of ${fn.physical.address}`}`,
        { errno: 'ENOSYS' },
      )
    }
    // What the kernel enabled: a function that is gone reads as all ones.
    const numVfs = fn.virtuals.length
    const configurable = this.#sriovOf(fn) !== undefined
    const verdict = judgeNumVfs(count, { limit: fn.vfLimit, numVfs, configurable })
    if (verdict === 'ERANGE') {
      const by = fn.vfLimit < virtualization.totalVfs ? `driver ${fn.driver} allows` : 'TotalVFs is'
      throw new NorthbridgeError('sriovOutOfRange', `${fn.address}: ${by} ${fn.vfLimit}, not ${count}`, {
        errno: verdict,
        totalVfs: virtualization.totalVfs,
        driverLimit: fn.vfLimit,
      })
    }
    if (verdict === 'same') return
    this.#checkDriver(fn)
    if (verdict === 'disable') return yield* this.#disable(fn)
    if (verdict === 'EBUSY') {
      throw new NorthbridgeError(
        'sriovBusy',
        `${fn.address} has ${numVfs} VFs enabled: NumVFs can only change by way of 0`,
        { errno: verdict, numVfs },
      )
    }
    yield* this.#enable(fn, count)
  }

  /**
   * Gives VF BARs that firmware left out an address, as far as there is room: those with the largest alignment first,
   * which is the aperture of one VF.
   */
  *placeBars(functions: readonly HostPciFunction[]): Software {
    const unplaced = functions.flatMap(fn =>
      (fn.virtualization?.bars ?? [])
        .filter(({ address }) => address === 0)
        .map(bar => ({ fn, bar, size: bar.size * fn.virtualization!.totalVfs })),
    )
    unplaced.sort((a, b) => b.bar.size - a.bar.size || b.size - a.size)
    const onRootBuses = functions.filter(({ above }) => above === undefined)
    for (const { fn, bar, size } of unplaced) {
      const neighbours = fn.above === undefined ? onRootBuses : [fn.above, ...fn.above.below]
      const address = findSpace(fn, bar, size, this.#options.rootOf(fn), neighbours)
      if (address !== undefined) fn.virtualization!.place(bar, address)
      yield* pause()
    }
  }

  /** How the driver of a function serves VFs; undefined if it does not. */
  #sriovOf({ driver }: HostPciFunction): DriverRow['sriov'] {
    return driver === VFIO_DRIVER && this.#options.vfioSriov ? {} : driverNamed(driver)?.sriov
  }

  #checkDriver(fn: HostPciFunction): void {
    const driver = driverNamed(fn.driver)
    const sriov = this.#sriovOf(fn)
    if (driver === undefined || sriov === undefined) {
      throw new NorthbridgeError(
        'sriovUnsupported',
        driver === undefined
          ? `${fn.address} has no driver that could serve virtual functions`
          : `driver ${driver.name} of ${fn.address} does not configure SR-IOV${driver.name === VFIO_DRIVER ? ' (the kernel parameter vfio_pci.enable_sriov=1 lets it)' : ''}`,
        { errno: 'ENOENT' },
      )
    }
    if (sriov.needsMsix && !this.#options.drivers.hasMessages(fn)) {
      throw new NorthbridgeError(
        'sriovUnsupported',
        `driver ${driver.name} of ${fn.address} got no MSI-X vectors, without which it serves no virtual functions`,
        { errno: 'EPERM' },
      )
    }
  }

  *#enable(fn: HostPciFunction, count: number): Software {
    const virtualization = fn.virtualization!
    const { scanner, iommu, drivers, engine, accessControl, autoprobe, functions } = this.#options
    if (isGone(fn)) {
      throw new NorthbridgeError('sriovUnsupported', `${fn.address} does not answer`, { errno: 'EIO' })
    }
    if (virtualization.initialVfs !== virtualization.totalVfs) {
      throw new NorthbridgeError('sriovUnsupported', `${fn.address}: InitialVFs differs from TotalVFs`, {
        errno: 'EIO',
      })
    }
    const unplaced = virtualization.bars.find(({ address }) => address === 0)
    if (unplaced !== undefined) {
      throw new NorthbridgeError(
        'outOfResources',
        `${fn.address}: no address space was free for VF BAR ${unplaced.index}`,
        { errno: 'ENOMEM' },
      )
    }
    const rids = this.#routingIds(fn, count)
    this.#checkDependency(fn)
    iommu.checkRoom(fn, rids)
    virtualization.setNumVfs(count)
    virtualization.enable()
    // "VF Enable": no virtual function is accessed for 100 ms.
    yield* sleep(engine, VF_ENABLE_TIME)
    engine.trace.emit('sriov', `${fn.address}: ${count} virtual functions enabled`, {
      function: fn.address,
      numVfs: count,
    })
    for (const [index, rid] of rids.entries()) {
      const vf = scanner.open({
        segment: fn.segment,
        rid,
        above: fn.above,
        virtual: { physical: fn, index },
        numaNode: fn.numaNode,
      })
      accessControl.enable(vf)
      functions.set(vf.address, vf)
      fn.virtuals.push(vf)
      fn.above?.below.push(vf)
      yield* iommu.add(vf)
      // Whoever has the PF is no more to be trusted with the kernel than with its VFs: no other driver gets them.
      if (fn.driver === VFIO_DRIVER) yield* drivers.bind(vf, driverNamed(VFIO_DRIVER)!)
      else if (autoprobe) yield* drivers.probe(vf)
      yield* pause()
    }
    yield* drivers.virtualFunctionsChanged(fn)
  }

  /** Routing ids of the VFs, which depend on NumVFs: it is written to learn them, and put back. */
  #routingIds(fn: HostPciFunction, count: number): RequesterId[] {
    const virtualization = fn.virtualization!
    virtualization.setNumVfs(count)
    const { offset, stride } = virtualization
    virtualization.setNumVfs(0)
    if (offset === 0 || (count > 1 && stride === 0)) {
      throw new NorthbridgeError(
        'sriovUnsupported',
        `${fn.address}: First VF Offset ${offset} and VF Stride ${stride} give no address to ${count} VFs`,
        { errno: 'EIO' },
      )
    }
    const rids = Array.from({ length: count }, (_, n) => fn.rid + offset + n * stride)
    const lastBus = fn.above === undefined ? this.#options.rootOf(fn).lastBus : fn.above.subordinateBus
    const last = rids.at(-1)!
    if (last > 0xffff || last >>> 8 > lastBus) {
      throw new NorthbridgeError(
        'outOfResources',
        `${fn.address}: ${count} VFs need bus 0x${busOf(last as RequesterId).toString(16)}, but bus numbers end at 0x${lastBus.toString(16)} there`,
        { errno: 'ENOMEM' },
      )
    }
    return rids as RequesterId[]
  }

  /** "Function Dependency Link": a PF that depends on another one needs it to be there, and to be a PF. */
  #checkDependency(fn: HostPciFunction): void {
    const link = fn.virtualization!.dependencyLink
    // Integrated functions name the function of their own device.
    const devfn = fn.above === undefined ? (devfnOf(fn.rid) & ~7) | (link & 7) : link
    if (devfn === devfnOf(fn.rid)) return
    const address = formatFunctionAddress(fn.segment, requesterId(busOf(fn.rid), devfn))
    const other = this.#options.functions.get(address)
    if (other?.virtualization !== undefined) return
    throw new NorthbridgeError(
      'sriovUnsupported',
      `${fn.address} depends on ${address}, which ${other === undefined ? 'is not there' : 'is no physical function'}`,
      { errno: other === undefined ? 'ENODEV' : 'ENOSYS', function: address },
    )
  }

  *#disable(fn: HostPciFunction): Software {
    const { iommu, drivers, engine, functions } = this.#options
    const used = fn.virtuals.find(vf => vf.owner.kind === 'vm')
    if (used !== undefined) {
      const owner = used.owner as { readonly name: string }
      throw new NorthbridgeError(
        'sriovBusy',
        `${fn.address}: its VF ${used.address} is assigned to virtual machine "${owner.name}"`,
        { errno: 'EPERM', function: used.address, vm: owner.name },
      )
    }
    for (const vf of [...fn.virtuals].reverse()) {
      yield* drivers.unbind(vf)
      yield* iommu.remove(vf)
      functions.delete(vf.address)
      fn.virtuals.pop()
      fn.above?.below.splice(fn.above.below.indexOf(vf), 1)
    }
    fn.virtualization!.disable()
    // "VF Enable": what the virtual functions had under way may take a second to end.
    yield* sleep(engine, VF_DISABLE_TIME)
    engine.trace.emit('sriov', `${fn.address}: virtual functions disabled`, {
      function: fn.address,
      numVfs: 0,
    })
    yield* drivers.virtualFunctionsChanged(fn)
  }
}
