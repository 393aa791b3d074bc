/**
 * A processor's accesses to memory by physical address: through EPT in a guest that has it, and then to the xAPIC page,
 * RAM or registers. An access that crosses pages is translated whole before any of it happens.
 */
import { pageOf } from '../core/index.ts'
import type { Core } from './core.ts'
import { eptFlags, eptRoot } from './ept-pointer.ts'
import { ACCESS } from './extended-page-tables.ts'
import { SECONDARY } from './formats/controls.ts'
import { slot } from './vmcs-layout.ts'

const EPT_POINTER = slot('eptPointer')
const LAST_OFFSET = 0xfff

export class MemoryAccess {
  readonly #core: Core
  /** Host pages of the access in progress; the second only if it crosses pages. */
  readonly #pages = new Float64Array(2)
  /** What was read, or is to be written: low and high word. */
  readonly value = new Uint32Array(2)
  /** After a failed access: the guest address that EPT refused. */
  faultAddress = 0

  constructor(core: Core) {
    this.#core = core
  }

  /** Reads `width` bytes into {@link value}. False: EPT refused, and `core.ept` says how. */
  read(address: number, width: number): boolean {
    if (!this.#translate(address, width, ACCESS.read)) return false
    const offset = address & LAST_OFFSET
    const page = this.#pages[0]!
    if (offset + width <= LAST_OFFSET + 1 && page !== this.#core.apic.page) {
      const ram = this.#core.memory.page(page)
      if (ram !== undefined && width >= 4 && (offset & 3) === 0) {
        this.value[0] = ram.words[offset >>> 2]!
        this.value[1] = width === 8 ? ram.words[(offset >>> 2) + 1]! : 0
        return true
      }
    }
    this.#readPieces(offset, width)
    return true
  }

  /** Writes `width` bytes of {@link value}. */
  write(address: number, width: number): boolean {
    if (!this.#translate(address, width, ACCESS.write)) return false
    const offset = address & LAST_OFFSET
    const page = this.#pages[0]!
    if (offset + width <= LAST_OFFSET + 1 && page !== this.#core.apic.page) {
      const ram = width >= 4 && (offset & 3) === 0 ? this.#core.memory.pageForWrite(page) : undefined
      if (ram !== undefined) {
        ram.words[offset >>> 2] = this.value[0]!
        if (width === 8) ram.words[(offset >>> 2) + 1] = this.value[1]!
        return true
      }
    }
    this.#writePieces(offset, width)
    return true
  }

  /** An instruction fetch: only the right to do so matters. */
  fetch(address: number): boolean {
    return this.#translate(address, 1, ACCESS.fetch)
  }

  #translate(address: number, width: number, access: number): boolean {
    const core = this.#core
    const page = pageOf(address)
    const crosses = (address & LAST_OFFSET) + width > LAST_OFFSET + 1
    const pages = this.#pages
    pages[0] = page
    pages[1] = page + 1
    if (!core.nonRoot || (core.secondaryControls & SECONDARY.enableEpt) === 0) return true
    const low = core.vmcs[EPT_POINTER]!
    const root = eptRoot(low, core.vmcs[EPT_POINTER + 1]!)
    const flags = eptFlags(low)
    const first = core.ept.translate(root, flags, page, access)
    const second = crosses && first >= 0 ? core.ept.translate(root, flags, page + 1, access) : 0
    if (first >= 0 && second >= 0) {
      pages[0] = first
      pages[1] = second
      return true
    }
    this.faultAddress = first < 0 ? address : (page + 1) * (LAST_OFFSET + 1)
    return false
  }

  /** Byte by byte, touching each dword once: for registers, odd alignments and accesses that cross pages. */
  #readPieces(offset: number, width: number): void {
    const { value } = this
    value[0] = 0
    value[1] = 0
    let dword = 0
    for (let i = 0; i < width; i++) {
      const at = offset + i
      if (i === 0 || (at & 3) === 0) dword = this.#readDword(at & ~3)
      const byte = (dword >>> ((at & 3) * 8)) & 0xff
      value[i >>> 2]! |= byte << ((i & 3) * 8)
    }
  }

  #writePieces(offset: number, width: number): void {
    const { value } = this
    let dword = 0
    let lanes = 0
    for (let i = 0; i < width; i++) {
      const at = offset + i
      const shift = (at & 3) * 8
      dword |= ((value[i >>> 2]! >>> ((i & 3) * 8)) & 0xff) << shift
      lanes |= 0xff << shift
      if ((at & 3) !== 3 && i !== width - 1) continue
      this.#writeDword(at & ~3, dword >>> 0, lanes >>> 0)
      dword = 0
      lanes = 0
    }
  }

  /** `at` counts from the start of the first page. */
  #readDword(at: number): number {
    const page = this.#pages[at > LAST_OFFSET ? 1 : 0]!
    const within = at & LAST_OFFSET
    const { apic, map } = this.#core
    return page === apic.page ? apic.readDword(within) : map.readDword(page * (LAST_OFFSET + 1) + within)
  }

  #writeDword(at: number, value: number, lanes: number): void {
    const page = this.#pages[at > LAST_OFFSET ? 1 : 0]!
    const within = at & LAST_OFFSET
    const { apic, map } = this.#core
    if (page === apic.page) apic.writeDword(within, value, lanes)
    else map.writeDword(page * (LAST_OFFSET + 1) + within, value, lanes)
  }
}
