/**
 * "Resizable BAR Capability": which of the sizes that a BAR supports it gets. Every BAR begins with its largest; while
 * not everything finds room, the largest of them (of equals the one found last) falls to the next smaller size that it
 * supports, but never below the size that it has after reset. BARs with a preset address keep the size they have.
 */
import { pause, type Software } from '../engine/index.ts'
import { EXTENDED_CAPABILITY, findExtendedCapability, RESIZABLE_BAR } from '../pcie/formats/index.ts'
import type { BaseAddress } from './base-addresses.ts'
import type { FoundFunction } from './enumeration.ts'

const MIB = 2 ** 20
const { CAPABILITY, CONTROL } = RESIZABLE_BAR
const { INDEX, NUMBER, SIZE, SIZES_UPPER } = CONTROL.f
/** Sizes of 2^28 MiB and more are in the control register. */
const FIRST_UPPER_SIZE = 28
/** A 32-bit BAR has at most 2 GiB. */
const LARGEST_32_BIT = 2 ** 31

interface ResizableBar {
  readonly owner: FoundFunction
  readonly bar: BaseAddress
  /** Offset of its control register. */
  readonly control: number
  /** In bytes, ascending, the one after reset first. */
  readonly sizes: readonly number[]
  choice: number
}

/** @param fits whether everything would find room with the sizes that `bars` of all functions show. */
export function* chooseSizes(functions: readonly FoundFunction[], fits: () => Software<boolean>): Software {
  const resizable: ResizableBar[] = []
  yield* collect(functions, resizable)
  for (const one of resizable) choose(one, one.sizes.length - 1)
  while (!(yield* fits())) {
    let largest: ResizableBar | undefined
    for (const one of resizable) {
      if (one.choice > 0 && sizeOf(one) >= (largest === undefined ? 0 : sizeOf(largest))) largest = one
    }
    if (largest === undefined) break
    choose(largest, largest.choice - 1)
  }
  for (const one of resizable) {
    const code = Math.log2(sizeOf(one) / MIB)
    if (one.choice > 0) one.owner.config.write(one.control, code << SIZE.shift, SIZE.mask)
  }
}

const sizeOf = ({ sizes, choice }: ResizableBar): number => sizes[choice]!

function choose(one: ResizableBar, choice: number): void {
  one.choice = choice
  const { owner, bar } = one
  owner.bars = owner.bars.map(other => (other.index === bar.index ? { ...bar, size: sizeOf(one) } : other))
}

function* collect(functions: readonly FoundFunction[], found: ResizableBar[]): Software {
  for (const one of functions) {
    found.push(...resizableBarsOf(one))
    yield* pause()
    yield* collect(one.bridge?.functions ?? [], found)
  }
}

function resizableBarsOf(owner: FoundFunction): ResizableBar[] {
  const { config, bars, preset } = owner
  const capability = findExtendedCapability(config.capabilities(), EXTENDED_CAPABILITY.RESIZABLE_BAR)
  if (capability === undefined) return []
  const count = config.get(capability + RESIZABLE_BAR.entry(0) + CONTROL.offset - CAPABILITY.offset, NUMBER)
  return Array.from({ length: count }, (_, n) => capability + RESIZABLE_BAR.entry(n)).flatMap(entry => {
    const control = entry + CONTROL.offset - CAPABILITY.offset
    const index = config.get(control, INDEX)
    const bar = bars.find(candidate => candidate.index === index)
    if (bar === undefined || preset?.bars?.some(fixed => fixed.index === index)) return []
    const sizes = supportedSizes(config.read(entry), config.get(control, SIZES_UPPER))
    const larger = sizes.filter(
      size => size > bar.size && (bar.kind === 'memory64' || size <= LARGEST_32_BIT),
    )
    return [{ owner, bar, control, sizes: [bar.size, ...larger], choice: 0 }]
  })
}

function supportedSizes(capability: number, upper: number): number[] {
  const sizes: number[] = []
  for (let code = 0; code < FIRST_UPPER_SIZE; code++) {
    if ((capability >>> (code + CAPABILITY.f.SIZES.shift)) & 1) sizes.push(2 ** code * MIB)
  }
  for (let bit = 0; bit < 16; bit++) {
    if ((upper >>> bit) & 1) sizes.push(2 ** (FIRST_UPPER_SIZE + bit) * MIB)
  }
  return sizes
}
