/** "SVM Intercepts": which operations and events of a guest leave it, and with what information. */
import type { Core } from '../core.ts'
import { INTERCEPT1, INTERCEPT2, ioInformation, SVM_EXIT, VIRTUAL_INTERRUPT, VMCB } from '../formats/amd-v.ts'
import { INTERRUPTIBILITY } from '../formats/events.ts'
import { RFLAGS } from '../formats/msrs.ts'
import { LENGTH } from '../formats/operation-lengths.ts'
import type { Operation } from '../formats/operations.ts'
import { REGISTER } from '../registers.ts'
import { at, vmcbWords } from './save-area.ts'
import { svmExit } from './svm-exit.ts'

const BLOCKING = INTERRUPTIBILITY.blockingBySti | INTERRUPTIBILITY.blockingByMovSs

/** Operations by their bit of the two words of miscellaneous intercepts. */
const FIRST: Readonly<Partial<Record<Operation['op'], number>>> = {
  rdtsc: INTERCEPT1.rdtsc,
  rdpmc: INTERCEPT1.rdpmc,
  pushf: INTERCEPT1.pushf,
  popf: INTERCEPT1.popf,
  cpuid: INTERCEPT1.cpuid,
  rsm: INTERCEPT1.rsm,
  iret: INTERCEPT1.iret,
  iretFrame: INTERCEPT1.iret,
  int: INTERCEPT1.int,
  invd: INTERCEPT1.invd,
  pause: INTERCEPT1.pause,
  hlt: INTERCEPT1.hlt,
  invlpg: INTERCEPT1.invlpg,
}
const SECOND: Readonly<Partial<Record<Operation['op'], number>>> = {
  vmrun: INTERCEPT2.vmrun,
  vmmcall: INTERCEPT2.vmmcall,
  vmload: INTERCEPT2.vmload,
  vmsave: INTERCEPT2.vmsave,
  stgi: INTERCEPT2.stgi,
  clgi: INTERCEPT2.clgi,
  rdtscp: INTERCEPT2.rdtscp,
  wbinvd: INTERCEPT2.wbinvd,
  monitor: INTERCEPT2.monitor,
  mwait: INTERCEPT2.mwait,
}
/** "#GP and the intercept: exceptions of the privilege check come first" for these. */
const PRIVILEGED: readonly Operation['op'][] = [
  'hlt',
  'invd',
  'wbinvd',
  'invlpg',
  'movToCr',
  'movFromCr',
  'rdmsr',
  'wrmsr',
  'vmrun',
  'vmload',
  'vmsave',
  'stgi',
  'clgi',
  'monitor',
  'mwait',
]

/** Interrupts between two operations of a guest. True: it has been left. */
export function svmEventBefore(core: Core): boolean {
  const { svm, apic, registers } = core
  const words = vmcbWords(core)
  const intercepts = words[at(VMCB.interceptMisc1)]!
  const masked = (words[at(VMCB.virtualInterrupt)]! & VIRTUAL_INTERRUPT.masking) !== 0
  const open = masked ? svm.hostInterrupts : (registers[REGISTER.rflags]! & RFLAGS.IF) !== 0
  if (apic.deliverable >= 0 && open && (intercepts & (1 << INTERCEPT1.intr)) !== 0) {
    svmExit(core, SVM_EXIT.intr)
    return true
  }
  const wanted = (words[at(VMCB.virtualInterrupt)]! & VIRTUAL_INTERRUPT.irq) !== 0
  const takes =
    (registers[REGISTER.rflags]! & RFLAGS.IF) !== 0 &&
    (registers[REGISTER.interruptibility]! & BLOCKING) === 0
  if (wanted && takes && (intercepts & (1 << INTERCEPT1.vintr)) !== 0) {
    svmExit(core, SVM_EXIT.vintr)
    return true
  }
  return false
}

/** True: the operation is intercepted, and the guest has been left. */
export function intercepted(core: Core, operation: Operation): boolean {
  const { op } = operation
  if (core.currentPrivilegeLevel > 0 && PRIVILEGED.includes(op)) return false
  const words = vmcbWords(core)
  const first = FIRST[op]
  if (first !== undefined && (words[at(VMCB.interceptMisc1)]! & (1 << first)) !== 0) {
    return leave(core, operation, SVM_EXIT.misc1 + first)
  }
  const second = SECOND[op]
  if (second !== undefined && (words[at(VMCB.interceptMisc2)]! & (1 << second)) !== 0) {
    return leave(core, operation, SVM_EXIT.misc2 + second)
  }
  switch (operation.op) {
    case 'movFromCr':
    case 'movToCr': {
      const write = operation.op === 'movToCr'
      const bit = operation.cr + (write ? 16 : 0)
      if ((words[at(VMCB.interceptCr)]! & (1 << bit)) === 0) return false
      return leave(core, operation, (write ? SVM_EXIT.writeCr0 : SVM_EXIT.readCr0) + operation.cr)
    }
    case 'rdmsr':
    case 'wrmsr':
      if ((words[at(VMCB.interceptMisc1)]! & (1 << INTERCEPT1.msr)) === 0) return false
      if (!msrIntercepted(core, words, operation.msr, operation.op === 'wrmsr')) return false
      return leave(core, operation, SVM_EXIT.msr, operation.op === 'wrmsr' ? 1 : 0)
    case 'in':
    case 'out':
      return portIntercepted(core, words, operation)
  }
  return false
}

function leave(core: Core, { op }: Operation, code: number, info1 = 0, info2 = 0): true {
  const words = vmcbWords(core)
  words[at(VMCB.nextRip)] = core.registers[REGISTER.rip]! + LENGTH[op]
  words[at(VMCB.nextRip) + 1] = core.registers[REGISTER.rip + 1]!
  svmExit(core, code, info1, 0, info2)
  return true
}

/** Two bits for each MSR of three ranges; what lies outside always exits. */
function msrIntercepted(core: Core, words: Uint32Array, msr: number, write: boolean): boolean {
  const ranges = [0, 0xc000_0000, 0xc001_0000]
  const range = ranges.findIndex(first => msr >= first && msr < first + 0x2000)
  if (range < 0) return true
  const bit = (msr - ranges[range]!) * 2 + (write ? 1 : 0)
  const base = words[at(VMCB.msrPermissions) + 1]! * 2 ** 32 + words[at(VMCB.msrPermissions)]!
  return (core.map.readDword(base + range * 0x800 + (bit >>> 5) * 4) & (1 << (bit & 31))) !== 0
}

function portIntercepted(
  core: Core,
  words: Uint32Array,
  operation: Extract<Operation, { op: 'in' | 'out' }>,
): boolean {
  const { port, width } = operation
  if ((words[at(VMCB.interceptMisc1)]! & (1 << INTERCEPT1.ioio)) === 0) return false
  const iopl = (core.registers[REGISTER.rflags]! & RFLAGS.IOPL) >>> 12
  if (core.currentPrivilegeLevel > iopl) return false
  const base = words[at(VMCB.ioPermissions) + 1]! * 2 ** 32 + words[at(VMCB.ioPermissions)]!
  for (let i = port; i < port + width; i++) {
    if ((core.map.readDword(base + (i >>> 5) * 4) & (1 << (i & 31))) === 0) continue
    const next = core.registers[REGISTER.rip]! + LENGTH[operation.op]
    return leave(core, operation, SVM_EXIT.ioio, ioInformation(port, width, operation.op === 'in'), next)
  }
  return false
}
