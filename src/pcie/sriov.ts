/**
 * "Single Root I/O Virtualization": the capability of a physical function. It makes and removes virtual functions, says
 * where they answer, and refuses the changes that are undefined while VF Enable is set.
 */
import { get, set } from '../core/index.ts'
import type { FunctionDefinition, SriovDefinition } from './definition.ts'
import { EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { SRIOV } from './formats/extended-capabilities.ts'
import { BAR } from './formats/header.ts'
import { CLAIM, type ClaimReceiver, type FunctionNode, type SriovNode } from './parts.ts'
import { ResizableBars } from './resizable-bars.ts'
import { virtualDefinition } from './virtual-definition.ts'

const { VFE, MSE, ARI } = SRIOV.CONTROL.f
const BARS_END = SRIOV.BARS + 24
/** "VF Enable": nanoseconds that virtual functions may take until they answer. */
const ENABLE_TIME = 100_000_000

export class Sriov<Member extends FunctionNode> implements SriovNode {
  readonly definition: SriovDefinition
  readonly #words: Uint32Array
  readonly #at: number
  readonly #resizable: ResizableBars | undefined
  readonly #owner: FunctionNode
  readonly #create: (index: number) => Member
  #functions: readonly Member[] = []
  #readyAt = 0

  /**
   * @param place offsets of the capability in `owner.words`, and of the one for resizable VF BARs, 0 for none.
   * @param create makes virtual function `index`, counted from 0.
   */
  constructor(
    owner: FunctionNode,
    place: { readonly capability: number; readonly resizable: number },
    definition: SriovDefinition,
    create: (index: number) => Member,
  ) {
    this.definition = definition
    this.#owner = owner
    this.#words = owner.words
    this.#at = place.capability >>> 2
    this.#create = create
    if (place.resizable > 0) {
      const bars = { capability: place.resizable, bars: place.capability + SRIOV.BARS }
      this.#resizable = new ResizableBars(this.#words, bars, definition.bars)
    }
  }

  /** That of a physical function. `make` makes virtual function `index` from what all of them are. */
  static of<Member extends FunctionNode>(
    owner: FunctionNode & { readonly definition: FunctionDefinition },
    make: (virtual: FunctionDefinition, index: number) => Member,
  ): Sriov<Member> | undefined {
    const { definition, layout } = owner
    const capability = layout.findExtended(EXTENDED_CAPABILITY.SRIOV)
    if (capability <= 0 || definition.sriov === undefined) return undefined
    const virtual = virtualDefinition(definition, definition.sriov)
    const place = { capability, resizable: layout.findExtended(EXTENDED_CAPABILITY.VF_RESIZABLE_BAR) }
    return new Sriov(owner, place, definition.sriov, index => make(virtual, index))
  }

  get functions(): readonly Member[] {
    return this.#functions
  }

  get enabled(): boolean {
    return (this.#read(SRIOV.CONTROL.offset) & VFE.mask) !== 0
  }

  get ariCapableHierarchy(): boolean {
    return (this.#read(SRIOV.CONTROL.offset) & ARI.mask) !== 0
  }

  /** Whether the time that virtual functions take to come up after VF Enable is over. */
  get functionsReady(): boolean {
    const { clock } = this.#owner.bus.host
    return clock === undefined || clock.now >= this.#readyAt
  }

  /** Virtual time from which on virtual functions answer; 0 while there are none. */
  get readyAt(): number {
    return this.#readyAt
  }

  /** Distance of virtual function `index` from the physical function's routing id. */
  routingOffset(index: number): number {
    const at = this.#at + (SRIOV.ROUTING.offset >>> 2)
    const { OFFSET, STRIDE } = SRIOV.ROUTING.f
    return get(OFFSET, this.#words, at) + index * get(STRIDE, this.#words, at)
  }

  /** The virtual function that answers to a routing id. */
  functionAt(rid: number): Member | undefined {
    if (this.#functions.length === 0) return undefined
    const distance = ((rid - this.#owner.rid) & 0xffff) - this.routingOffset(0)
    const stride = this.routingOffset(1) - this.routingOffset(0)
    const index = distance === 0 ? 0 : distance / stride
    return distance >= 0 && Number.isInteger(index) ? this.#functions[index] : undefined
  }

  /** Bytes of VF BAR `index` as each virtual function decodes it; 0 for one that there is not. */
  sizeOf(index: number): number {
    const resized = this.#resizable?.sizeOf(index)
    if (resized !== undefined) return resized
    for (const bar of this.definition.bars) if (bar.index === index) return bar.size
    return 0
  }

  aperture(index: number): number {
    return Math.max(this.sizeOf(index), (this.#read(SRIOV.SYSTEM_PAGE_SIZE.offset) >>> 0) * 4096)
  }

  /** The ranges that the VF BARs decode for all enabled virtual functions together. */
  claims(receive: ClaimReceiver): void {
    if (!(this.#read(SRIOV.CONTROL.offset) & MSE.mask)) return
    for (const { index } of this.definition.bars) {
      const base = this.barBase(index)
      receive(base, base + this.aperture(index) * this.#functions.length, CLAIM.virtualBar + index)
    }
  }

  /** Address of VF BAR `index`, i.e. of virtual function 0. */
  barBase(index: number): number {
    const offset = SRIOV.BARS + index * 4
    const low = this.#read(offset)
    const high = (low & BAR.MEMORY_64) !== 0 ? this.#read(offset + 4) : 0
    return high * 0x1_0000_0000 + ((low & BAR.MEMORY_ADDRESS) >>> 0)
  }

  /** Address of virtual function `index`'s share of a VF BAR. */
  shareOf(index: number, bar: number): number {
    return this.barBase(bar) + index * this.aperture(bar)
  }

  /** "VF Resizable BAR Control": sizes change while VF Enable is clear. `at` is the dword's index. */
  sizeWritten(at: number, before: number): void {
    this.#resizable?.written(at, before, this.enabled)
    this.#alignBars()
  }

  /** @param offset from the start of the capability. @param writable the writable bits that the access carries. */
  write(offset: number, value: number, writable: number): void {
    if (offset === SRIOV.CONTROL.offset) {
      this.#control(value, writable)
    } else if (!this.enabled) {
      if (offset === SRIOV.NUM_VFS.offset) this.#numVfs(value, writable)
      else if (offset === SRIOV.SYSTEM_PAGE_SIZE.offset) this.#pageSize(value, writable)
      else if (offset >= SRIOV.BARS && offset < BARS_END) {
        this.#store(offset, value, writable)
        this.#alignBars()
      }
    }
    this.#owner.bus.decodingChanged()
  }

  #control(value: number, writable: number): void {
    const was = this.enabled
    // "ARI Capable Hierarchy" exists in the lowest-numbered physical function and counts for all of the device.
    const siblings = this.#device()
    const mayChangeAri = siblings[0]?.sriov === this && !siblings.some(fn => fn.sriov!.enabled)
    this.#store(SRIOV.CONTROL.offset, value, mayChangeAri ? writable : writable & ~ARI.mask)
    if (mayChangeAri) for (const fn of siblings) fn.sriov!.updateRouting()
    if (this.enabled !== was) {
      const now = this.#owner.bus.host.clock?.now ?? 0
      this.restoreFunctions(now + (this.definition.enableTimeNs ?? ENABLE_TIME))
    }
  }

  /** Makes exactly the virtual functions that the registers say exist. @param readyAt when they begin to answer. */
  restoreFunctions(readyAt: number): void {
    this.removeFunctions()
    if (!this.enabled) return
    this.#readyAt = readyAt
    const count = this.#read(SRIOV.NUM_VFS.offset) & SRIOV.NUM_VFS.f.NUM_VFS.mask
    this.#functions = Array.from({ length: count }, (_, index) => this.#create(index))
  }

  removeFunctions(): void {
    for (const fn of this.#functions) fn.remove()
    this.#functions = []
    this.#readyAt = 0
  }

  /** First VF Offset and VF Stride follow the ARI bit of the device's lowest physical function. */
  updateRouting(): void {
    const { ari, nonAri } = this.definition
    const lowest = this.#device()[0]?.sriov ?? this
    const { offset, stride } = lowest.ariCapableHierarchy ? ari : nonAri
    const at = this.#at + (SRIOV.ROUTING.offset >>> 2)
    set(SRIOV.ROUTING.f.OFFSET, this.#words, offset, at)
    set(SRIOV.ROUTING.f.STRIDE, this.#words, stride, at)
  }

  /** Physical functions of the same device, in ascending order. On a link all functions are one device. */
  #device(): readonly FunctionNode[] {
    const { bus, devfn } = this.#owner
    const sameDevice = (fn: FunctionNode): boolean => bus.kind === 'link' || fn.devfn >>> 3 === devfn >>> 3
    return bus.functions.filter(fn => fn.sriov !== undefined && sameDevice(fn))
  }

  /** More functions than TotalVFs is undefined: the write is dropped. */
  #numVfs(value: number, writable: number): void {
    const total = this.#read(SRIOV.COUNTS.offset) >>> 16
    const count = (this.#read(SRIOV.NUM_VFS.offset) & ~writable) | (value & writable)
    if ((count & 0xffff) <= total) this.#store(SRIOV.NUM_VFS.offset, value, writable)
  }

  /** Anything but one supported size is undefined: the write is dropped. */
  #pageSize(value: number, writable: number): void {
    const { offset } = SRIOV.SYSTEM_PAGE_SIZE
    const size = (this.#read(offset) & ~writable) | (value & writable)
    const supported = this.#read(SRIOV.SUPPORTED_PAGE_SIZES.offset)
    if (size === 0 || (size & (size - 1)) !== 0 || (size & supported) === 0) return
    this.#store(offset, value, writable)
    this.#alignBars()
  }

  /** Address bits below the aperture read 0: that is how software sizes a VF BAR. */
  #alignBars(): void {
    for (const { index } of this.definition.bars) {
      const at = this.#at + ((SRIOV.BARS + index * 4) >>> 2)
      const aperture = this.aperture(index)
      const below = BAR.MEMORY_ADDRESS & (aperture >= 0x1_0000_0000 ? -1 : aperture - 1)
      this.#words[at]! &= ~below
      if (aperture >= 0x1_0000_0000) this.#words[at + 1]! &= -(aperture / 0x1_0000_0000)
    }
  }

  #store(offset: number, value: number, writable: number): void {
    const at = this.#at + (offset >>> 2)
    this.#words[at] = (this.#words[at]! & ~writable) | (value & writable)
  }

  #read(offset: number): number {
    return this.#words[this.#at + (offset >>> 2)]!
  }
}
