/** VMRUN, VMLOAD, VMSAVE: the checks, the state that is loaded, event injection. */
import { pageOf } from '../../core/index.ts'
import { type Core, DEBUG } from '../core.ts'
import { deliverEvent } from '../event-delivery.ts'
import { EFER_SVME, INTERCEPT2, SVM_EVENT, TLB_CONTROL, VMCB } from '../formats/amd-v.ts'
import { ACTIVITY, EVENT_TYPE, INTERRUPTIBILITY } from '../formats/events.ts'
import { CR0, CR4, EFER, RFLAGS } from '../formats/msrs.ts'
import { REGISTER } from '../registers.ts'
import {
  at,
  LOADED,
  loadSegment,
  SWITCHED,
  SYSENTER,
  saveSegment,
  TABLES,
  vmcbWords,
  WIDE,
} from './save-area.ts'

/** VMLOAD and VMSAVE. */
export function transferHidden(core: Core, page: number, load: boolean): void {
  const words = core.memory.pageForWrite(page)!.words
  const { registers } = core
  for (const [name, offset] of LOADED) (load ? loadSegment : saveSegment)(core, words, name, offset)
  for (const [register, offset] of SYSENTER) {
    for (let word = 0; word < 2; word++) {
      if (load) registers[register + word] = words[at(offset) + word]!
      else words[at(offset) + word] = registers[register + word]!
    }
  }
  if (load) registers[REGISTER.sysenterCs] = words[at(VMCB.sysenterCs)]!
  else words[at(VMCB.sysenterCs)] = registers[REGISTER.sysenterCs]!
}

/** "Canonicalization and Consistency Checks". */
function isConsistent(core: Core, words: Uint32Array): boolean {
  const efer = words[at(VMCB.efer)]!
  const cr0 = words[at(VMCB.cr0)]!
  const cr4 = words[at(VMCB.cr4)]!
  const attributes = words[at(VMCB.cs)]! >>> 16
  const long = (efer & EFER.LME) !== 0 && (cr0 & CR0.PG) !== 0
  const high = (offset: number): boolean => words[at(offset) + 1] === 0
  const csLong = (attributes & 0x200) !== 0
  return (
    (words[at(VMCB.interceptMisc2)]! & (1 << INTERCEPT2.vmrun)) !== 0 &&
    words[at(VMCB.asid)] !== 0 &&
    (efer & EFER_SVME) !== 0 &&
    (efer & ~(EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE | EFER_SVME)) === 0 &&
    high(VMCB.efer) &&
    high(VMCB.cr0) &&
    high(VMCB.cr4) &&
    high(VMCB.dr6) &&
    high(VMCB.dr7) &&
    ((cr0 & CR0.CD) !== 0 || (cr0 & CR0.NW) === 0) &&
    !(long && (cr4 & CR4.PAE) === 0) &&
    !(long && (cr0 & CR0.PE) === 0) &&
    !(long && csLong && (attributes & 0x400) !== 0) &&
    (!isNested(words) || !core.beyondWidth(words[at(VMCB.nestedCr3) + 1]! | 0))
  )
}

const isNested = (words: Uint32Array): boolean => (words[at(VMCB.nestedControl)]! & 1) !== 0

/** VMRUN, whose own faults have been checked. */
export function vmrun(core: Core, address: number): void {
  const { svm, registers } = core
  svm.host.set(registers)
  svm.hostInterrupts = (registers[REGISTER.rflags]! & RFLAGS.IF) !== 0
  svm.vmcbPage = pageOf(address)
  const words = vmcbWords(core)
  if (!isConsistent(core, words)) {
    words[at(VMCB.exitCode)] = 0xffff_ffff
    words[at(VMCB.exitCode) + 1] = 0xffff_ffff
    svm.globalInterrupts = false
    core.result.outcome = 'vmExit'
    return
  }
  const control = words[at(VMCB.tlbControl)]! & 7
  svm.asid = words[at(VMCB.asid)]!
  if (control === TLB_CONTROL.all) core.linear.invalidateAll()
  else if (control !== TLB_CONTROL.none) core.linear.invalidate(svm.asid, -1, false)
  if (control !== TLB_CONTROL.none) core.npt.invalidate()
  svm.nested = isNested(words)
  svm.nestedRoot = words[at(VMCB.nestedCr3) + 1]! * 2 ** 20 + (words[at(VMCB.nestedCr3)]! >>> 12)
  loadGuest(core, words)
  svm.guest = true
  svm.globalInterrupts = true
  inject(core, words)
}

function loadGuest(core: Core, words: Uint32Array): void {
  const { registers, debug } = core
  for (const [register, offset] of WIDE) {
    registers[register] = words[at(offset)]!
    registers[register + 1] = words[at(offset) + 1]!
  }
  registers[REGISTER.efer] = words[at(VMCB.efer)]!
  debug[DEBUG.cr2] = words[at(VMCB.cr2)]!
  debug[DEBUG.cr2 + 1] = words[at(VMCB.cr2) + 1]!
  debug[DEBUG.dr6] = words[at(VMCB.dr6)]!
  for (const [name, offset] of SWITCHED) loadSegment(core, words, name, offset)
  const level = words[at(VMCB.cpl)]! >>> 24
  registers[REGISTER.ssAccessRights] = (registers[REGISTER.ssAccessRights]! & ~(3 << 5)) | (level << 5)
  for (const [base, limit, offset] of TABLES) {
    registers[limit] = words[at(offset) + 1]!
    registers[base] = words[at(offset) + 2]!
    registers[base + 1] = words[at(offset) + 3]!
  }
  registers[REGISTER.activity] = ACTIVITY.active
  registers[REGISTER.interruptibility] =
    (words[at(VMCB.interruptShadow)]! & 1) !== 0 ? INTERRUPTIBILITY.blockingBySti : 0
}

/** "Event Injection": types 0 external, 2 NMI, 3 exception, 4 software interrupt. */
function inject(core: Core, words: Uint32Array): void {
  const event = words[at(VMCB.eventInjection)]!
  if ((event & SVM_EVENT.valid) === 0) return
  const error = (event & SVM_EVENT.hasError) !== 0 ? words[at(VMCB.eventInjection) + 1]! : -1
  const type = (event >>> 8) & 7
  words[at(VMCB.eventInjection)] = 0
  core.result.vector = event & 0xff
  const length = type === EVENT_TYPE.softwareInterrupt ? 2 : 0
  deliverEvent(core, type, event & 0xff, error, length)
}
