/** Checks a capture's tables: every expectation by a request, every structure by the unit's own account of its walk. */
import { basename } from 'node:path'
import { formatRequesterId, hex, NorthbridgeError, type RequesterId } from '../core/index.ts'
import { FAULT, FSTS, GSTS, IQH, IQT, IRTA, RTADDR } from '../vtd/formats/index.ts'
import { reasonOf, sourceIdOf, tellRecord } from './fault-state.ts'
import { contextProblem } from './linux-contexts.ts'
import { LinuxMachine } from './linux-machine.ts'
import { type LinuxIrte, type LinuxMsi, type LinuxTables, readLinuxTables } from './linux-tables.ts'
import type { Failure, Verdict } from './report.ts'

/** The verdict on one folder. A folder without tables is skipped; one that cannot be read is a failure. */
export function checkLinux(folder: string): Verdict {
  const id = basename(folder)
  try {
    const tables = readLinuxTables(folder)
    if (typeof tables === 'string') return { id, checks: 0, failures: 0, skipped: tables }
    const check = new LinuxCheck(tables)
    check.run()
    const [failure] = check.failures
    const verdict = { id, checks: check.checks, failures: check.failures.length }
    return failure === undefined ? verdict : { ...verdict, failure }
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    const failure = { at: 'capture', expected: 'tables that can be loaded', got: error.message }
    return { id, checks: 0, failures: 1, failure }
  }
}

type Access = 'r' | 'w'
type Stage = 'legacy' | 'firstStage' | 'secondStage'

/** 79h where no level grants anything, 85h and 86h where the one permission is missing. */
const denied = (stage: Stage, access: Access): readonly number[] => {
  const write = access === 'w'
  if (stage === 'legacy') return [write ? FAULT.writePermission : FAULT.readPermission]
  const own = write ? FAULT.scalableWritePermission : FAULT.scalableReadPermission
  return stage === 'firstStage' ? [own] : [FAULT.scalableSecondStageNotPresent, own]
}

const BEYOND: Readonly<Record<Stage, number>> = {
  legacy: FAULT.addressBeyondWidth,
  firstStage: FAULT.notCanonical,
  secondStage: FAULT.scalableAddressBeyondWidth,
}

/** Reason codes that fit each kind of fault, for reads and for writes. */
const FAULTS: Readonly<Record<string, (stage: Stage, access: Access) => readonly number[]>> = {
  'not-present': (stage, access) =>
    stage === 'firstStage' ? [FAULT.firstStageNotPresent] : denied(stage, access),
  'no-read-permission': stage => denied(stage, 'r'),
  'no-write-permission': stage => denied(stage, 'w'),
  'beyond-address-width': stage => [BEYOND[stage]],
}

class LinuxCheck {
  readonly failures: Failure[] = []
  checks = 0
  readonly #machine: LinuxMachine
  readonly #expect: LinuxTables['expect']
  /** By requester id. */
  readonly #stages = new Map<number, Stage>()

  constructor(tables: LinuxTables) {
    this.#expect = tables.expect
    this.#machine = new LinuxMachine(tables)
    for (const { rid, pasids } of tables.expect.contexts) {
      const pgtt = pasids?.find(({ pasid }) => pasid === 0)?.pgtt
      const stage = pgtt === undefined ? 'legacy' : pgtt === 1 ? 'firstStage' : 'secondStage'
      this.#stages.set(Number(rid), stage)
    }
  }

  run(): void {
    this.#registers()
    this.#contexts()
    for (const translation of this.#expect.translations) {
      const { rid, iova, access, phys, fault } = translation
      this.#translate(Number(rid), iova, access, phys, fault)
    }
    this.#mappings()
    for (const irte of this.#expect.irtes) this.#entry(irte)
    for (const msi of this.#expect.msi) this.#message(msi)
    this.#queue()
  }

  #say(fits: boolean, at: string, expected: string, got: string): void {
    this.checks++
    if (!fits) this.failures.push({ at, expected, got })
  }

  #registers(): void {
    for (const { name, offset, width } of [GSTS, RTADDR, IRTA]) {
      const wanted = BigInt(this.#expect.registers[name] ?? '0x0')
      if (name === 'IRTA' && this.#expect.irt === undefined) continue
      const got = this.#machine.readRegister(offset, width as 32 | 64)
      this.#say(got === wanted, name, `0x${wanted.toString(16)}`, `0x${got.toString(16)}`)
    }
  }

  #contexts(): void {
    for (const context of this.#expect.contexts) {
      const problem = contextProblem(this.#machine, context)
      const at = `context of ${formatRequesterId(Number(context.rid) as RequesterId)}`
      this.#say(problem === undefined, at, problem?.expected ?? '', problem?.got ?? '')
    }
  }

  #translate(rid: number, iova: string, access: Access, phys: string | undefined, fault?: string): void {
    const answer = this.#machine.access(rid, iova, access === 'w', phys)
    const at = `${formatRequesterId(rid as RequesterId)} ${access === 'w' ? 'writing' : 'reading'} ${iova}`
    const got = answer.physical === undefined ? `fault ${hex(answer.reason)}` : hex(answer.physical)
    if (phys !== undefined) {
      this.#say(answer.physical === Number(phys), at, phys, got)
      return
    }
    const codes = FAULTS[fault ?? '']?.(this.#stages.get(rid) ?? 'legacy', access)
    if (codes === undefined) {
      this.#say(false, at, `a fault of the kind ${fault}`, 'no rule for that kind')
      return
    }
    const expected = `${fault}, ${codes.map(code => hex(code)).join(' or ')}`
    this.#say(codes.includes(answer.reason), at, expected, got)
    const { record } = answer
    const recorded = record !== undefined && reasonOf(record) === answer.reason && sourceIdOf(record) === rid
    this.#say(recorded, `${at}: record`, `reason ${hex(answer.reason)} of ${hex(rid)}`, tellRecord(record))
  }

  /** Both ends of every run of leaves, in both directions, for one function of each domain. */
  #mappings(): void {
    const users = new Map<string, number>()
    for (const { rid, domain, pasids } of this.#expect.contexts) {
      const key = domain ?? pasids?.find(({ pasid }) => pasid === 0)?.domain
      if (key !== undefined && !users.has(key)) users.set(key, Number(rid))
    }
    for (const [key, { mappings }] of Object.entries(this.#expect.domains)) {
      const rid = users.get(key)
      if (rid === undefined) continue
      for (const [iova, length, physical, permission] of mappings) {
        for (const distance of new Set([0n, BigInt(length) - 1n])) {
          const at = `0x${(BigInt(iova) + distance).toString(16)}`
          const to = `0x${(BigInt(physical) + distance).toString(16)}`
          for (const access of ['r', 'w'] as const) {
            if (permission.includes(access)) this.#translate(rid, at, access, to)
            else {
              const missing = access === 'r' ? 'no-read-permission' : 'no-write-permission'
              this.#translate(rid, at, access, undefined, missing)
            }
          }
        }
      }
    }
  }

  /** An entry of the interrupt remapping table, by a request that names it. */
  #entry(irte: LinuxIrte): void {
    const { index, present, im, sid, svt, dst } = irte
    const at = `IRTE ${index}`
    if (!present || im !== 0) return
    const destination = this.#expect.irt?.eim ? dst : (dst >>> 8) & 0xff
    this.#interrupt(at, svt === 2 ? sid & 0xff00 : sid, handleAddress(index), '0x0', {
      ...irte,
      dest: destination,
    })
  }

  #message({ bdf, rid, address, data, expect }: LinuxMsi): void {
    if (expect.kind !== 'remappable' && expect.kind !== 'compatibility') {
      this.#say(false, `message of ${bdf}`, `a message of the kind ${expect.kind}`, 'no rule for that kind')
      return
    }
    this.#interrupt(`message of ${bdf}`, Number(rid), address, data, expect)
  }

  #interrupt(
    at: string,
    rid: number,
    address: string,
    data: string,
    expect: Pick<LinuxMsi['expect'], 'vector' | 'dest' | 'dm' | 'rh' | 'tm' | 'dlm' | 'svt' | 'index'>,
  ): void {
    const { reason, message, index } = this.#machine.interrupt(rid, address, data)
    const got = {
      fault: reason,
      index: expect.index === undefined ? -1 : index,
      vector: message.vector,
      dest: message.destination,
      dm: Number(message.logical),
      rh: Number(message.redirectionHint),
      tm: Number(message.levelTriggered),
      dlm: message.deliveryMode,
    }
    const { vector, dest, dm, rh, tm, dlm } = expect
    const wanted = { fault: 0, index: expect.index ?? -1, vector, dest, dm, rh, tm, dlm }
    this.#say(JSON.stringify(got) === JSON.stringify(wanted), at, JSON.stringify(wanted), JSON.stringify(got))
    if (!expect.svt) return
    // Another bus and another device: no way of validating the source can take it for the right one.
    const stranger = rid ^ 0x5508
    const refused = this.#machine.interrupt(stranger, address, data)
    this.#say(
      refused.reason === FAULT.sourceValidation && sourceIdOf(refused.record ?? [0n, 0n]) === stranger,
      `${at} sent by ${formatRequesterId(stranger as RequesterId)}`,
      `fault ${hex(FAULT.sourceValidation)}`,
      `fault ${hex(refused.reason)}, ${tellRecord(refused.record)}`,
    )
  }

  /** The unit takes every descriptor that the kernel left in the queue. */
  #queue(): void {
    const { registers } = this.#expect
    if ((Number(registers.GSTS) & GSTS.f.QIES.mask) === 0 || registers.IQT === undefined) return
    const machine = this.#machine
    machine.writeRegister(IQT.offset, 64, BigInt(registers.IQT))
    const head = machine.readRegister(IQH.offset, 64)
    const status = Number(machine.readRegister(FSTS.offset, 32))
    const done = head === BigInt(registers.IQT) && (status & FSTS.f.IQE.mask) === 0
    const got = `IQH 0x${head.toString(16)}, FSTS ${hex(status)}`
    this.#say(done, 'invalidation queue', `IQH ${registers.IQT} without an error`, got)
  }
}

/** The address of a remappable interrupt request without subhandle. */
const handleAddress = (index: number): string =>
  hex((0xfee0_0010 | ((index & 0x7fff) << 5) | ((index >>> 15) << 2)) >>> 0)
