/**
 * Replays what firmware and kernel did to configuration space on a machine that is built from the same arguments and
 * was never enumerated: every recorded write is made, every recorded read is compared.
 */
import { formatRequesterId, hex, lanesOf, type RequesterId } from '../core/index.ts'
import { deviceSheets } from '../interop/qemu/index.ts'
import { capabilityName } from '../pcie/formats/index.ts'
import type { ConfigMachine } from './config-machine.ts'
import { type ConfigAccess, NOBODY } from './config-trace.ts'
import { type RegisterMap, readWidths, registerWidth, writeWidth } from './config-widths.ts'

const ALL_ONES = 0xffff_ffff

/** Reads of one register that differed. */
export interface RegisterDifference {
  readonly model: string
  readonly function: string
  readonly offset: number
  readonly register: string
  /** How many reads, and the first of them. */
  reads: number
  readonly recorded: number
  readonly got: number
}

export interface ConfigVerdict {
  readonly id: string
  /** Reads of functions that exist: all, and those that were equal. */
  reads: number
  equal: number
  /** Reads that no function answered. */
  emptyReads: number
  emptyEqual: number
  readonly differences: Map<string, RegisterDifference>
}

const maskOf = (width: number): number => (width === 4 ? 0xffff_ffff : 2 ** (8 * width) - 1)

export class ConfigReplay {
  readonly verdict: ConfigVerdict
  readonly #machine: ConfigMachine

  constructor(id: string, machine: ConfigMachine) {
    this.#machine = machine
    this.verdict = { id, reads: 0, equal: 0, emptyReads: 0, emptyEqual: 0, differences: new Map() }
  }

  run(accesses: readonly ConfigAccess[]): ConfigVerdict {
    for (const access of accesses) {
      if (access.model !== NOBODY && this.#machine.functionAt(access.rid) === undefined) {
        this.#machine.plug(access.rid, access.model)
      }
      if (access.write) this.#write(access)
      else if (access.model === NOBODY) this.#readNobody(access)
      else this.#read(access)
    }
    return this.verdict
  }

  #value(rid: RequesterId, offset: number, width: number): number {
    return ((this.#machine.readDword(rid, offset) >>> (8 * (offset & 3))) & maskOf(width)) >>> 0
  }

  #registers(rid: RequesterId): RegisterMap {
    const fn = this.#machine.functionAt(rid)
    return {
      capabilities: fn?.layout.capabilities ?? [],
      read: offset => fn?.readConfig(offset & ~3) ?? ALL_ONES,
      own: deviceSheets().get(fn?.definition.model ?? '')?.widths ?? {},
    }
  }

  #write({ rid, offset, value }: ConfigAccess): void {
    const width = writeWidth(this.#registers(rid), offset, value)
    const shift = 8 * (offset & 3)
    const lanes = lanesOf(((1 << width) - 1) << (offset & 3))
    this.#machine.writeDword(rid, offset, (value << shift) >>> 0, lanes)
  }

  #readNobody({ rid, offset, value }: ConfigAccess): void {
    this.verdict.emptyReads++
    if (this.#value(rid, offset & ~3, 4) === ALL_ONES && value === ALL_ONES) this.verdict.emptyEqual++
    else this.#note(NOBODY, rid, offset, value, this.#value(rid, offset & ~3, 4))
  }

  #read(access: ConfigAccess): void {
    const { model, rid, offset, value } = access
    this.verdict.reads++
    const widths = readWidths(registerWidth(this.#registers(rid), offset), offset, value)
    if (widths.some(width => this.#value(rid, offset, width) === value)) this.verdict.equal++
    else this.#note(model, rid, offset, value, this.#value(rid, offset, widths.at(-1) ?? 4))
  }

  #note(model: string, rid: RequesterId, offset: number, recorded: number, got: number): void {
    const key = `${rid}/${offset}`
    const known = this.verdict.differences.get(key)
    if (known !== undefined) known.reads++
    else {
      this.verdict.differences.set(key, {
        model,
        function: formatRequesterId(rid),
        offset,
        register: this.#nameOf(rid, offset),
        reads: 1,
        recorded,
        got,
      })
    }
  }

  /** The capability that a register belongs to, with its place in it. */
  #nameOf(rid: RequesterId, offset: number): string {
    const { capabilities } = this.#registers(rid)
    const owner = capabilities
      .filter(entry => entry.extended === offset >= 0x100 && entry.offset <= offset)
      .sort((a, b) => b.offset - a.offset)[0]
    if (owner === undefined || offset < 0x40) return `header ${hex(offset, 2)}`
    return `${capabilityName(owner.id, owner.extended)} +${hex(offset - owner.offset, 2)}`
  }
}
