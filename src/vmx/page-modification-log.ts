/** "Page-Modification Logging": guest-physical addresses of pages whose dirty flag for EPT is set, written downward. */
import { PAGE_SIZE } from '../core/index.ts'
import type { Core } from './core.ts'
import { SECONDARY } from './formats/controls.ts'
import type { ModificationLog } from './processor-memory.ts'
import { slot } from './vmcs-layout.ts'

const ADDRESS = slot('pmlAddress')
const INDEX = slot('pmlIndex')
const ENTRIES = 512

export class PageModificationLog implements ModificationLog {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** Whether a flag must not be set because the log is full. */
  get full(): boolean {
    const core = this.#core
    return core.guestHasSecondary(SECONDARY.enablePml) && core.vmcs[INDEX]! >= ENTRIES
  }

  /** A page's dirty flag goes from 0 to 1. */
  append(guestPage: number): void {
    const core = this.#core
    if (!core.guestHasSecondary(SECONDARY.enablePml)) return
    const { vmcs } = core
    const index = vmcs[INDEX]!
    const page = vmcs[ADDRESS + 1]! * 2 ** 20 + (vmcs[ADDRESS]! >>> 12)
    core.map.writeDword(page * PAGE_SIZE + index * 8, guestPage << 12)
    core.map.writeDword(page * PAGE_SIZE + index * 8 + 4, guestPage / 2 ** 20)
    vmcs[INDEX] = (index - 1) & 0xffff
  }
}
