/** What must hold of the addresses that firmware gave out, read back from the registers. */
import { expect } from 'vitest'
import type { PcieFunction } from '../../src/pcie/index.ts'
import type { Booted } from './boot.ts'

export interface Range {
  readonly what: string
  readonly base: number
  readonly end: number
  /** Windows: the prefetchable one. */
  readonly prefetchable?: true
}

const isBridge = (fn: PcieFunction): boolean => !['endpoint', 'hostBridge'].includes(fn.kind)

/** What a function's registers decode now, memory or I/O. Sizes are those of its definition, or chosen. */
function decoded({ read }: Booted, fn: PcieFunction, io: boolean): Range[] {
  const ranges: Range[] = []
  for (const { index, kind } of fn.definition.bars) {
    if ((kind === 'io') !== io) continue
    const size = fn.barSize(index)
    const low = read(fn.rid, 0x10 + 4 * index, fn.segment)
    const high = kind === 'memory64' ? read(fn.rid, 0x14 + 4 * index, fn.segment) : 0
    const base = high * 2 ** 32 + ((low & (io ? ~3 : ~15)) >>> 0)
    expect(base % size, `BAR ${index} is aligned to its size`).toBe(0)
    if (base !== 0)
      ranges.push({ what: `${fn.segment}/${fn.rid.toString(16)} BAR ${index}`, base, end: base + size })
  }
  return ranges
}

/** Windows of a bridge that are open. */
export function windows({ read }: Booted, fn: PcieFunction): { memory: Range[]; io: Range[] } {
  const word = (offset: number): number =>
    (read(fn.rid, offset & ~3, fn.segment) >>> ((offset & 2) * 8)) & 0xffff
  const what = `window of ${fn.rid.toString(16)}`
  const range = (base: number, limit: number): Range[] =>
    base > limit ? [] : [{ what, base, end: limit + 1 }]
  const upper = (offset: number): number => read(fn.rid, offset, fn.segment) * 2 ** 32
  return {
    memory: [
      ...range((word(0x20) & 0xfff0) * 0x1_0000, (word(0x22) & 0xfff0) * 0x1_0000 + 0xf_ffff),
      ...range(
        (word(0x24) & 0xfff0) * 0x1_0000 + upper(0x28),
        (word(0x26) & 0xfff0) * 0x1_0000 + 0xf_ffff + upper(0x2c),
      ).map(window => ({ ...window, prefetchable: true as const })),
    ],
    io: range((word(0x1c) & 0x00f0) << 8, (word(0x1c) & 0xf000) + 0xfff),
  }
}

/** Bridges on the way from a function up to its host bridge, by bus numbers. */
function bridgesAbove({ platform, read }: Booted, fn: PcieFunction): PcieFunction[] {
  const bus = fn.rid >>> 8
  return platform.fabric.functions().filter(other => {
    if (!isBridge(other) || other.segment !== fn.segment) return false
    const numbers = read(other.rid, 0x18, other.segment)
    return bus >= ((numbers >>> 8) & 0xff) && bus <= ((numbers >>> 16) & 0xff)
  })
}

/** Windows of ports on the same bus are apart, and each lies in a window of every port above. */
function checkWindows(booted: Booted): void {
  const bridges = booted.platform.fabric.functions().filter(isBridge)
  for (const space of ['memory', 'io'] as const) {
    const open = bridges.flatMap(fn => windows(booted, fn)[space].map(window => ({ fn, ...window })))
    for (const { fn, what, base, end } of open) {
      for (const above of bridgesAbove(booted, fn)) {
        const inside = windows(booted, above)[space].some(outer => base >= outer.base && end <= outer.end)
        expect(inside, `${what} lies in one of ${above.rid.toString(16)}`).toBe(true)
      }
    }
    for (const [i, one] of open.entries()) {
      for (const other of open.slice(i + 1)) {
        if (one.fn.bus !== other.fn.bus) continue
        const apart = one.end <= other.base || other.end <= one.base
        expect(apart, `${one.what} and ${other.what} are apart`).toBe(true)
      }
    }
    for (const { fn, what, base, end } of open) {
      for (const sibling of fn.bus.functions) {
        for (const range of decoded(booted, sibling, space === 'io')) {
          const apart = range.end <= base || end <= range.base
          expect(apart, `${range.what} lies outside ${what}`).toBe(true)
        }
      }
    }
  }
}

/** A free aligned place in a range, between what is taken. */
function roomIn(range: Range, taken: readonly Range[], size: number, alignment: number): number | undefined {
  const inside = taken.filter(one => one.base < range.end && one.end > range.base)
  return [range.base, ...inside.map(one => one.end)]
    .sort((a, b) => a - b)
    .map(start => Math.ceil(start / alignment) * alignment)
    .find(base => base + size <= range.end && inside.every(one => one.end <= base || one.base >= base + size))
}

/** The expansion ROM of an endpoint, which has its place though it is not decoded. */
function romOf({ read }: Booted, fn: PcieFunction): Range[] {
  const size = fn.definition.romSize
  const base = isBridge(fn) ? 0 : (read(fn.rid, 0x30, fn.segment) & 0xffff_f800) >>> 0
  return size === 0 || base === 0 ? [] : [{ what: `ROM of ${fn.rid.toString(16)}`, base, end: base + size }]
}

/** Puts the VF BARs of all functions, as many VFs as there can be, into free room of the windows above them. */
function checkRoomForVirtualFunctions(booted: Booted): void {
  const functions = booted.platform.fabric.functions()
  const taken = functions.flatMap(fn => [...decoded(booted, fn, false), ...romOf(booted, fn)])
  const wanted = functions.flatMap(fn =>
    (fn.definition.sriov?.bars ?? []).map(({ index, size, prefetchable }) => ({
      prefetchable,
      what: `VF BAR ${index} of ${fn.rid.toString(16)}`,
      port: bridgesAbove(booted, fn).at(-1),
      alignment: size,
      size: size * totalVfs(fn.definition.image),
    })),
  )
  wanted.sort((a, b) => b.alignment - a.alignment || b.size - a.size)
  for (const { what, port, size, alignment, prefetchable } of wanted) {
    if (port === undefined) continue
    const found = windows(booted, port)
      .memory.filter(window => prefetchable || !window.prefetchable)
      .reverse()
      .flatMap(window => roomIn(window, taken, size, alignment) ?? [])
    expect(found, `${what} finds room for all VFs`).not.toEqual([])
    taken.push({ what, base: found[0]!, end: found[0]! + size })
  }
}

export function checkAddresses(booted: Booted): void {
  const { platform, read } = booted
  const functions = platform.fabric.functions()
  for (const io of [false, true]) {
    const all = functions.flatMap(fn => decoded(booted, fn, io)).sort((a, b) => a.base - b.base)
    for (const [i, range] of all.entries()) {
      const next = all[i + 1]
      if (next !== undefined)
        expect(range.end, `${range.what} ends before ${next.what}`).toBeLessThanOrEqual(next.base)
    }
    for (const fn of functions) {
      for (const range of decoded(booted, fn, io)) {
        for (const above of bridgesAbove(booted, fn)) {
          const open = windows(booted, above)[io ? 'io' : 'memory']
          const inside = open.some(window => range.base >= window.base && range.end <= window.end)
          expect(inside, `${range.what} lies in a window of ${above.rid.toString(16)}`).toBe(true)
        }
      }
    }
  }
  checkWindows(booted)
  checkRoomForVirtualFunctions(booted)
  for (const fn of functions) {
    const command = read(fn.rid, 0x04, fn.segment) & 0xffff
    const hasMemory = isBridge(fn) || fn.definition.bars.some(bar => bar.kind !== 'io')
    if (hasMemory) expect(command & 0x2, 'memory decoding is on').toBe(0x2)
    expect((command & 0x4) !== 0, 'bus mastering is on for bridges only').toBe(isBridge(fn))
  }
}

function totalVfs(image: Uint8Array): number {
  const view = new DataView(image.buffer, image.byteOffset)
  for (let at = 0x100; at >= 0x100; at = view.getUint32(at, true) >>> 20) {
    if (view.getUint16(at, true) === 0x10) return view.getUint16(at + 0x0e, true)
  }
  return 0
}
