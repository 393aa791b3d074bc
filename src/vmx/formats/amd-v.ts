/** AMD-V: the virtual machine control block, its intercepts and exit codes ("Layout of VMCB", "SVM Intercept Codes"). */

/** Byte offsets in the control area. */
export const VMCB = {
  interceptCr: 0x000,
  interceptExceptions: 0x008,
  interceptMisc1: 0x00c,
  interceptMisc2: 0x010,
  ioPermissions: 0x040,
  msrPermissions: 0x048,
  asid: 0x058,
  tlbControl: 0x05c,
  virtualInterrupt: 0x060,
  virtualVector: 0x064,
  interruptShadow: 0x068,
  exitCode: 0x070,
  exitInfo1: 0x078,
  exitInfo2: 0x080,
  exitInterruptInfo: 0x088,
  nestedControl: 0x090,
  eventInjection: 0x0a8,
  nestedCr3: 0x0b0,
  nextRip: 0x0c8,
  // State-save area.
  es: 0x400,
  cs: 0x410,
  ss: 0x420,
  ds: 0x430,
  fs: 0x440,
  gs: 0x450,
  gdtr: 0x460,
  ldtr: 0x470,
  idtr: 0x480,
  tr: 0x490,
  cpl: 0x4c8,
  efer: 0x4d0,
  cr4: 0x548,
  cr3: 0x550,
  cr0: 0x558,
  dr7: 0x560,
  dr6: 0x568,
  rflags: 0x570,
  rip: 0x578,
  rsp: 0x5d8,
  sysenterCs: 0x628,
  sysenterEsp: 0x630,
  sysenterEip: 0x638,
  cr2: 0x640,
} as const

/** Bits of the dword at 00CH; exit code 60H + bit. */
export const INTERCEPT1 = {
  intr: 0,
  nmi: 1,
  vintr: 4,
  rdtsc: 14,
  rdpmc: 15,
  pushf: 16,
  popf: 17,
  cpuid: 18,
  rsm: 19,
  iret: 20,
  int: 21,
  invd: 22,
  pause: 23,
  hlt: 24,
  invlpg: 25,
  invlpga: 26,
  ioio: 27,
  msr: 28,
} as const

/** Bits of the dword at 010H; exit code 80H + bit. */
export const INTERCEPT2 = {
  vmrun: 0,
  vmmcall: 1,
  vmload: 2,
  vmsave: 3,
  stgi: 4,
  clgi: 5,
  skinit: 6,
  rdtscp: 7,
  wbinvd: 9,
  monitor: 10,
  mwait: 11,
} as const

export const SVM_EXIT = {
  readCr0: 0x00,
  writeCr0: 0x10,
  exception0: 0x40,
  intr: 0x60,
  vintr: 0x64,
  misc1: 0x60,
  misc2: 0x80,
  ioio: 0x7b,
  msr: 0x7c,
  shutdown: 0x7f,
  nestedPageFault: 0x400,
  invalid: -1,
} as const

/** EVENTINJ and EXITINTINFO. */
export const SVM_EVENT = { valid: 0x8000_0000, hasError: 1 << 11 } as const
/** TLB_CONTROL. */
export const TLB_CONTROL = { none: 0, all: 1, thisAsid: 3 } as const
/** Bits of the dword at 060H. */
export const VIRTUAL_INTERRUPT = { irq: 1 << 8, masking: 1 << 24 } as const

/** EXITINFO1 of #VMEXIT(NPF). */
export const NESTED_FAULT = { present: 1, write: 2, user: 4, fetch: 16 } as const
/** Its high word: the access was to the final address, or to a table of the guest. */
export const NESTED_FAULT_HIGH = { finalAddress: 1, guestTable: 2 } as const

/** EXITINFO1 of #VMEXIT(IOIO). */
export const ioInformation = (port: number, width: number, input: boolean): number =>
  ((port << 16) | (width << 4) | (input ? 1 : 0)) >>> 0

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(INTERCEPT1).map(([name, bit]) => [0x60 + bit, name] as const),
  ...Object.entries(INTERCEPT2).map(([name, bit]) => [0x80 + bit, name] as const),
  [SVM_EXIT.shutdown, 'shutdown'],
  [SVM_EXIT.nestedPageFault, 'nestedPageFault'],
])

/** Name of an exit code: the operation or event that was intercepted. */
export function svmExitName(code: number): string {
  if (code < 0x10) return `readCr${code}`
  if (code < 0x20) return `writeCr${code - 0x10}`
  if (code >= 0x40 && code < 0x60) return `exception${code - 0x40}`
  return NAMES.get(code) ?? `code${code}`
}

export const SVM_MSR = { VM_CR: 0xc001_0114, VM_HSAVE_PA: 0xc001_0117 } as const
export const EFER_SVME = 1 << 12
