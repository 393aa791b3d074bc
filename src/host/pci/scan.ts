/** Finds every function by configuration reads, in Linux's order: a whole bus, then the buses below its bridges. */
import { devfn as devfnFrom, type RequesterId, requesterId } from '../../core/index.ts'
import { pause, type Software } from '../../engine/index.ts'
import { CAPABILITY, EXPRESS, ID, PORT_TYPE } from '../../pcie/formats/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { ConfigSpace } from './config-space.ts'
import { type FunctionPlace, HostPciFunction, type SavedFunction } from './pci-function.ts'

/** ECAM: 1 MiB per bus, 4 KiB per function. */
const BYTES_PER_FUNCTION = 4096

/** A configuration window (MCFG) and a root bus in it. */
export interface RootBus {
  readonly segment: number
  readonly bus: number
  readonly numaNode: number
}

export interface ScanChoices {
  /** Whether ARI is used where port and device have it. */
  readonly ari: boolean
  /** Whether devices above 0 are looked for behind a link. */
  readonly scanAllDevices: boolean
}

export class PciScanner {
  readonly #machine: MachinePort
  readonly #ecam: ReadonlyMap<number, number>
  readonly #choices: ScanChoices

  /** @param ecam address that bus 0 has, by segment. */
  constructor(machine: MachinePort, ecam: ReadonlyMap<number, number>, choices: ScanChoices) {
    this.#machine = machine
    this.#ecam = ecam
    this.#choices = choices
  }

  /** Every function below a root bus, in the order of discovery. */
  *scan(root: RootBus): Software<HostPciFunction[]> {
    const found: HostPciFunction[] = []
    yield* this.#scanBus(root, root.bus, undefined, found)
    return found
  }

  /** What has come up below a port, in the order of discovery. */
  *scanBelow(port: HostPciFunction): Software<HostPciFunction[]> {
    const found: HostPciFunction[] = []
    const { segment, secondaryBus, numaNode } = port
    yield* this.#scanBus({ segment, bus: secondaryBus, numaNode }, secondaryBus, port, found)
    return found
  }

  /** The function at a place, whatever it reads. */
  open(place: FunctionPlace): HostPciFunction {
    return new HostPciFunction(this.#config(place.segment, place.rid), place)
  }

  /** A function as it was saved: no register of it is touched. */
  reopen(saved: SavedFunction, find: (address: string) => HostPciFunction): HostPciFunction {
    const { segment, rid, above, physical, numaNode } = saved
    const place: FunctionPlace = {
      segment,
      rid,
      above: above === null ? undefined : find(above),
      // Its number was of interest for its BARs alone.
      ...(physical !== null && { virtual: { physical: find(physical), index: 0 } }),
      numaNode,
    }
    return new HostPciFunction(this.#config(segment, rid), place, saved)
  }

  *#scanBus(
    root: RootBus,
    bus: number,
    above: HostPciFunction | undefined,
    found: HostPciFunction[],
  ): Software {
    const here: HostPciFunction[] = []
    // Below a link there is one device.
    const devices = above !== undefined && endsInLink(above) && !this.#choices.scanAllDevices ? 1 : 32
    for (let device = 0; device < devices; device++) here.push(...this.#scanDevice(root, bus, device, above))
    found.push(...here)
    above?.below.push(...here)
    yield* pause()
    for (const bridge of here) {
      const { secondaryBus } = bridge
      showRetryStatus(bridge)
      if (bridge.bridge && secondaryBus > bus) yield* this.#scanBus(root, secondaryBus, bridge, found)
    }
  }

  #scanDevice(
    root: RootBus,
    bus: number,
    device: number,
    above: HostPciFunction | undefined,
  ): HostPciFunction[] {
    const open = (devfn: number, furtherFunction = true): HostPciFunction | undefined => {
      const rid = requesterId(bus, devfn)
      if (!answers(this.#config(root.segment, rid))) return undefined
      return this.open({ segment: root.segment, rid, above, numaNode: root.numaNode, furtherFunction })
    }
    const first = open(devfnFrom(device, 0), false)
    if (first === undefined) return []
    const found = [first]
    if (device === 0 && above !== undefined && this.#choices.ari && enableAriForwarding(above, first)) {
      // "ARI Extended Capability": function numbers ascend along the chain.
      for (let next = first.nextAriFunction ?? 0, last = 0; next > last; ) {
        const fn = open(next)
        if (fn === undefined) break
        found.push(fn)
        last = next
        next = fn.nextAriFunction ?? 0
      }
      found.find(fn => fn.virtualization !== undefined)?.virtualization?.setAriCapableHierarchy()
    } else if (first.multifunction) {
      for (let fn = 1; fn < 8; fn++) {
        const other = open(devfnFrom(device, fn))
        if (other !== undefined) found.push(other)
      }
    }
    return found
  }

  #config(segment: number, rid: RequesterId): ConfigSpace {
    return new ConfigSpace(this.#machine, this.#ecam.get(segment)! + rid * BYTES_PER_FUNCTION)
  }
}

/** Vendor ID reads all ones, or 0 on some broken boards, where there is no function. */
function answers(config: ConfigSpace): boolean {
  const vendor = config.get(0, ID, ID.f.VENDOR)
  return vendor !== 0xffff && vendor !== 0
}

const endsInLink = (bridge: HostPciFunction): boolean =>
  bridge.expressType === PORT_TYPE.rootPort ||
  bridge.expressType === PORT_TYPE.downstreamPort ||
  bridge.expressType === PORT_TYPE.pciToPcieBridge

/** "RRS Software Visibility Enable": a root port that can shows who asks to be tried again, as Linux wants it. */
function showRetryStatus(port: HostPciFunction): void {
  const express = port.capability(CAPABILITY.EXPRESS)
  if (express === undefined || port.expressType !== PORT_TYPE.rootPort) return
  const { ROOT_CONTROL } = EXPRESS
  if (port.config.get(express, ROOT_CONTROL, ROOT_CONTROL.f.RRS_CAPABLE) === 1)
    port.config.set(express, ROOT_CONTROL, ROOT_CONTROL.f.RRS_VISIBLE, 1)
}

/** Turns ARI forwarding on in a port if it and function 0 below it can ("ARI Forwarding Enable"). */
function enableAriForwarding(port: HostPciFunction, first: HostPciFunction): boolean {
  const express = port.capability(CAPABILITY.EXPRESS)
  if (express === undefined || !endsInLink(port) || first.nextAriFunction === undefined) return false
  const { DEVICE_CAPABILITIES_2, DEVICE_CONTROL_2 } = EXPRESS
  if (!port.config.get(express, DEVICE_CAPABILITIES_2, DEVICE_CAPABILITIES_2.f.ARI_FORWARDING)) return false
  port.config.set(express, DEVICE_CONTROL_2, DEVICE_CONTROL_2.f.ARI_FORWARDING, 1)
  return true
}
