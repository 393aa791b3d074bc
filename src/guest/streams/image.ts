/** The memory of a stream's guest as its loader leaves it: descriptor tables, TSS, and paging structures of every process. */
import {
  APIC,
  AT,
  type Bits,
  CODE_PAGES,
  DATA_PAGES,
  entryAddress,
  KERNEL_STACK_TOP,
  PAGE,
  PROCESSES,
  rootOf,
  SELECTOR,
  VECTOR,
} from './layout.ts'

/** Bits of paging-structure entries that this guest uses. */
export const ENTRY = { P: 1, W: 2, U: 4, A: 0x20, D: 0x40 } as const
const TABLE = ENTRY.P | ENTRY.W | ENTRY.U | ENTRY.A
const KERNEL = ENTRY.P | ENTRY.W | ENTRY.A | ENTRY.D
const USER = KERNEL | ENTRY.U
/** What the page-fault handler maps: neither accessed nor dirty yet. */
export const FRESH_USER = ENTRY.P | ENTRY.W | ENTRY.U

/** High word of a descriptor: type, DPL, granularity; accessed already. */
const CODE_32 = 0x00cf_9b00
const CODE_64 = 0x00af_9b00
const DATA = 0x00cf_9300
const RING_3 = 0x6000
const TSS_LIMIT = 0x67

/** Calls `write` with every dword that differs from zero. */
export function guestImage(bits: Bits, write: (address: number, value: number) => void): void {
  const descriptor = (selector: number, low: number, high: number): void => {
    write(AT.gdt + (selector & ~7), low)
    write(AT.gdt + (selector & ~7) + 4, high)
  }
  const code = bits === 64 ? CODE_64 : CODE_32
  descriptor(SELECTOR.kernelCode, 0xffff, code)
  descriptor(SELECTOR.kernelData, 0xffff, DATA)
  for (const selector of [0x18, 0x28]) descriptor(selector, 0xffff, code | RING_3)
  for (const selector of [0x20, 0x30]) descriptor(selector, 0xffff, DATA | RING_3)
  descriptor(SELECTOR.task, (AT.tss << 16) | TSS_LIMIT, 0x8900)
  descriptor(SELECTOR.ldt, (AT.ldt << 16) | 0xff, 0x8200)
  for (let vector = 0; vector < 256; vector++) {
    const handler = AT.kernelCode + vector * 16
    const rights = vector === VECTOR.systemCall ? 0xee00 : 0x8e00
    const gate = AT.idt + vector * (bits / 4)
    write(gate, (SELECTOR.kernelCode << 16) | (handler & 0xffff))
    write(gate + 4, (handler & 0xffff_0000) | rights)
  }
  write(AT.tss + 4, KERNEL_STACK_TOP)
  if (bits === 32) write(AT.tss + 8, SELECTOR.kernelData)
  for (let process = 0; process < PROCESSES; process++) tables(bits, process, write)
}

function tables(bits: Bits, process: number, write: (address: number, value: number) => void): void {
  const root = rootOf(process)
  if (bits === 64) {
    for (let level = 0; level < 3; level++) write(root + level * PAGE, (root + (level + 1) * PAGE) | TABLE)
    write(root + 511 * 8, AT.topTables | TABLE)
    write(AT.topTables, (AT.topTables + PAGE) | TABLE)
    write(AT.topTables + PAGE, (AT.topTables + 2 * PAGE) | TABLE)
  } else {
    write(root, (root + PAGE) | TABLE)
    write(root + 1023 * 4, AT.topTables | TABLE)
  }
  const map = (linear: number, pages: number, rights: number, physical = linear): void => {
    for (let page = 0; page < pages; page++) {
      write(entryAddress(bits, process, linear + page * PAGE), ((physical + page * PAGE) | rights) >>> 0)
    }
  }
  map(AT.gdt, 5, KERNEL)
  map(AT.userStack, 1, USER)
  map(AT.kernelCode, CODE_PAGES, KERNEL)
  map(AT.userCode, CODE_PAGES, USER)
  map(AT.kernelData, DATA_PAGES, KERNEL)
  map(AT.userData, DATA_PAGES, USER)
  map(AT.tables, 0x30, KERNEL)
  map(AT.apicWindow, 1, KERNEL, APIC)
}
