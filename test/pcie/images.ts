/** Definitions of functions made of dwords: a header, a PCI Express capability, and the capabilities of a test. */
import type { FunctionDefinition, PcieFunction } from '../../src/pcie/index.ts'
import { ALL, Machine, part } from './machine.ts'

/** Offset of the PCI Express capability, and of the capability of the test in each list. */
export const EXPRESS_AT = 0x40
export const AT = 0x80
export const EXTENDED_AT = 0x100

export interface ImageParts {
  /** "Device/Port Type"; default 0, an endpoint. */
  readonly type?: number
  /** Dwords of the PCI Express capability by offset from its beginning. */
  readonly express?: Readonly<Record<number, number>>
  /** Identifier and dwords after the first of a capability at 80h; `control`: bits 31:16 of the first. */
  readonly capability?: {
    readonly id: number
    readonly control?: number
    readonly dwords?: readonly number[]
  }
  /** Extended capabilities, the first at 100h and each 100h behind the one before. */
  readonly extended?: ExtendedCapability | readonly ExtendedCapability[]
}

/** Identifier, and the dwords after the first. */
export interface ExtendedCapability {
  readonly id: number
  readonly version?: number
  readonly dwords?: readonly number[]
}

/** A definition with the given capabilities; `more` replaces what a plain function of 4 KiB has. */
export function definition(parts: ImageParts, more: Partial<FunctionDefinition> = {}): FunctionDefinition {
  const words = new DataView(new ArrayBuffer(4096))
  const put = (offset: number, value: number): void => words.setUint32(offset, value, true)
  const type = parts.type ?? 0
  const bridge = type >= 4 && type <= 8
  put(0x00, 0x1234_8086)
  put(0x04, 0x0010_0000)
  put(0x08, bridge ? 0x0604_0000 : 0xff00_0000)
  put(0x0c, bridge ? 0x0001_0000 : 0)
  put(0x34, EXPRESS_AT)
  const next = parts.capability === undefined ? 0 : AT
  put(EXPRESS_AT, (2 << 16) | (type << 20) | (next << 8) | 0x10)
  for (const [offset, value] of Object.entries(parts.express ?? {})) {
    const held = Number(offset) === 0 ? words.getUint32(EXPRESS_AT, true) : 0
    put(EXPRESS_AT + Number(offset), held | value)
  }
  if (parts.capability !== undefined) {
    put(AT, ((parts.capability.control ?? 0) << 16) | parts.capability.id)
    for (const [i, value] of (parts.capability.dwords ?? []).entries()) put(AT + 4 + 4 * i, value)
  }
  const extended = [parts.extended ?? []].flat() as readonly ExtendedCapability[]
  for (const [n, { id, version = 1, dwords = [] }] of extended.entries()) {
    const at = EXTENDED_AT * (n + 1)
    put(at, (((n + 1 < extended.length ? at + EXTENDED_AT : 0) << 20) | (version << 16) | id) >>> 0)
    for (const [i, value] of dwords.entries()) put(at + 4 + 4 * i, value)
  }
  const kind = ({ 4: 'rootPort', 5: 'upstreamPort', 6: 'downstreamPort', 7: 'bridge' } as const)[type]
  return {
    model: 'test',
    kind: kind ?? 'endpoint',
    image: new Uint8Array(words.buffer),
    bars: [],
    romSize: 0,
    ...more,
  }
}

/** The function on a root bus, or where its type may be. */
export function plugged(made: FunctionDefinition): PcieFunction {
  const machine = new Machine()
  if (made.kind !== 'downstreamPort' && made.kind !== 'upstreamPort') return machine.plug(made, '1.0')
  const root = machine.plug(part('root-port'), '1.0')
  if (made.kind === 'upstreamPort') return machine.plug(made, '0.0', root)
  return machine.plug(made, '0.0', machine.plug(part('switch-upstream-port'), '0.0', root))
}

/** What a dword reads after reset, and after all ones were written; unsigned. */
export function written(fn: PcieFunction, offset: number): [reset: number, ones: number] {
  const before = fn.readConfig(offset) >>> 0
  fn.writeConfig(offset, ALL, ALL)
  return [before, fn.readConfig(offset) >>> 0]
}
