/** A function of a dump, decoded: what its config space says about kind, place, base addresses and VFs. */
import { busOf, get, type Register } from '../core/index.ts'
import {
  BAR,
  BAR_COUNT,
  BUS_NUMBERS,
  barOffset,
  CAPABILITY,
  type CapabilityEntry,
  CLASS,
  EXPRESS,
  EXTENDED_CAPABILITY,
  findCapability,
  findExtendedCapability,
  HEADER,
  ID,
  IO_UPPER,
  IO_WINDOW,
  listCapabilities,
  MEMORY_WINDOW,
  PORT_TYPE,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
  ROM,
  ROM_OFFSET,
  SRIOV,
} from '../pcie/formats/index.ts'
import type { FunctionKind } from '../pcie/index.ts'
import type { ListedDetails } from './lspci/details.ts'
import type { ListedFunction } from './lspci/dump.ts'

/** A base address register as it was found: its size is not in config space. */
export interface CapturedBar {
  readonly index: number
  readonly kind: 'memory32' | 'memory64' | 'io'
  readonly prefetchable: boolean
  /** 0 if it had none. */
  readonly address: number
}

export interface CapturedSriov {
  readonly offset: number
  readonly enabled: boolean
  readonly totalVfs: number
  readonly numVfs: number
  readonly firstVfOffset: number
  readonly vfStride: number
  readonly vfDeviceId: number
  readonly bars: readonly CapturedBar[]
}

export interface Window {
  /** First and last byte. */
  readonly base: number
  readonly limit: number
}

/** No function answers with this Vendor ID, except VFs, which have none of their own. */
const NO_VENDOR = 0xffff
const HOST_BRIDGE_CLASS = 0x0600

export class CapturedFunction {
  readonly listed: ListedFunction
  readonly details: ListedDetails
  /** 256 or 4096 bytes. */
  readonly image: Uint8Array
  readonly capabilities: readonly CapabilityEntry[]
  readonly #words: Uint32Array

  constructor(listed: ListedFunction, details: ListedDetails) {
    this.listed = listed
    this.details = details
    this.image = new Uint8Array(listed.config.length > 256 ? 4096 : 256)
    this.image.set(listed.config)
    const view = new DataView(this.image.buffer)
    this.#words = Uint32Array.from({ length: this.image.length / 4 }, (_, i) => view.getUint32(4 * i, true))
    this.capabilities = listCapabilities(offset => this.dword(offset), this.image.length)
  }

  get address(): string {
    return this.listed.address
  }

  get bus(): number {
    return busOf(this.listed.rid)
  }

  /** `segment/bus`, to tell buses of different segments apart. */
  get busKey(): string {
    return `${this.listed.segment}/${this.bus}`
  }

  dword(offset: number): number {
    return this.#words[offset >>> 2] ?? 0
  }

  field<R extends Register, F extends keyof R['f'] & string>(register: R, name: F, base = 0): number {
    const f = register.f[name]!
    return get(f, this.#words, (base >>> 2) + register.at)
  }

  get vendorId(): number {
    return this.field(ID, 'VENDOR')
  }

  get deviceId(): number {
    return this.field(ID, 'DEVICE')
  }

  get isVirtual(): boolean {
    return this.vendorId === NO_VENDOR
  }

  get headerType(): number {
    return this.field(HEADER, 'LAYOUT')
  }

  /** Base class and sub-class. */
  get classCode(): number {
    return this.field(CLASS, 'CODE') >>> 8
  }

  capability(id: number): number | undefined {
    return findCapability(this.capabilities, id)
  }

  extendedCapability(id: number): number | undefined {
    return findExtendedCapability(this.capabilities, id)
  }

  get kind(): FunctionKind {
    if (this.headerType === 0) return this.classCode === HOST_BRIDGE_CLASS ? 'hostBridge' : 'endpoint'
    const express = this.capability(CAPABILITY.EXPRESS)
    switch (express === undefined ? undefined : this.field(EXPRESS.CAPABILITIES, 'TYPE', express)) {
      case PORT_TYPE.rootPort:
        return 'rootPort'
      case PORT_TYPE.upstreamPort:
        return 'upstreamPort'
      case PORT_TYPE.downstreamPort:
        return 'downstreamPort'
      default:
        return 'bridge'
    }
  }

  /** Bus numbers of a bridge; undefined for other functions, and for a bridge that has none. */
  get buses(): { readonly secondary: number; readonly subordinate: number } | undefined {
    if (this.headerType !== 1) return undefined
    const secondary = this.field(BUS_NUMBERS, 'SECONDARY')
    const subordinate = this.field(BUS_NUMBERS, 'SUBORDINATE')
    return secondary > this.bus && subordinate >= secondary ? { secondary, subordinate } : undefined
  }

  get bars(): CapturedBar[] {
    return this.#bars(barOffset(0), this.headerType === 1 ? BAR_COUNT.type1 : BAR_COUNT.type0)
  }

  /** Where the expansion ROM was; 0 if nowhere. */
  get romAddress(): number {
    return (this.dword(this.headerType === 1 ? ROM_OFFSET.type1 : ROM_OFFSET.type0) & ROM.ADDRESS) >>> 0
  }

  /** Registers that hold type bits or an address; of the others only lspci's details know. */
  #bars(first: number, count: number): CapturedBar[] {
    const bars: CapturedBar[] = []
    for (let index = 0; index < count; index++) {
      const low = this.dword(first + 4 * index)
      if (low === 0 || low === 0xffff_ffff) continue
      if (low & BAR.IO) {
        bars.push({ index, kind: 'io', prefetchable: false, address: (low & BAR.IO_ADDRESS) >>> 0 })
        continue
      }
      const is64 = (low & BAR.TYPE) === BAR.MEMORY_64 && index + 1 < count
      const high = is64 ? this.dword(first + 4 * index + 4) : 0
      bars.push({
        index,
        kind: is64 ? 'memory64' : 'memory32',
        prefetchable: (low & BAR.PREFETCHABLE) !== 0,
        address: ((low & BAR.MEMORY_ADDRESS) >>> 0) + high * 2 ** 32,
      })
      if (is64) index++
    }
    return bars
  }

  get sriov(): CapturedSriov | undefined {
    const offset = this.extendedCapability(EXTENDED_CAPABILITY.SRIOV)
    if (offset === undefined || offset + SRIOV.SIZE > this.image.length || this.headerType !== 0)
      return undefined
    return {
      offset,
      enabled: this.field(SRIOV.CONTROL, 'VFE', offset) === 1,
      totalVfs: this.field(SRIOV.COUNTS, 'TOTAL', offset),
      numVfs: this.field(SRIOV.NUM_VFS, 'NUM_VFS', offset),
      firstVfOffset: this.field(SRIOV.ROUTING, 'OFFSET', offset),
      vfStride: this.field(SRIOV.ROUTING, 'STRIDE', offset),
      vfDeviceId: this.field(SRIOV.VF_DEVICE, 'ID', offset),
      bars: this.#bars(offset + SRIOV.BARS, BAR_COUNT.type0),
    }
  }

  /** Windows of a bridge that were open. */
  get windows(): { readonly io?: Window; readonly memory?: Window; readonly prefetchable?: Window } {
    const io = this.#window(
      this.field(IO_WINDOW, 'BASE') * 0x1000 + this.#ioUpper('BASE'),
      this.field(IO_WINDOW, 'LIMIT') * 0x1000 + 0xfff + this.#ioUpper('LIMIT'),
    )
    const memory = this.#window(
      this.field(MEMORY_WINDOW, 'BASE') * 2 ** 20,
      this.field(MEMORY_WINDOW, 'LIMIT') * 2 ** 20 + 0xf_ffff,
    )
    const wide = this.field(PREFETCHABLE_WINDOW, 'BASE_WIDTH') === 1 ? 2 ** 32 : 0
    const prefetchable = this.#window(
      this.field(PREFETCHABLE_WINDOW, 'BASE') * 2 ** 20 + wide * this.field(PREFETCHABLE_BASE_UPPER, 'BASE'),
      this.field(PREFETCHABLE_WINDOW, 'LIMIT') * 2 ** 20 +
        0xf_ffff +
        wide * this.field(PREFETCHABLE_LIMIT_UPPER, 'LIMIT'),
    )
    return { ...(io && { io }), ...(memory && { memory }), ...(prefetchable && { prefetchable }) }
  }

  #ioUpper(name: 'BASE' | 'LIMIT'): number {
    return this.field(IO_WINDOW, 'BASE_WIDTH') === 1 ? this.field(IO_UPPER, name) * 0x1_0000 : 0
  }

  /** A base above the limit closes a window; at address 0 no firmware opens one. */
  #window(base: number, limit: number): Window | undefined {
    return base > 0 && base <= limit && limit < 2 ** 52 ? { base, limit } : undefined
  }
}
