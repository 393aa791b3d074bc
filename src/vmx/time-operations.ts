/** The time-stamp counter and performance counters; PAUSE, MONITOR, MWAIT and the user waits; RDRAND and RDSEED. */
import { complete, instructionExit } from './completion.ts'
import { type Core, MOMENT } from './core.ts'
import { raise } from './exceptions.ts'
import { PRIMARY, SECONDARY } from './formats/controls.ts'
import { ACTIVITY } from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { CR4, EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { randomForm } from './instruction-information.ts'
import { isLegalAddress } from './memory-operations.ts'
import { readTimeStampCounter, STORED } from './msr-access.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'

const PLE_GAP = slot('pleGap')
const PLE_WINDOW = slot('pleWindow')

const mayReadTime = (core: Core): boolean =>
  core.currentPrivilegeLevel === 0 || (core.registers[REGISTER.cr4]! & CR4.TSD) === 0

export function rdtsc(core: Core): void {
  if (!mayReadTime(core)) raise(core, EXCEPTION.GP, 0)
  else if (core.guestHas(PRIMARY.rdtscExiting)) instructionExit(core, EXIT_REASON.rdtsc, LENGTH.rdtsc)
  else giveTime(core, LENGTH.rdtsc)
}

export function rdtscp(core: Core): void {
  if (core.nonRoot && !core.guestHasSecondary(SECONDARY.enableRdtscp)) raise(core, EXCEPTION.UD)
  else if (!mayReadTime(core)) raise(core, EXCEPTION.GP, 0)
  else if (core.guestHas(PRIMARY.rdtscExiting)) instructionExit(core, EXIT_REASON.rdtscp, LENGTH.rdtscp)
  else {
    core.result.setRegisters(0, 0, core.storedMsrs[STORED.tscAux]! | 0, 0)
    giveTime(core, LENGTH.rdtscp)
  }
}

export function rdpid(core: Core): void {
  if (core.nonRoot && !core.guestHasSecondary(SECONDARY.enableRdtscp)) {
    raise(core, EXCEPTION.UD)
    return
  }
  core.result.setValue(core.storedMsrs[STORED.tscAux]! | 0, 0)
  complete(core, LENGTH.rdpid)
}

function giveTime(core: Core, length: number): void {
  readTimeStampCounter(core)
  core.result.setValue(core.msrValue[0]! | 0, core.msrValue[1]! | 0)
  complete(core, length)
}

/** Four general and three fixed counters, which do not count here. */
const isCounter = (counter: number): boolean => {
  const index = counter & 0x3fff_ffff
  return (counter & 0x4000_0000) === 0 ? index < 4 : index < 3
}

export function rdpmc(core: Core, { counter }: OperationOf<'rdpmc'>): void {
  if (core.currentPrivilegeLevel > 0 && (core.registers[REGISTER.cr4]! & CR4.PCE) === 0) {
    raise(core, EXCEPTION.GP, 0)
  } else if (core.guestHas(PRIMARY.rdpmcExiting)) instructionExit(core, EXIT_REASON.rdpmc, LENGTH.rdpmc)
  else if (isCounter(counter)) {
    core.result.setValue(0, 0)
    complete(core, LENGTH.rdpmc)
  } else raise(core, EXCEPTION.GP, 0)
}

/** "PAUSE-Loop Exiting" watches PAUSEs at CPL 0; "PAUSE exiting" makes each of them exit. */
export function pause(core: Core): void {
  const exits =
    core.guestHas(PRIMARY.pauseExiting) ||
    (core.guestHasSecondary(SECONDARY.pauseLoopExiting) &&
      core.currentPrivilegeLevel === 0 &&
      pausedTooLong(core))
  if (exits) instructionExit(core, EXIT_REASON.pause, LENGTH.pause)
  else complete(core, LENGTH.pause)
}

function pausedTooLong(core: Core): boolean {
  const { moments, vmcs } = core
  const now = core.timeStampCounter
  const sinceLast = now - moments[MOMENT.lastPause]!
  moments[MOMENT.lastPause] = now
  if (sinceLast <= vmcs[PLE_GAP]!) return now - moments[MOMENT.loopStart]! > vmcs[PLE_WINDOW]!
  moments[MOMENT.loopStart] = now
  return false
}

export function monitor(core: Core, { address }: OperationOf<'monitor'>): void {
  if (core.currentPrivilegeLevel > 0) raise(core, EXCEPTION.UD)
  else if (core.guestHas(PRIMARY.monitorExiting)) instructionExit(core, EXIT_REASON.monitor, LENGTH.monitor)
  else if (isLegalAddress(core, address)) {
    core.monitorArmed = true
    complete(core, LENGTH.monitor)
  }
}

/** An armed MWAIT waits as HLT does; nothing but an event ends it, for stores of others are not watched. */
export function mwait(core: Core, { extensions = 0 }: OperationOf<'mwait'>): void {
  if (core.currentPrivilegeLevel > 0) raise(core, EXCEPTION.UD)
  else if (core.guestHas(PRIMARY.mwaitExiting)) {
    core.exit.qualification[0] = core.monitorArmed ? 1 : 0
    instructionExit(core, EXIT_REASON.mwait, LENGTH.mwait)
  } else if ((extensions & ~1) !== 0) raise(core, EXCEPTION.GP, 0)
  else {
    const masked = (core.registers[REGISTER.rflags]! & RFLAGS.IF) === 0
    const breaks = (extensions & 1) !== 0 && masked
    const window = core.guestHas(PRIMARY.interruptWindowExiting) || core.virtualApic.recognized
    const waits = core.monitorArmed && !(breaks && window)
    core.monitorArmed = false
    complete(core, LENGTH.mwait)
    if (!waits) return
    core.registers[REGISTER.activity] = ACTIVITY.hlt
    core.result.outcome = 'halted'
  }
}

/** UMWAIT and TPAUSE: the wait is over at once, since their deadline is the program's own. */
export function userWait(core: Core, { op, register = 0 }: OperationOf<'umwait' | 'tpause'>): void {
  if (core.nonRoot && !core.guestHasSecondary(SECONDARY.enableUserWaitAndPause)) raise(core, EXCEPTION.UD)
  else if (!mayReadTime(core)) raise(core, EXCEPTION.GP, 0)
  else if (core.guestHas(PRIMARY.rdtscExiting)) {
    core.exit.instructionInformation = randomForm(register, 4)
    instructionExit(core, op === 'umwait' ? EXIT_REASON.umwait : EXIT_REASON.tpause, LENGTH[op])
  } else complete(core, LENGTH[op])
}

export function random(core: Core, { op, width = 8, register = 0 }: OperationOf<'rdrand' | 'rdseed'>): void {
  const control = op === 'rdrand' ? SECONDARY.rdrandExiting : SECONDARY.rdseedExiting
  if (core.guestHasSecondary(control)) {
    core.exit.instructionInformation = randomForm(register, width)
    instructionExit(core, op === 'rdrand' ? EXIT_REASON.rdrand : EXIT_REASON.rdseed, LENGTH[op])
    return
  }
  const low = core.random.integer(0, 0xffff_ffff)
  const high = width === 8 ? core.random.integer(0, 0xffff_ffff) : 0
  core.result.setValue(width === 2 ? low & 0xffff : low | 0, high | 0)
  const { OF, SF, ZF, AF, PF, CF } = RFLAGS
  core.registers[REGISTER.rflags] = (core.registers[REGISTER.rflags]! & ~(OF | SF | ZF | AF | PF)) | CF
  complete(core, LENGTH[op])
}
