/**
 * "Changes to Instruction Behavior in VMX Non-Root Operation" for control and debug registers: guest/host masks and read
 * shadows, CR3 targets, the TPR shadow; and the checks that the instructions themselves make.
 */
import { virtualizeTprWrite, virtualTaskPriority } from './apic-virtualization.ts'
import { CR0_FIXED0, CR4_FIXED0, cr4Allowed } from './capabilities.ts'
import { complete, instructionExit, privileged } from './completion.ts'
import { type Core, DEBUG } from './core.ts'
import { accessFailed, raise } from './exceptions.ts'
import { PRIMARY, SECONDARY } from './formats/controls.ts'
import {
  CR_ACCESS,
  crAccessQualification,
  DEBUG_CONDITION,
  LMSW_MEMORY_OPERAND,
  movDrQualification,
} from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { CR0, CR4, EFER, EXCEPTION } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { loadPdptes, usesPdptes } from './pdptes.ts'
import { FAILURE } from './processor-memory.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'

const CR0_MASK = slot('cr0GuestHostMask')
const CR4_MASK = slot('cr4GuestHostMask')
const CR0_SHADOW = slot('cr0ReadShadow')
const CR4_SHADOW = slot('cr4ReadShadow')
const CR3_COUNT = slot('cr3TargetCount')
const CR3_TARGETS = [0, 1, 2, 3].map(i => slot(`cr3TargetValue${i as 0 | 1 | 2 | 3}`))

const LMSW_BITS = CR0.PE | CR0.MP | CR0.EM | CR0.TS
const DR7_GD = 1 << 13

/** A guest's value with the bits that the host owns kept, and what it reads of them. */
const masked = (value: number, mask: number, kept: number): number => ((kept & mask) | (value & ~mask)) >>> 0

function exitForCr(core: Core, qualification: number, length: number): void {
  core.exit.qualification[0] = qualification
  instructionExit(core, EXIT_REASON.controlRegisterAccess, length)
}

export function movToCr(core: Core, { cr, value, register = 0 }: OperationOf<'movToCr'>): void {
  if (!privileged(core)) return
  const { vmcs } = core
  let exits = false
  if (core.nonRoot) {
    switch (cr) {
      case 0:
        exits = hostBitDiffers(core, value, CR0_MASK, CR0_SHADOW)
        break
      case 4:
        exits = hostBitDiffers(core, value, CR4_MASK, CR4_SHADOW)
        break
      case 3:
        exits = core.guestHas(PRIMARY.cr3LoadExiting) && !isCr3Target(core, value[0], value[1])
        break
      case 8:
        exits = core.guestHas(PRIMARY.cr8LoadExiting)
    }
  }
  if (exits) {
    exitForCr(core, crAccessQualification(cr, CR_ACCESS.movTo, register), LENGTH.movToCr)
    return
  }
  const mask = core.nonRoot && (cr === 0 || cr === 4) ? vmcs[cr === 0 ? CR0_MASK : CR4_MASK]! : 0
  const legal =
    cr === 0
      ? loadCr0(core, masked(value[0], mask, core.registers[REGISTER.cr0]!), value[1])
      : cr === 4
        ? loadCr4(core, masked(value[0], mask, core.registers[REGISTER.cr4]!), value[1])
        : cr === 3
          ? loadCr3(core, value[0], value[1])
          : cr === 2
            ? loadCr2(core, value[0], value[1])
            : loadCr8(core, value[0], value[1])
  if (legal) complete(core, LENGTH.movToCr)
  else if (core.result.outcome === 'done') raise(core, EXCEPTION.GP, 0)
}

/** Whether a bit that the host owns is written with another value than its read shadow's. Bits 63:32 are reserved. */
function hostBitDiffers(core: Core, value: readonly [number, number], mask: number, shadow: number): boolean {
  const { vmcs } = core
  const low = (value[0] ^ vmcs[shadow]!) & vmcs[mask]!
  return low !== 0 || ((value[1] ^ vmcs[shadow + 1]!) & vmcs[mask + 1]!) !== 0
}

function isCr3Target(core: Core, low: number, high: number): boolean {
  const { vmcs } = core
  for (let i = 0; i < vmcs[CR3_COUNT]!; i++) {
    const field = CR3_TARGETS[i]!
    if (vmcs[field] === low >>> 0 && vmcs[field + 1] === high >>> 0) return true
  }
  return false
}

/** Bits of CR0 that VMX operation fixes; an unrestricted guest may clear PE and PG. */
function cr0MustBeOne(core: Core): number {
  if (!core.vmxOn) return 0
  return core.guestHasSecondary(SECONDARY.unrestrictedGuest) ? CR0_FIXED0 & ~(CR0.PE | CR0.PG) : CR0_FIXED0
}

/** False: #GP(0), with nothing changed. */
function loadCr0(core: Core, value: number, high: number): boolean {
  const { registers } = core
  const old = registers[REGISTER.cr0]!
  if (high !== 0 || (~value & cr0MustBeOne(core)) !== 0) return false
  if ((value & (CR0.PG | CR0.PE)) >>> 0 === CR0.PG || ((value & CR0.NW) !== 0 && (value & CR0.CD) === 0))
    return false
  const turnsOn = (value & ~old & CR0.PG) !== 0
  const turnsOff = (~value & old & CR0.PG) !== 0
  const cr4 = registers[REGISTER.cr4]!
  if (turnsOn && (registers[REGISTER.efer]! & EFER.LME) !== 0) {
    if ((cr4 & CR4.PAE) === 0 || core.code64) return false
    registers[REGISTER.efer]! |= EFER.LMA
  }
  if (turnsOff) {
    if (core.code64 || (cr4 & CR4.PCIDE) !== 0) return false
    registers[REGISTER.efer]! &= ~EFER.LMA
  }
  registers[REGISTER.cr0] = value | CR0.ET
  const flushes = ((value ^ old) & (CR0.PG | CR0.PE | CR0.WP)) !== 0
  if (flushes) core.linear.invalidate(core.access.paging.vpid, -1, false)
  if (turnsOn && usesPdptes(core) && !reloadPdptes(core)) {
    registers[REGISTER.cr0] = old
    return false
  }
  return true
}

function loadCr4(core: Core, value: number, high: number): boolean {
  const { registers } = core
  const old = registers[REGISTER.cr4]!
  if (high !== 0 || (value & ~cr4Allowed(core.capabilities)) !== 0) return false
  if (core.vmxOn && (~value & CR4_FIXED0) !== 0) return false
  if (core.ia32eMode && (value & CR4.PAE) === 0) return false
  // LA57 changes only while paging is off.
  if (core.ia32eMode && ((value ^ old) & CR4.LA57) !== 0) return false
  const setsPcide = (value & ~old & CR4.PCIDE) !== 0
  if (setsPcide && (!core.ia32eMode || (registers[REGISTER.cr3]! & 0xfff) !== 0)) return false
  registers[REGISTER.cr4] = value
  const paging = CR4.PSE | CR4.PAE | CR4.PGE | CR4.PCIDE | CR4.SMEP
  if (((value ^ old) & paging) === 0) return true
  core.linear.invalidate(core.access.paging.vpid, -1, false)
  if (!usesPdptes(core) || reloadPdptes(core)) return true
  registers[REGISTER.cr4] = old
  return false
}

const NO_INVALIDATION = 0x8000_0000

function loadCr3(core: Core, low: number, high: number): boolean {
  const { registers } = core
  const pcids = (registers[REGISTER.cr4]! & CR4.PCIDE) !== 0
  const keeps = pcids && (high & NO_INVALIDATION) !== 0
  const address = keeps ? (high & 0x7fff_ffff) >>> 0 : high >>> 0
  if (core.ia32eMode ? core.beyondWidth(address) : address !== 0) return false
  const oldLow = registers[REGISTER.cr3]!
  const oldHigh = registers[REGISTER.cr3 + 1]!
  registers[REGISTER.cr3] = low
  registers[REGISTER.cr3 + 1] = address
  if (usesPdptes(core) && !reloadPdptes(core)) {
    registers[REGISTER.cr3] = oldLow
    registers[REGISTER.cr3 + 1] = oldHigh
    return false
  }
  if (!keeps) core.linear.invalidate(core.access.paging.vpid, pcids ? low & 0xfff : -1, true)
  return true
}

/** MOV to CR with PAE paging: under EPT, CR3 is guest-physical, and the access may exit with no linear address. */
function reloadPdptes(core: Core): boolean {
  if (!core.guestHasSecondary(SECONDARY.enableEpt)) return loadPdptes(core)
  if (core.access.loadGuestPdptes()) return true
  if (core.access.failure !== FAILURE.none) accessFailed(core)
  return false
}

/** CR2 holds any linear address, and no control watches it. */
function loadCr2({ debug }: Core, low: number, high: number): boolean {
  debug[DEBUG.cr2] = low
  debug[DEBUG.cr2 + 1] = high
  return true
}

function loadCr8(core: Core, low: number, high: number): boolean {
  if ((low & ~0xf) !== 0 || high !== 0) return false
  if (core.guestHas(PRIMARY.useTprShadow)) virtualizeTprWrite(core, low)
  else core.apic.taskPriority = low << 4
  return true
}

export function movFromCr(core: Core, { cr, register = 0 }: OperationOf<'movFromCr'>): void {
  if (!privileged(core)) return
  const { registers, result, vmcs } = core
  const exits =
    (cr === 3 && core.guestHas(PRIMARY.cr3StoreExiting)) ||
    (cr === 8 && core.guestHas(PRIMARY.cr8StoreExiting))
  if (exits) {
    exitForCr(core, crAccessQualification(cr, CR_ACCESS.movFrom, register), LENGTH.movFromCr)
    return
  }
  switch (cr) {
    case 0:
      result.setValue(
        core.nonRoot
          ? visible(registers[REGISTER.cr0]!, vmcs, CR0_MASK, CR0_SHADOW)
          : registers[REGISTER.cr0]! | 0,
        0,
      )
      break
    case 4:
      result.setValue(
        core.nonRoot
          ? visible(registers[REGISTER.cr4]!, vmcs, CR4_MASK, CR4_SHADOW)
          : registers[REGISTER.cr4]! | 0,
        0,
      )
      break
    case 2:
      result.setValue(core.debug[DEBUG.cr2]! | 0, core.debug[DEBUG.cr2 + 1]! | 0)
      break
    case 3:
      result.setValue(registers[REGISTER.cr3]! | 0, registers[REGISTER.cr3 + 1]! | 0)
      break
    case 8:
      result.setValue(
        core.guestHas(PRIMARY.useTprShadow) ? virtualTaskPriority(core) : core.apic.taskPriority >>> 4,
        0,
      )
  }
  complete(core, LENGTH.movFromCr)
}

/** What a guest reads: of the bits that the host owns, the read shadow. */
const visible = (value: number, vmcs: Uint32Array, mask: number, shadow: number): number =>
  (value & ~vmcs[mask]!) | (vmcs[shadow]! & vmcs[mask]!)

/** SMSW may be executed at every privilege level, and never exits. */
export function smsw(core: Core): void {
  const { registers, result, vmcs } = core
  const cr0 = registers[REGISTER.cr0]!
  if (core.currentPrivilegeLevel > 0 && (registers[REGISTER.cr4]! & CR4.UMIP) !== 0) {
    raise(core, EXCEPTION.GP, 0)
    return
  }
  result.setValue(core.nonRoot ? visible(cr0, vmcs, CR0_MASK, CR0_SHADOW) : cr0 | 0, 0)
  complete(core, LENGTH.smsw)
}

export function clts(core: Core): void {
  if (!privileged(core)) return
  const { registers, vmcs } = core
  const owned = core.nonRoot && (vmcs[CR0_MASK]! & CR0.TS) !== 0
  if (owned && (vmcs[CR0_SHADOW]! & CR0.TS) !== 0) {
    exitForCr(core, crAccessQualification(0, CR_ACCESS.clts, 0), LENGTH.clts)
    return
  }
  if (!owned) registers[REGISTER.cr0]! &= ~CR0.TS
  complete(core, LENGTH.clts)
}

export function lmsw(core: Core, { source, address, register = 0 }: OperationOf<'lmsw'>): void {
  if (!privileged(core)) return
  const { registers, vmcs, access, exit } = core
  let data = source & 0xffff
  if (address !== undefined) {
    if (!access.readLinear(address[0], address[1], 2, access.accessor)) {
      accessFailed(core)
      return
    }
    data = access.value[0]! & 0xffff
  }
  const mask = core.nonRoot ? vmcs[CR0_MASK]! & LMSW_BITS : 0
  const shadow = vmcsWord(core, CR0_SHADOW)
  const setsPe = (mask & data & ~shadow & CR0.PE) !== 0
  if (setsPe || ((data ^ shadow) & mask & ~CR0.PE) !== 0) {
    if (address !== undefined) {
      exit.linear[0] = address[0]
      exit.linear[1] = address[1]
      exit.hasLinear = true
    }
    const form = address === undefined ? 0 : LMSW_MEMORY_OPERAND
    exitForCr(core, crAccessQualification(0, CR_ACCESS.lmsw, register, data) | form, LENGTH.lmsw)
    return
  }
  // LMSW sets PE, but never clears it.
  const old = registers[REGISTER.cr0]!
  const written = LMSW_BITS & ~mask & ~(old & CR0.PE)
  if (loadCr0(core, ((old & ~written) | (data & written)) >>> 0, 0)) complete(core, LENGTH.lmsw)
  else raise(core, EXCEPTION.GP, 0)
}

const vmcsWord = (core: Core, field: number): number => (core.nonRoot ? core.vmcs[field]! : 0)

/** MOV DR exits before every check but the decoding of its operands. */
export function movDr(core: Core, operation: OperationOf<'movToDr'> | OperationOf<'movFromDr'>): void {
  const from = operation.op === 'movFromDr'
  const { registers, debug, result } = core
  if (core.guestHas(PRIMARY.movDrExiting)) {
    core.exit.qualification[0] = movDrQualification(operation.dr, from, operation.register ?? 0)
    instructionExit(core, EXIT_REASON.movDr, LENGTH.movToDr)
    return
  }
  let dr = operation.dr
  if (dr === 4 || dr === 5) {
    if ((registers[REGISTER.cr4]! & CR4.DE) !== 0) {
      raise(core, EXCEPTION.UD)
      return
    }
    dr += 2
  }
  if (!privileged(core)) return
  if ((registers[REGISTER.dr7]! & DR7_GD) !== 0) {
    registers[REGISTER.pendingDebug]! |= DEBUG_CONDITION.BD
    registers[REGISTER.dr7]! &= ~DR7_GD
    raise(core, EXCEPTION.DB)
    return
  }
  const words = dr === 7 ? registers : debug
  const at = dr === 7 ? REGISTER.dr7 : dr === 6 ? DEBUG.dr6 : DEBUG.dr0 + dr * 2
  if (operation.op === 'movFromDr') result.setValue(words[at]! | 0, words[at + 1]! | 0)
  else {
    const { value } = operation
    if (dr >= 6 && value[1] !== 0) {
      raise(core, EXCEPTION.GP, 0)
      return
    }
    words[at] = dr === 7 ? (value[0] & 0xffff_2fff) | 0x400 : dr === 6 ? value[0] | 0xffff_0ff0 : value[0]
    words[at + 1] = value[1]
  }
  complete(core, LENGTH.movToDr)
}
