/**
 * What software may write in the configuration space of a QEMU function. QEMU's models differ from the specification
 * here and there (Device Control has only what a model asks for, and resets to 0); said as overrides for the fabric.
 * Facts: the initial write masks of hw/pci/pci.c, pcie.c, pcie_aer.c, msi.c, msix.c, slotid_cap.c of QEMU.
 */
import { hex } from '../../core/index.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import type { ConfigImage } from './config-image.ts'

export interface Override {
  offset: string
  readWrite?: string
  clearable?: string
  readOnly?: string
  reset?: { mask: string; value: string }
}

export interface Traits {
  readonly deviceErrors: boolean
  readonly linkControl: boolean
  /** Whether there are slot registers. */
  readonly slot: boolean
  /** Whether Slot Status and Link Status follow the card. */
  readonly nativeHotplug: boolean
  readonly rootPort: boolean
  readonly bridge: boolean
}

/** Masks of one dword: everything that is neither writable nor cleared by writing 1 is read-only. */
class MaskTable {
  readonly #image: ConfigImage
  readonly #entries = new Map<number, { writable: number; clearable: number; left: number }>()

  constructor(image: ConfigImage) {
    this.#image = image
  }

  /** The dword has exactly these writable and clearable bits, but for those that are left to the fabric. */
  exactly(offset: number, writable: number, clearable = 0, left = 0): void {
    this.#entries.set(offset, { writable, clearable, left })
  }

  overrides(): Override[] {
    return [...this.#entries]
      .sort(([a], [b]) => a - b)
      .map(([offset, { writable, clearable, left }]) => {
        const readOnly = ~(writable | clearable | left) >>> 0
        const value = this.#image.readDword(offset)
        return {
          offset: hex(offset),
          ...(readOnly !== 0 && { readOnly: hex(readOnly) }),
          ...(writable !== 0 && { readWrite: hex(writable >>> 0) }),
          ...(clearable !== 0 && { clearable: hex(clearable >>> 0) }),
          reset: { mask: hex(~left >>> 0), value: hex((value & ~left) >>> 0) },
        }
      })
  }
}

const STATUS_CLEARABLE = 0xf900_0000
const COMMAND = 0x0507
const UNCORRECTABLE = 0x03ff_f030
const CORRECTABLE = 0xf1c1
/** Link Status: what training found. Slot Control: Power Controller Control follows the card. */
const NEGOTIATED = 0x03ff_0000
const POWER = 0x0400
const LINK_ACTIVE = 0x2000_0000
const PRESENT = 0x0040_0000

export function writeMasks(
  image: ConfigImage,
  traits: Traits,
  own: readonly { offset: string; readWrite?: string | undefined; clearable?: string | undefined }[],
): Override[] {
  const table = new MaskTable(image)
  header(table, traits.bridge)
  for (const { id, at } of image.capabilities) {
    if (id === CAPABILITY.EXPRESS) express(table, image, at, traits)
  }
  for (const { id, at } of image.extended) {
    if (id === EXTENDED_CAPABILITY.AER) errorReporting(table, image, at, traits.rootPort)
  }
  for (const { offset, readWrite, clearable } of own) {
    table.exactly(Number(offset), Number(readWrite ?? 0), Number(clearable ?? 0))
  }
  return table.overrides()
}

/** Both space enables exist whatever a function decodes, and so does Interrupt Line without a pin. */
function header(table: MaskTable, bridge: boolean): void {
  table.exactly(0x04, COMMAND, STATUS_CLEARABLE)
  table.exactly(0x0c, 0xff)
  if (!bridge) {
    table.exactly(0x3c, 0xff)
    return
  }
  table.exactly(0x18, 0xffff_ffff)
  table.exactly(0x1c, 0xf0f0, STATUS_CLEARABLE)
  table.exactly(0x20, 0xfff0_fff0)
  table.exactly(0x24, 0xfff0_fff0)
  table.exactly(0x3c, 0x0bff_00ff, 0x0400_0000)
}

function express(table: MaskTable, image: ConfigImage, at: number, traits: Traits): void {
  const native = traits.nativeHotplug
  const version = image.bytes[at + 2]! & 0xf
  const functionReset = image.readDword(at + 4) & 0x1000_0000 ? 0x8000 : 0
  const errors = traits.deviceErrors ? 0xf : 0
  table.exactly(at + 0x08, errors | functionReset, traits.deviceErrors ? 0x000f_0000 : 0)
  table.exactly(at + 0x10, traits.linkControl ? 0x00c0 : 0, 0, NEGOTIATED | (native ? LINK_ACTIVE : 0))
  if (version === 1) return
  if (traits.slot) table.exactly(at + 0x18, 0x0ff9, 0x001f_0000, POWER | (native ? PRESENT : 0))
  if (traits.rootPort) {
    table.exactly(at + 0x1c, 0x0007)
    table.exactly(at + 0x20, 0, 0x0001_0000)
  }
  const ari = image.readDword(at + 0x24) & 0x20
  table.exactly(at + 0x28, 0x8000 | ari)
  table.exactly(at + 0x30, 0)
}

function errorReporting(table: MaskTable, image: ConfigImage, at: number, rootPort: boolean): void {
  table.exactly(at + 0x04, 0, UNCORRECTABLE)
  table.exactly(at + 0x08, UNCORRECTABLE)
  table.exactly(at + 0x0c, UNCORRECTABLE)
  table.exactly(at + 0x10, 0, CORRECTABLE)
  table.exactly(at + 0x14, CORRECTABLE)
  const control = image.readDword(at + 0x18)
  table.exactly(at + 0x18, 0x140 | ((control & 0x200) << 1))
  if (!rootPort) return
  table.exactly(at + 0x2c, 0x7)
  table.exactly(at + 0x30, 0, 0x7f)
}
