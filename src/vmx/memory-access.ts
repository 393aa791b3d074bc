/**
 * A processor's accesses to memory, by linear or by physical address: through its own paging, through EPT in a guest that
 * has it, and then to the APIC-access page, the xAPIC page, RAM or registers. An access that crosses pages is translated
 * whole before any of it happens.
 */
import { pageOf } from '../core/index.ts'
import { accessApicPage } from './apic-virtualization.ts'
import type { Core } from './core.ts'
import { eptRoot, eptWalk } from './ept-pointer.ts'
import { ACCESS } from './extended-page-tables.ts'
import { SECONDARY } from './formats/controls.ts'
import { EPTP } from './formats/ept.ts'
import { EPT_VIOLATION } from './formats/events.ts'
import { ACCESSOR, GuestPaging, PAGE_FAULTED, type TableAccess } from './guest-paging.ts'
import { MAPPING } from './linear-cache.ts'
import { isPdpteValid, PDPTE_WORDS } from './pdptes.ts'
import { FAILURE, type ProcessorMemory } from './processor-memory.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'

const EPT_POINTER = slot('eptPointer')
const APIC_ACCESS = slot('apicAccessAddress')
const LAST_OFFSET = 0xfff
const PAGE_BYTES = LAST_OFFSET + 1
/** No EPT tables in use: the tag of mappings that were made without them. */
const NO_ROOT = -1

/** "Exit Qualification for APIC-Access VM Exits": an access by guest-physical address, of a page walk. */
const GUEST_PHYSICAL_ACCESS = 15 << 12

const { linearAddressValid, finalTranslation } = EPT_VIOLATION
const { userLinearAddress, writableLinearAddress, executeDisabledLinearAddress } = EPT_VIOLATION
/** With paging off every linear address is one that user mode may read, write and execute. */
const UNPAGED = linearAddressValid | finalTranslation | userLinearAddress | writableLinearAddress
const UNPAGED_RIGHTS = MAPPING.user | MAPPING.write | MAPPING.execute

export class MemoryAccess implements ProcessorMemory, TableAccess {
  readonly #core: Core
  readonly paging: GuestPaging
  /** Host pages of the access in progress; the second only if it crosses pages. */
  readonly #pages = new Float64Array(2)
  /** What was read, or is to be written: low and high word. */
  readonly value = new Uint32Array(2)
  /** After a failed access: one of {@link FAILURE}. */
  failure: number = FAILURE.none
  /** The guest-physical address that EPT refused, and (low and high word) the linear address that failed. */
  readonly faultAddress = new Float64Array(1)
  readonly faultLinear = new Uint32Array(2)
  /** What the second stage refused was an access to a table of the program. */
  tableWalk = false
  /** Linear page and offset of the access in progress. */
  readonly #linear = new Float64Array(2)

  constructor(core: Core) {
    this.#core = core
    this.paging = new GuestPaging(core, this)
  }

  /** Reads `width` bytes into {@link value} by physical address. False: it failed, and {@link failure} says how. */
  read(address: number, width: number): boolean {
    return this.#translate(address, width, ACCESS.read) && this.#read(address & LAST_OFFSET, width)
  }

  /** Writes `width` bytes of {@link value}. */
  write(address: number, width: number): boolean {
    return this.#translate(address, width, ACCESS.write) && this.#write(address & LAST_OFFSET, width)
  }

  /** An instruction fetch: only the right to do so matters. */
  fetch(address: number): boolean {
    return (
      this.#translate(address, 1, this.#fetchAccess(UNPAGED_RIGHTS)) && this.#fetched(address & LAST_OFFSET)
    )
  }

  /** The same by linear address, whose words are given; `accessor` is one of ACCESSOR. */
  readLinear(low: number, high: number, width: number, accessor: number): boolean {
    return (
      this.#translateLinear(low, high, width, ACCESS.read, accessor) && this.#read(low & LAST_OFFSET, width)
    )
  }

  writeLinear(low: number, high: number, width: number, accessor: number): boolean {
    return (
      this.#translateLinear(low, high, width, ACCESS.write, accessor) && this.#write(low & LAST_OFFSET, width)
    )
  }

  fetchLinear(low: number, high: number, accessor: number): boolean {
    return this.#translateLinear(low, high, 1, ACCESS.fetch, accessor) && this.#fetched(low & LAST_OFFSET)
  }

  /** Who accesses memory for an operation of the program. */
  get accessor(): number {
    return this.#core.currentPrivilegeLevel === 3 ? ACCESSOR.user : ACCESSOR.supervisor
  }

  #fetchAccess(rights: number): number {
    return (rights & MAPPING.user) !== 0 ? ACCESS.userFetch : ACCESS.fetch
  }

  #translate(address: number, width: number, access: number): boolean {
    const page = pageOf(address)
    const pages = this.#pages
    pages[0] = page
    pages[1] = page + 1
    if (!this.#secondStage) return true
    this.#setLinear(page, address & LAST_OFFSET)
    pages[0] = this.#throughEpt(page, address & LAST_OFFSET, access, UNPAGED)
    if (pages[0]! < 0) return false
    if ((address & LAST_OFFSET) + width <= PAGE_BYTES) return true
    this.#setLinear(page + 1, 0)
    pages[1] = this.#throughEpt(page + 1, 0, access, UNPAGED)
    return pages[1]! >= 0
  }

  #translateLinear(low: number, high: number, width: number, access: number, accessor: number): boolean {
    const page = (high >>> 0) * 2 ** 20 + (low >>> 12)
    const offset = low & LAST_OFFSET
    const pages = this.#pages
    pages[0] = this.#linearPage(page, offset, access, accessor)
    if (pages[0]! < 0) return false
    if (offset + width <= PAGE_BYTES) return true
    pages[1] = this.#linearPage(page + 1, 0, access, accessor)
    return pages[1]! >= 0
  }

  /** Host page of a linear page, or negative. */
  #linearPage(page: number, offset: number, access: number, accessor: number): number {
    const core = this.#core
    const second = this.#secondStage
    const ept = second && !core.svm.nested
    this.#setLinear(page, offset)
    let physical = page
    let rights: number = UNPAGED_RIGHTS
    if (core.paging) {
      const root = ept ? eptRoot(core.vmcs[EPT_POINTER]!, core.vmcs[EPT_POINTER + 1]!) : NO_ROOT
      physical = this.paging.translate(page, access, accessor, root)
      if (physical === PAGE_FAULTED) this.failure = FAILURE.pageFault
      if (physical < 0) return physical
      rights = this.paging.rights
    }
    if (!second) return physical
    const context =
      linearAddressValid |
      finalTranslation |
      ((rights & MAPPING.user) !== 0 ? userLinearAddress : 0) |
      ((rights & MAPPING.write) !== 0 ? writableLinearAddress : 0) |
      ((rights & MAPPING.execute) === 0 ? executeDisabledLinearAddress : 0)
    const needed = access === ACCESS.fetch ? this.#fetchAccess(rights) : access
    return this.#throughEpt(physical, offset, needed, context)
  }

  #setLinear(page: number, offset: number): void {
    this.#linear[0] = page
    this.#linear[1] = offset
  }

  /** Host page of a guest-physical page, or -1. Only in a guest with EPT. */
  #throughEpt(page: number, offset: number, access: number, context: number): number {
    const core = this.#core
    const found = core.svm.nested
      ? core.npt.translate(core.svm.nestedRoot, page, access)
      : this.#translateEpt(page, access, context)
    if (found < 0) {
      this.tableWalk = (context & finalTranslation) === 0
      this.failure = FAILURE.ept
      this.faultAddress[0] = page * PAGE_BYTES + offset
      this.#tellLinear()
    }
    return found
  }

  #translateEpt(page: number, access: number, context: number): number {
    const core = this.#core
    const low = core.vmcs[EPT_POINTER]!
    const root = eptRoot(low, core.vmcs[EPT_POINTER + 1]!)
    return core.ept.translate(root, eptWalk(low, core.secondaryControls), page, access, context)
  }

  /** Whether a hypervisor's tables lie behind the program's own. */
  get #secondStage(): boolean {
    const core = this.#core
    return core.svm.nested || core.guestHasSecondary(SECONDARY.enableEpt)
  }

  #tellLinear(): void {
    const page = this.#linear[0]!
    this.faultLinear[0] = (page % 2 ** 20) * PAGE_BYTES + this.#linear[1]!
    this.faultLinear[1] = page / 2 ** 20
  }

  /** After a page fault: the linear address, as CR2 and the exit qualification tell it. */
  tellPageFault(): void {
    this.#tellLinear()
  }

  /** A paging structure of the program, through EPT in a guest: a read, or a write of accessed and dirty flags. */
  table(page: number, write: boolean): Uint32Array | undefined {
    const core = this.#core
    let host = page
    if (core.svm.nested) {
      // "Nested Paging": a walk of the guest's tables needs write permission, for their accessed flags.
      host = this.#throughEpt(page, 0, ACCESS.read | ACCESS.write, 0)
      if (host < 0) return undefined
    } else if (core.guestHasSecondary(SECONDARY.enableEpt)) {
      // An update of accessed and dirty flags reads and writes; and with those flags for EPT, so does every access.
      const flags = (core.vmcs[EPT_POINTER]! & EPTP.AD.mask) !== 0
      const access = flags || write ? ACCESS.read | ACCESS.write : ACCESS.read
      host = this.#throughEpt(page, 0, access, linearAddressValid)
      if (host < 0) return undefined
    }
    if (this.#isApicAccessPage(host)) {
      core.exit.qualification[0] = GUEST_PHYSICAL_ACCESS
      this.failure = FAILURE.apicAccess
      return undefined
    }
    return (write ? core.memory.pageForWrite(host)?.words : core.memory.words(host)) ?? NO_MEMORY
  }

  /**
   * MOV to a control register with PAE paging under EPT: loads the PDPTEs from the guest-physical address in CR3. No linear
   * address is behind the access. False: EPT refused, or (`failure` none) an entry has a reserved bit set.
   */
  loadGuestPdptes(): boolean {
    const { registers, memory } = this.#core
    const cr3 = registers[REGISTER.cr3]!
    this.failure = FAILURE.none
    this.#setLinear(0, 0)
    const host = this.#throughEpt(cr3 >>> 12, cr3 & 0xfe0, ACCESS.read, 0)
    if (host < 0) return false
    const words = memory.words(host) ?? NO_MEMORY
    const first = (cr3 & 0xfe0) >>> 2
    for (let i = first; i < first + PDPTE_WORDS; i += 2) {
      if (!isPdpteValid(this.#core, words[i]!, words[i + 1]!)) return false
    }
    for (let i = 0; i < PDPTE_WORDS; i++) registers[REGISTER.pdpte0 + i] = words[first + i]!
    return true
  }

  #isApicAccessPage(page: number): boolean {
    const core = this.#core
    if (!core.guestHasSecondary(SECONDARY.virtualizeApicAccesses)) return false
    return page === core.vmcs[APIC_ACCESS + 1]! * 2 ** 20 + (core.vmcs[APIC_ACCESS]! >>> 12)
  }

  /** An access to the APIC-access page; false: a VM exit. */
  #apicAccess(offset: number, width: number, access: number): boolean {
    if (accessApicPage(this.#core, offset, width, access, this.value)) return true
    this.failure = FAILURE.apicAccess
    return false
  }

  #fetched(offset: number): boolean {
    return !this.#isApicAccessPage(this.#pages[0]!) || this.#apicAccess(offset, 1, ACCESS.fetch)
  }

  #read(offset: number, width: number): boolean {
    const page = this.#pages[0]!
    if (this.#isApicAccessPage(page)) return this.#apicAccess(offset, width, ACCESS.read)
    if (offset + width <= PAGE_BYTES && page !== this.#core.apic.page) {
      if (width < 4 || (offset & 3) !== 0) {
        const bytes = this.#core.memory.page(page)?.bytes
        if (bytes !== undefined) return this.#readBytes(bytes, offset, width)
      } else {
        const words = this.#core.memory.words(page)
        if (words !== undefined) {
          this.value[0] = words[offset >>> 2]!
          this.value[1] = width === 8 ? words[(offset >>> 2) + 1]! : 0
          return true
        }
      }
    }
    this.#readPieces(offset, width)
    return true
  }

  #write(offset: number, width: number): boolean {
    const page = this.#pages[0]!
    if (this.#isApicAccessPage(page)) return this.#apicAccess(offset, width, ACCESS.write)
    if (offset + width <= PAGE_BYTES && page !== this.#core.apic.page) {
      const ram = this.#core.memory.pageForWrite(page)
      if (ram !== undefined) {
        if (width < 4 || (offset & 3) !== 0) return this.#writeBytes(ram.bytes, offset, width)
        ram.words[offset >>> 2] = this.value[0]!
        if (width === 8) ram.words[(offset >>> 2) + 1] = this.value[1]!
        return true
      }
    }
    this.#writePieces(offset, width)
    return true
  }

  /** Of memory: whole dwords with lanes above bit 30 would be numbers on the heap. */
  #readBytes(bytes: Uint8Array, offset: number, width: number): true {
    const { value } = this
    value[0] = 0
    value[1] = 0
    for (let i = 0; i < width; i++) value[i >>> 2]! |= bytes[offset + i]! << ((i & 3) * 8)
    return true
  }

  #writeBytes(bytes: Uint8Array, offset: number, width: number): true {
    const { value } = this
    for (let i = 0; i < width; i++) bytes[offset + i] = value[i >>> 2]! >>> ((i & 3) * 8)
    return true
  }

  /** Byte by byte, touching each dword once: for registers and accesses that cross pages. */
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

/** Where no memory answers, reads return ones. */
const NO_MEMORY = new Uint32Array(1024).fill(0xffff_ffff)
