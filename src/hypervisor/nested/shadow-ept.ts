/**
 * "EPT02": the tables with which the processor translates addresses of L2, EPT12 of L1 and then EPT01 in one. They begin
 * empty; each violation adds the page that both levels give. A page that EPT01 does not map is never in them.
 */
import { NorthbridgeError, type PageNumber } from '../../core/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { INVEPT } from '../../vmx/formats/ept.ts'
import { ExtendedPageTable } from '../extended-page-table.ts'
import type { HostPages } from '../host-pages.ts'
import type { HostProcessor } from '../host-processor.ts'
import { eptPointer } from '../vmcs.ts'

export type SavedShadow = { readonly root: PageNumber; readonly shadowed: PageNumber }

/** What EPT12 says of a page of L2. */
export interface L1Page {
  readonly page: PageNumber
  /** Bits 2:0 of an entry. */
  readonly rights: number
}

export class ShadowEpt {
  readonly #ept01: ExtendedPageTable
  readonly #table: ExtendedPageTable
  /** Page of the highest table of the EPT12 that is shadowed; -1: none. */
  #shadowed: PageNumber = -1

  /** Throws `outOfMemory`. */
  constructor(machine: MachinePort, pages: HostPages, ept01: ExtendedPageTable, saved?: SavedShadow) {
    this.#ept01 = ept01
    this.#table = new ExtendedPageTable(machine, pages, saved?.root)
    this.#shadowed = saved?.shadowed ?? -1
  }

  save(): SavedShadow {
    return { root: this.root, shadowed: this.#shadowed }
  }

  get root(): PageNumber {
    return this.#table.root
  }

  /** Makes it the shadow of an EPT12. */
  shadow(root12: PageNumber, processor: HostProcessor): void {
    if (this.#shadowed === root12) return
    this.drop(processor)
    this.#shadowed = root12
  }

  /** Forgets every translation: L1's INVEPT, another EPT12, or a page that left EPT01. */
  drop(processor: HostProcessor): void {
    this.#shadowed = -1
    this.#table.clear()
    processor.run({ op: 'invept', type: INVEPT.singleContext, eptp: eptPointer(this.root) })
  }

  /**
   * Lets L2 reach a page of L1, with the rights that both levels give. False: EPT01 does not map it, or not for this
   * access (`wanted`, bits 2:0 of an entry).
   */
  add(page: PageNumber, given: L1Page, wanted: number, processor: HostProcessor): boolean {
    const found = this.#ept01.lookUp(given.page)
    if (found === undefined || (found.rights & wanted) !== wanted) return false
    const rights = found.rights & given.rights
    this.#table.unmap(page, 1)
    try {
      this.#table.map(page, found.page, 1, found.type, rights)
    } catch (error) {
      if (!(error instanceof NorthbridgeError) || error.code !== 'outOfMemory') throw error
      // It can be built again from nothing.
      const shadowed = this.#shadowed
      this.drop(processor)
      this.#shadowed = shadowed
      this.#table.map(page, found.page, 1, found.type, rights)
    }
    return true
  }

  free(): void {
    this.#table.destroy()
  }
}
