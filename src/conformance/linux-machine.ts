/** The unit of a captured machine, driven to where the kernel had it, and the requests that test its tables. */
import { parsePhysical, type RequesterId } from '../core/index.ts'
import { InterruptMessage } from '../interrupts/index.ts'
import type { RamRange } from '../memory/index.ts'
import { MemoryRequest, type PcieFunction } from '../pcie/index.ts'
import { FSTS, GCMD, GSTS, IQA, IRTA, RTADDR } from '../vtd/formats/index.ts'
import { NO_QUIRKS, type Quirks } from '../vtd/index.ts'
import { ConformanceMachine } from './conformance-machine.ts'
import { type FaultRecord, faultRecordOffset, faultState } from './fault-state.ts'
import type { LinuxTables } from './linux-tables.ts'
import { addRequester } from './vector-functions.ts'

/** More than any captured machine has; pages that nobody writes cost nothing. */
const RAM: readonly RamRange[] = [
  { base: 0, size: 0xc000_0000 },
  { base: 0x1_0000_0000, size: 0x40_0000_0000 - 0x1_0000_0000 },
]

/**
 * The kernel ran on a unit that reports first-stage translation without second-stage translation and without snooped
 * walks, and wrote AW and accessed flags nevertheless: both are faults by the specification, so that its first-stage
 * tables cannot be walked at all without looking away.
 */
const KERNEL_MACHINE: Quirks = Object.freeze({
  ...NO_QUIRKS,
  pasidEntryReservedNotChecked: true,
  accessedDirtyWithoutSnoopedWalk: true,
})

const CLEAR_RECORD = 1n << 63n
const { SRTP, SIRTP } = GCMD.f
const LEVELS = GSTS.f.TES.mask | GSTS.f.QIES.mask | GSTS.f.IRES.mask | GSTS.f.CFIS.mask

/** How one request ended. */
export interface Answer {
  /** Where it went; undefined if it was blocked. */
  readonly physical: number | undefined
  readonly reason: number
  /** The fault record that it left. */
  readonly record: FaultRecord | undefined
}

export class LinuxMachine extends ConformanceMachine {
  readonly #recordAt: number
  readonly #requesters = new Map<number, PcieFunction>()
  readonly #request = new MemoryRequest()
  readonly #byte = new Uint8Array(1)
  readonly #payload = new Uint8Array(4)

  constructor({ base, pages, expect: { registers, mode } }: LinuxTables) {
    super({
      ram: RAM,
      base,
      // Guest and host address widths of these machines are the same.
      hostAddressWidth: Number((BigInt(registers.CAP!) >> 16n) & 0x3fn) + 1,
      cap: BigInt(registers.CAP!),
      ecap: BigInt(registers.ECAP!),
      version: Number(registers.VER!),
      quirks: mode === 'scalable' ? KERNEL_MACHINE : NO_QUIRKS,
    })
    this.#recordAt = faultRecordOffset(this)
    for (const [address, bytes] of pages) this.memory.write(address, bytes)
    this.#programUnit(registers)
  }

  /** The order of a driver: tables first, then one command at a time, each waited for. */
  #programUnit(registers: Readonly<Record<string, string>>): void {
    const captured = (name: string): bigint => BigInt(registers[name] ?? '0x0')
    const wanted = Number(captured('GSTS'))
    this.writeRegister(RTADDR.offset, 64, captured('RTADDR'))
    this.#command(SRTP.mask)
    if (wanted & GSTS.f.QIES.mask) {
      this.writeRegister(IQA.offset, 64, captured('IQA'))
      this.#command(GSTS.f.QIES.mask)
    }
    if (wanted & GSTS.f.IRES.mask) {
      this.writeRegister(IRTA.offset, 64, captured('IRTA'))
      this.#command(SIRTP.mask)
      this.#command(GSTS.f.IRES.mask)
    }
    if (wanted & GSTS.f.CFIS.mask) this.#command(GSTS.f.CFIS.mask)
    if (wanted & GSTS.f.TES.mask) this.#command(GSTS.f.TES.mask)
  }

  /** Levels of GCMD and GSTS have the same bit numbers; what is on stays on. */
  #command(bit: number): void {
    const levels = Number(this.readRegister(GSTS.offset, 32)) & LEVELS
    this.writeRegister(GCMD.offset, 32, BigInt((levels | bit) >>> 0))
  }

  #requester(rid: number): PcieFunction {
    let fn = this.#requesters.get(rid)
    if (fn === undefined) {
      fn = addRequester(this.fabric, this.rootComplex, rid as RequesterId)
      this.wire(fn)
      this.#requesters.set(rid, fn)
    }
    return fn
  }

  /**
   * One byte read or written. A write stores what memory holds already, at the place where the page is expected to be:
   * the tables stay as they are.
   */
  access(rid: number, iova: string, write: boolean, expected: string | undefined): Answer {
    const byte = this.#byte
    if (!write || expected === undefined || !this.memory.read(parsePhysical(expected), byte)) byte[0] = 0
    const address = BigInt(iova)
    const [part] = this.dma(this.#requester(rid), write, address, byte)
    const blocked = part!.faultReason !== 0
    return {
      // Where there is no RAM nobody answers, but the address was translated.
      physical: blocked ? undefined : part!.physicalPage * 4096 + part!.offset,
      reason: part!.faultReason,
      record: blocked ? this.#takeRecord() : undefined,
    }
  }

  /** An interrupt request by a function's bus-master port. */
  interrupt(rid: number, address: string, data: string) {
    const request = this.#request
    const at = BigInt(address)
    new DataView(this.#payload.buffer).setUint32(0, Number(data), true)
    request.write = true
    request.page = Number(at >> 12n)
    request.offset = Number(at & 0xfffn)
    request.length = 4
    request.data = this.#payload
    request.dataStart = 0
    this.takeInterrupts()
    this.#requester(rid).issue(request)
    const message = this.takeInterrupts()[0] ?? new InterruptMessage()
    const reason = request.faultReason
    return {
      reason,
      index: request.interrupt.irteIndex,
      message,
      record: reason === 0 ? undefined : this.#takeRecord(),
    }
  }

  /** Reads the fault record and clears it, as a driver's fault handler does. */
  #takeRecord(): FaultRecord | undefined {
    const { record, fsts } = faultState(this, this.#recordAt)
    if (record !== undefined) this.writeRegister(this.#recordAt + 8, 64, CLEAR_RECORD)
    this.writeRegister(FSTS.offset, 32, BigInt(fsts))
    return record
  }
}
