/** The SR-IOV capability of a PF through its registers ("SR-IOV Extended Capability"). */
import { BAR_COUNT, SRIOV } from '../../pcie/formats/index.ts'
import type { HostBar } from '../types.ts'
import { placeBar, sizeBars } from './bars.ts'
import type { ConfigSpace } from './config-space.ts'

const { VFE, MSE, ARI } = SRIOV.CONTROL.f
const { CONTROL, COUNTS, NUM_VFS, ROUTING, VF_DEVICE } = SRIOV
/** Bit 0 of Supported Page Sizes and System Page Size: 4 KiB, the page size of the processor. */
const PAGES_OF_4_KIB = 1

export type SavedSriov = {
  readonly initialVfs: number
  readonly totalVfs: number
  readonly vfDeviceId: number
  readonly bars: readonly { readonly [Key in keyof HostBar]: HostBar[Key] }[]
}

/** Registers that a reset of the PF loses. */
export type VirtualizationRegisters = {
  readonly registers: readonly (readonly [offset: number, value: number])[]
  readonly control: number
  readonly count: number
}

export class SriovCapability {
  readonly #config: ConfigSpace
  readonly #at: number
  readonly initialVfs: number
  readonly totalVfs: number
  readonly vfDeviceId: number
  /** Addresses are those of VF 0; sizes those of one VF's aperture. */
  #bars: readonly HostBar[]

  /**
   * Takes a capability over from firmware: VFs off, 4-KiB pages, VF BARs sized. With `saved` it goes on from what the
   * kernel knew, and touches no register.
   */
  constructor(config: ConfigSpace, at: number, saved?: SavedSriov) {
    this.#config = config
    this.#at = at
    if (saved !== undefined) {
      this.initialVfs = saved.initialVfs
      this.totalVfs = saved.totalVfs
      this.vfDeviceId = saved.vfDeviceId
      this.#bars = saved.bars.map(bar => ({ ...bar }))
      return
    }
    this.disable()
    if (config.read(at + SRIOV.SUPPORTED_PAGE_SIZES.offset) & PAGES_OF_4_KIB) {
      config.write(at + SRIOV.SYSTEM_PAGE_SIZE.offset, PAGES_OF_4_KIB)
    }
    this.initialVfs = config.get(at, COUNTS, COUNTS.f.INITIAL)
    this.totalVfs = config.get(at, COUNTS, COUNTS.f.TOTAL)
    this.vfDeviceId = config.get(at, VF_DEVICE, VF_DEVICE.f.ID)
    this.#bars = sizeBars(config, at + SRIOV.BARS, BAR_COUNT.type0)
  }

  save(): SavedSriov {
    return {
      initialVfs: this.initialVfs,
      totalVfs: this.totalVfs,
      vfDeviceId: this.vfDeviceId,
      bars: this.#bars.map(bar => ({ ...bar })),
    }
  }

  get bars(): readonly HostBar[] {
    return this.#bars
  }

  /** VFs that exist. */
  get numVfs(): number {
    if (!this.#config.get(this.#at, CONTROL, VFE)) return 0
    return this.#config.get(this.#at, NUM_VFS, NUM_VFS.f.NUM_VFS)
  }

  /** First VF Offset and VF Stride; they follow NumVFs and ARI Capable Hierarchy. */
  get offset(): number {
    return this.#config.get(this.#at, ROUTING, ROUTING.f.OFFSET)
  }

  get stride(): number {
    return this.#config.get(this.#at, ROUTING, ROUTING.f.STRIDE)
  }

  /** "Function Dependency Link". */
  get dependencyLink(): number {
    return this.#config.get(this.#at, NUM_VFS, NUM_VFS.f.DEPENDENCY)
  }

  /** Sets ARI Capable Hierarchy; writable in one PF of the device only, which stands for all. */
  setAriCapableHierarchy(): void {
    this.#config.set(this.#at, CONTROL, ARI, 1)
  }

  /** NumVFs, while VF Enable is clear. */
  setNumVfs(count: number): void {
    this.#config.set(this.#at, NUM_VFS, NUM_VFS.f.NUM_VFS, count)
  }

  enable(): void {
    this.#config.write(
      this.#at + CONTROL.offset,
      this.#config.read(this.#at + CONTROL.offset) | VFE.mask | MSE.mask,
      CONTROL_LANES,
    )
  }

  disable(): void {
    const control = this.#config.read(this.#at + CONTROL.offset)
    if (control & VFE.mask) {
      this.#config.write(this.#at + CONTROL.offset, control & ~(VFE.mask | MSE.mask), CONTROL_LANES)
    }
    this.setNumVfs(0)
  }

  /** Gives a VF BAR an address for the apertures of all VFs. */
  place(bar: HostBar, address: number): void {
    placeBar(this.#config, this.#at + SRIOV.BARS, bar, address)
    this.#bars = this.#bars.map(other => (other.index === bar.index ? { ...other, address } : other))
  }

  /** What a reset of the PF loses. */
  snapshot(): VirtualizationRegisters {
    const offsets = [SRIOV.SYSTEM_PAGE_SIZE.offset, ...BAR_OFFSETS]
    const registers = offsets.map(
      offset => [this.#at + offset, this.#config.read(this.#at + offset)] as const,
    )
    const control = this.#config.read(this.#at + CONTROL.offset)
    return { registers, control, count: this.numVfs }
  }

  /** Puts it back: VFs that were enabled appear again. */
  putBack({ registers, control, count }: VirtualizationRegisters): void {
    for (const [offset, value] of registers) this.#config.write(offset, value)
    this.#config.write(this.#at + CONTROL.offset, control & ARI.mask, CONTROL_LANES)
    this.setNumVfs(count)
    this.#config.write(this.#at + CONTROL.offset, control, CONTROL_LANES)
  }
}

/** SR-IOV Control without SR-IOV Status beside it. */
const CONTROL_LANES = 0xffff
const BAR_OFFSETS = Array.from({ length: BAR_COUNT.type0 }, (_, i) => SRIOV.BARS + 4 * i)
