/** Access attributes of the type 0 and type 1 header, and of the header of a virtual function. */
import { type AttributeBuilder, EFFECT } from './attribute-builder.ts'
import type { BarDefinition, FunctionDefinition } from './definition.ts'
import {
  BAR,
  BAR_COUNT,
  BRIDGE_CONTROL,
  BUS_NUMBERS,
  barOffset,
  COMMAND_STATUS,
  HEADER,
  INTERRUPT,
  IO_UPPER,
  IO_WINDOW,
  MEMORY_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
  ROM,
  ROM_OFFSET,
} from './formats/header.ts'

/** Command bits that conventional functions have and PCI Express hard-wires to 0: MWI Enable. */
const CONVENTIONAL_COMMAND = 0x0010
/** Bridge Control bits of conventional bridges: Master-Abort Mode, discard timers and their status. */
const CONVENTIONAL_BRIDGE_CONTROL = { writable: 0x0b20_0000, clearable: 0x0400_0000 }

export function headerAttributes(
  builder: AttributeBuilder,
  definition: FunctionDefinition,
  express: boolean,
): void {
  const isBridge = isBridgeImage(definition)
  builder.declare(0, COMMAND_STATUS, EFFECT.command)
  builder.hardwire(COMMAND_STATUS.offset, COMMAND_STATUS.f.INTS.mask)
  builder.declare(0, HEADER)
  if (!express) {
    builder.writable(COMMAND_STATUS.offset, CONVENTIONAL_COMMAND)
    builder.writable(HEADER.offset, HEADER.f.LATENCY.mask)
  }
  const bars = definition.bars
  const decodesIo = isBridge || bars.some(bar => bar.kind === 'io')
  const decodesMemory = isBridge || bars.some(bar => bar.kind !== 'io') || definition.romSize > 0
  // An enable is hard-wired to 0 where nothing decodes; but one that was captured set exists.
  const { IOSE, MSE } = COMMAND_STATUS.f
  const captured = builder.read(COMMAND_STATUS.offset)
  if (!decodesIo) builder.hardwire(COMMAND_STATUS.offset, IOSE.mask & ~captured)
  if (!decodesMemory) builder.hardwire(COMMAND_STATUS.offset, MSE.mask & ~captured)

  const count = isBridge ? BAR_COUNT.type1 : BAR_COUNT.type0
  barAttributes(builder, barOffset(0), count, bars)
  const rom = isBridge ? ROM_OFFSET.type1 : ROM_OFFSET.type0
  builder.hardwire(rom, 0xffff_ffff)
  if (definition.romSize > 0) {
    builder.writable(rom, ROM.ENABLE | (ROM.ADDRESS & -definition.romSize))
    builder.effect(rom, EFFECT.decode)
  }
  if (isBridge) bridgeAttributes(builder, express)
  else builder.declare(0, INTERRUPT)
}

const isBridgeImage = (definition: FunctionDefinition): boolean => (definition.image[0x0e]! & 0x7f) === 1

/** "Base Address Registers": the address bits from log2(size) up are writable, all below are hard-wired. */
export function barAttributes(
  builder: AttributeBuilder,
  offset: number,
  count: number,
  bars: readonly BarDefinition[],
): void {
  builder.hardwireRange(offset, count * 4)
  for (const { index, kind, prefetchable, size } of bars) {
    const at = offset + index * 4
    if (kind === 'io') {
      builder.hardwire(at, 0xffff_ffff, BAR.IO)
      builder.writable(at, BAR.IO_ADDRESS & -size)
    } else {
      const type = (kind === 'memory64' ? BAR.MEMORY_64 : 0) | (prefetchable ? BAR.PREFETCHABLE : 0)
      builder.hardwire(at, 0xffff_ffff, type)
      builder.writable(at, size > 0x8000_0000 ? 0 : BAR.MEMORY_ADDRESS & -size)
      if (kind === 'memory64') {
        builder.writable(at + 4, size > 0x8000_0000 ? -(size / 0x1_0000_0000) : 0xffff_ffff)
        builder.effect(at + 4, EFFECT.decode)
      }
    }
    builder.effect(at, EFFECT.decode)
  }
}

function bridgeAttributes(builder: AttributeBuilder, express: boolean): void {
  builder.declare(0, BUS_NUMBERS, EFFECT.busNumbers)
  if (!express) builder.writable(BUS_NUMBERS.offset, BUS_NUMBERS.f.LATENCY.mask)
  builder.declare(0, IO_WINDOW, EFFECT.decode)
  builder.declare(0, MEMORY_WINDOW, EFFECT.decode)
  builder.declare(0, PREFETCHABLE_WINDOW, EFFECT.decode)
  builder.hardwire(PREFETCHABLE_BASE_UPPER.offset, 0xffff_ffff)
  builder.hardwire(PREFETCHABLE_LIMIT_UPPER.offset, 0xffff_ffff)
  builder.hardwire(IO_UPPER.offset, 0xffff_ffff)
  if (builder.field(PREFETCHABLE_WINDOW.f.BASE_WIDTH, 0, PREFETCHABLE_WINDOW) === 1) {
    builder.declare(0, PREFETCHABLE_BASE_UPPER, EFFECT.decode)
    builder.declare(0, PREFETCHABLE_LIMIT_UPPER, EFFECT.decode)
  }
  if (builder.field(IO_WINDOW.f.BASE_WIDTH, 0, IO_WINDOW) === 1) builder.declare(0, IO_UPPER, EFFECT.decode)
  builder.hardwire(BRIDGE_CONTROL.offset, 0xffff_0000)
  builder.declare(0, BRIDGE_CONTROL, EFFECT.bridgeControl)
  if (!express) {
    builder.writable(BRIDGE_CONTROL.offset, CONVENTIONAL_BRIDGE_CONTROL.writable)
    builder.clearable(BRIDGE_CONTROL.offset, CONVENTIONAL_BRIDGE_CONTROL.clearable)
  }
}
