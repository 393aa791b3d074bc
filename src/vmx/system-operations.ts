/** CPUID, HLT, the invalidations of caches and translations, XSETBV, XSAVES, GETSEC, RSM. */
import { complete, instructionExit, privileged } from './completion.ts'
import type { Core } from './core.ts'
import { cpuid as answer } from './cpuid.ts'
import { raise } from './exceptions.ts'
import { PRIMARY, SECONDARY } from './formats/controls.ts'
import { INVPCID } from './formats/ept.ts'
import { ACTIVITY } from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { CR4, EXCEPTION } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { memoryForm } from './instruction-information.ts'
import { STORED } from './msr-access.ts'
import { REGISTER } from './registers.ts'
import { isCanonical } from './values.ts'
import { slot } from './vmcs-layout.ts'

const XSS_BITMAP = slot('xssExitingBitmap')
/** XCR0: x87, SSE and AVX state. x87 must be there; AVX needs SSE. */
const XCR0 = { x87: 1, sse: 2, avx: 4, all: 7 } as const

export function cpuid(core: Core, { leaf, subleaf = 0 }: OperationOf<'cpuid'>): void {
  if (core.nonRoot) {
    instructionExit(core, EXIT_REASON.cpuid, LENGTH.cpuid)
    return
  }
  answer(core, leaf, subleaf)
  complete(core, LENGTH.cpuid)
}

export function hlt(core: Core): void {
  if (!privileged(core)) return
  if (core.guestHas(PRIMARY.hltExiting)) {
    instructionExit(core, EXIT_REASON.hlt, LENGTH.hlt)
    return
  }
  complete(core, LENGTH.hlt)
  core.registers[REGISTER.activity] = ACTIVITY.hlt
  core.result.outcome = 'halted'
}

/** Memory is always coherent here: INVD and WBINVD have no effect beyond their exits. */
export function invalidateCaches(core: Core, { op }: OperationOf<'invd' | 'wbinvd'>): void {
  if (!privileged(core)) return
  if (op === 'invd' && core.nonRoot) instructionExit(core, EXIT_REASON.invd, LENGTH.invd)
  else if (op === 'wbinvd' && core.guestHasSecondary(SECONDARY.wbinvdExiting)) {
    instructionExit(core, EXIT_REASON.wbinvd, LENGTH.wbinvd)
  } else complete(core, LENGTH[op])
}

/** A non-canonical address makes INVLPG a no-operation. */
export function invlpg(core: Core, { address }: OperationOf<'invlpg'>): void {
  if (!privileged(core)) return
  if (core.guestHas(PRIMARY.invlpgExiting)) {
    core.exit.qualification[0] = address[0]
    core.exit.qualification[1] = address[1]
    instructionExit(core, EXIT_REASON.invlpg, LENGTH.invlpg)
    return
  }
  core.linear.invalidatePage(pageOf64(address), core.access.paging.vpid)
  complete(core, LENGTH.invlpg)
}

const pageOf64 = (address: readonly [number, number]): number =>
  (address[1] >>> 0) * 2 ** 20 + (address[0] >>> 12)

export function invpcid(core: Core, operation: OperationOf<'invpcid'>): void {
  if (core.nonRoot && !core.guestHasSecondary(SECONDARY.enableInvpcid)) {
    raise(core, EXCEPTION.UD)
    return
  }
  if (!privileged(core)) return
  if (core.guestHas(PRIMARY.invlpgExiting)) {
    displacement(core, operation)
    core.exit.instructionInformation = memoryForm(operation)
    instructionExit(core, EXIT_REASON.invpcid, LENGTH.invpcid)
    return
  }
  if (invalidatePcid(core, operation)) complete(core, LENGTH.invpcid)
  else raise(core, EXCEPTION.GP, 0)
}

/** Exit qualification of an instruction with a memory operand: its displacement. */
export function displacement(
  core: Core,
  { operand }: { operand?: { displacement?: readonly [number, number] } },
): void {
  if (operand?.displacement === undefined) return
  core.exit.qualification[0] = operand.displacement[0]
  core.exit.qualification[1] = operand.displacement[1]
}

const NO_ADDRESS = [0, 0] as const

function invalidatePcid(core: Core, { type, pcid, address = NO_ADDRESS }: OperationOf<'invpcid'>): boolean {
  if (pcid > 0xfff || type > INVPCID.allRetainingGlobals) return false
  const pcids = (core.registers[REGISTER.cr4]! & CR4.PCIDE) !== 0
  if (!pcids && pcid !== 0 && type <= INVPCID.singleContext) return false
  const { vpid } = core.access.paging
  switch (type) {
    case INVPCID.individualAddress:
      if (!isCanonical(address[1] | 0)) return false
      core.linear.invalidatePage(pageOf64(address), vpid)
      return true
    case INVPCID.singleContext:
      core.linear.invalidate(vpid, pcid, true)
      return true
    case INVPCID.allIncludingGlobals:
      core.linear.invalidate(vpid, -1, false)
      return true
    default:
      core.linear.invalidate(vpid, -1, true)
      return true
  }
}

export function xsetbv(core: Core, { index, value }: OperationOf<'xsetbv'>): void {
  if ((core.registers[REGISTER.cr4]! & CR4.OSXSAVE) === 0) {
    raise(core, EXCEPTION.UD)
    return
  }
  if (!privileged(core)) return
  if (core.nonRoot) {
    instructionExit(core, EXIT_REASON.xsetbv, LENGTH.xsetbv)
    return
  }
  const wrong = (value[0] & ~XCR0.all) !== 0 || value[1] !== 0 || (value[0] & XCR0.x87) === 0
  const avxAlone = (value[0] & (XCR0.avx | XCR0.sse)) === XCR0.avx
  if (index !== 0 || wrong || avxAlone) {
    raise(core, EXCEPTION.GP, 0)
    return
  }
  core.xcr0[0] = value[0]
  complete(core, LENGTH.xsetbv)
}

/** XSAVES and XRSTORS exit if a state component that they would handle is in the XSS-exiting bitmap. Their area is not modelled. */
export function supervisorState(core: Core, operation: OperationOf<'xsaves' | 'xrstors'>): void {
  const { op, mask } = operation
  const enabled = !core.nonRoot || core.guestHasSecondary(SECONDARY.enableXsavesXrstors)
  if (!enabled || (core.registers[REGISTER.cr4]! & CR4.OSXSAVE) === 0) {
    raise(core, EXCEPTION.UD)
    return
  }
  if (!privileged(core)) return
  const { vmcs, storedMsrs } = core
  const handled = (word: 0 | 1): number =>
    mask[word] & storedMsrs[STORED.xss + word]! & vmcs[XSS_BITMAP + word]!
  if (core.nonRoot && (handled(0) !== 0 || handled(1) !== 0)) {
    displacement(core, operation)
    core.exit.instructionInformation = memoryForm(operation)
    instructionExit(core, op === 'xsaves' ? EXIT_REASON.xsaves : EXIT_REASON.xrstors, LENGTH[op])
    return
  }
  complete(core, LENGTH[op])
}

/** GETSEC[CAPABILITIES] finds no chipset for safer mode; the other leaves are not there. */
export function getsec(core: Core, { leaf }: OperationOf<'getsec'>): void {
  if ((core.registers[REGISTER.cr4]! & CR4.SMXE) === 0) raise(core, EXCEPTION.UD)
  else if (core.nonRoot) instructionExit(core, EXIT_REASON.getsec, LENGTH.getsec)
  else if (leaf !== 0) raise(core, EXCEPTION.UD)
  else {
    core.result.setRegisters(0, 0, 0, 0)
    complete(core, LENGTH.getsec)
  }
}

/** Outside system-management mode, which this core does not enter, RSM is no instruction. */
export const rsm = (core: Core): void => raise(core, EXCEPTION.UD)
