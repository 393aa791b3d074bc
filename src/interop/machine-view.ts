/**
 * A powered-on machine as its exporters look at it: configuration space, memory and what the kernel says of its
 * functions, no more than a program with root rights on the machine has.
 */
import { devfn, hex64, type RequesterId, requesterId } from '../core/index.ts'
import type { HostFunction, HostKernel } from '../host/index.ts'
import { usesKernelDma } from '../host/vfio/rules.ts'
import {
  CAPABILITY,
  CONVENTIONAL_CONFIG_SIZE,
  EXPRESS,
  EXPRESS_CONFIG_SIZE,
  EXTENDED_CAPABILITY,
  listCapabilities,
  MSI,
  MSI_X,
  MSI_X_ENTRY,
} from '../pcie/formats/index.ts'
import { type DeviceScope, decodeMcfg } from '../platform/formats/acpi/index.ts'
import type { Platform, Topology } from '../platform/index.ts'
import { CAP, ECAP, VER } from '../vtd/formats/index.ts'
import { readAcpiTables } from './acpi/tables.ts'
import { CapturedFunction } from './captured-function.ts'
import { readDetails } from './lspci/details.ts'

/** A platform that is on. A `SimulatedPlatform` is one. */
export interface ExportedMachine {
  readonly name: string
  readonly topology: Topology
  readonly hardware: Platform
  readonly host: HostKernel
}

/** ECAM: 4 KiB per function. */
const BYTES_PER_FUNCTION = 4096
const HOST_BRIDGE_CLASS = 0x0600
const NETWORK_CLASS = 0x02

export interface UnitView {
  readonly name: string
  readonly registerBase: number
  /** `0x…`, 16 digits. */
  readonly cap: string
  readonly ecap: string
  /** Major and minor, 4 bits each. */
  readonly version: number
  /** Domain-ids that it tells apart. */
  readonly domains: number
}

export class MachineView {
  readonly name: string
  readonly topology: Topology
  /** By address. */
  readonly functions: readonly HostFunction[]
  readonly host: HostKernel
  /** ACPI tables by signature. */
  readonly tables: ReadonlyMap<string, Uint8Array>
  readonly #hardware: Platform
  readonly #ecam: ReadonlyMap<number, number>
  readonly #images = new Map<string, Uint8Array>()

  constructor({ name, topology, hardware, host }: ExportedMachine) {
    this.name = name
    this.topology = topology
    this.host = host
    this.functions = host.functions()
    this.tables = readAcpiTables(hardware.port)
    this.#hardware = hardware
    const mcfg = this.tables.get('MCFG')
    this.#ecam = new Map(
      mcfg === undefined ? [] : decodeMcfg(mcfg).allocations.map(({ segment, base }) => [segment, base]),
    )
  }

  /** Names of the interfaces that network drivers made, by function address: numbered in the order of addresses. */
  get networkInterfaces(): ReadonlyMap<string, string> {
    const controllers = this.functions.filter(
      ({ classCode, driver }) => classCode >>> 16 === NETWORK_CLASS && usesKernelDma(driver),
    )
    return new Map(controllers.map(({ address }, i) => [address, `eth${i}`]))
  }

  /** The remapping units, as their registers say. */
  get units(): readonly UnitView[] {
    const { port } = this.#hardware
    const dword = (address: number): number => port.readDword(address) >>> 0
    return port.board.remapping.units.map(({ id, registerBase }) => ({
      name: id,
      registerBase,
      cap: hex64(dword(registerBase + CAP.offset), dword(registerBase + CAP.offset + 4)),
      ecap: hex64(dword(registerBase + ECAP.offset), dword(registerBase + ECAP.offset + 4)),
      version: dword(registerBase + VER.offset) & 0xff,
      // "ND: Number of domains supported": 4 bits of domain-id and two more for each step.
      domains: 2 ** (4 + 2 * (dword(registerBase + CAP.offset) & CAP.f.ND.mask)),
    }))
  }

  /** Where the path of a device scope leads: each step is taken on the bus behind the one before. */
  functionAt(segment: number, { startBus, path }: DeviceScope): HostFunction | undefined {
    let bus = startBus
    let found: HostFunction | undefined
    for (const { device, fn } of path) {
      const rid = requesterId(bus, devfn(device, fn))
      found = this.functions.find(one => one.segment === segment && one.rid === rid)
      if (found === undefined) return undefined
      bus = this.decoded(found).buses?.secondary ?? -1
    }
    return found
  }

  /** An aligned dword of configuration space. */
  dword({ segment, rid }: { readonly segment: number; readonly rid: RequesterId }, offset: number): number {
    const base = this.#ecam.get(segment)!
    return this.#hardware.port.readDword(base + rid * BYTES_PER_FUNCTION + offset) >>> 0
  }

  /** Configuration space as a kernel shows it: 4096 bytes if the extended part can be reached, else 256. */
  config(fn: HostFunction): Uint8Array {
    let image = this.#images.get(fn.address)
    if (image !== undefined) return image
    image = new Uint8Array(this.#configSize(fn))
    const view = new DataView(image.buffer)
    for (let offset = 0; offset < image.length; offset += 4)
      view.setUint32(offset, this.dword(fn, offset), true)
    this.#images.set(fn.address, image)
    return image
  }

  /** The same, decoded. */
  decoded(fn: HostFunction): CapturedFunction {
    const { address, segment, rid } = fn
    const listed = { address, segment, rid, title: '', config: this.config(fn), details: [] }
    return new CapturedFunction(listed, readDetails([]))
  }

  /** Whether the port above forwards by ARI function numbers, which Linux turns on where the device has ARI. */
  ariEnabled(fn: HostFunction): boolean {
    const physical = fn.physicalFunction === undefined ? fn : this.host.find(fn.physicalFunction)
    if (physical.parent === undefined) return false
    const port = this.decoded(this.host.find(physical.parent))
    const at = port.capability(CAPABILITY.EXPRESS)
    const has = this.decoded(physical).extendedCapability(EXTENDED_CAPABILITY.ARI) !== undefined
    return has && at !== undefined && port.field(EXPRESS.DEVICE_CONTROL_2, 'ARI_FORWARDING', at) === 1
  }

  /** Bytes that the expansion ROM decodes: a kernel finds out by writing to the register. */
  romSize({ segment, rid }: HostFunction): number {
    return this.#hardware.fabric.functionAt(segment, rid)?.definition.romSize ?? 0
  }

  /** Messages that a function may send now: enabled in MSI or MSI-X, and unmasked there. */
  messages(fn: HostFunction): { readonly kind: 'msi' | 'msix'; readonly count: number } | undefined {
    const decoded = this.decoded(fn)
    const msix = decoded.capability(CAPABILITY.MSI_X)
    if (msix !== undefined && decoded.field(MSI_X.CONTROL, 'ENABLE', msix)) {
      const bar = fn.bars.find(({ index }) => index === decoded.field(MSI_X.TABLE, 'BIR', msix))
      const table = (bar?.address ?? 0) + (decoded.dword(msix + MSI_X.TABLE.offset) & ~7)
      const entries = decoded.field(MSI_X.CONTROL, 'TABLE_SIZE', msix) + 1
      let count = 0
      for (let i = 0; i < entries; i++) {
        const control = this.#hardware.port.readDword(table + i * MSI_X_ENTRY.SIZE + MSI_X_ENTRY.CONTROL)
        if (!(control & MSI_X_ENTRY.MASKED)) count++
      }
      return { kind: 'msix', count }
    }
    const msi = decoded.capability(CAPABILITY.MSI)
    if (msi === undefined || !decoded.field(MSI.CONTROL, 'ENABLE', msi)) return undefined
    return { kind: 'msi', count: 1 << decoded.field(MSI.CONTROL, 'MME', msi) }
  }

  /** "PCI Express Extended Configuration Space": functions of PCI Express have it, and host bridges may. */
  #configSize(fn: HostFunction): number {
    const express =
      fn.classCode >>> 8 === HOST_BRIDGE_CLASS ||
      fn.kind === 'VF' ||
      listCapabilities(offset => this.dword(fn, offset), CONVENTIONAL_CONFIG_SIZE).some(
        ({ id }) => id === CAPABILITY.EXPRESS,
      )
    return express && this.dword(fn, CONVENTIONAL_CONFIG_SIZE) !== 0xffff_ffff
      ? EXPRESS_CONFIG_SIZE
      : CONVENTIONAL_CONFIG_SIZE
  }
}
