/** "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields": the bits, as masks. */

export const PIN_BASED = {
  externalInterruptExiting: 1 << 0,
  nmiExiting: 1 << 3,
  virtualNmis: 1 << 5,
  activatePreemptionTimer: 1 << 6,
  processPostedInterrupts: 1 << 7,
} as const

/** Primary processor-based VM-execution controls. */
export const PRIMARY = {
  interruptWindowExiting: 1 << 2,
  useTscOffsetting: 1 << 3,
  hltExiting: 1 << 7,
  invlpgExiting: 1 << 9,
  mwaitExiting: 1 << 10,
  rdpmcExiting: 1 << 11,
  rdtscExiting: 1 << 12,
  cr3LoadExiting: 1 << 15,
  cr3StoreExiting: 1 << 16,
  activateTertiaryControls: 1 << 17,
  cr8LoadExiting: 1 << 19,
  cr8StoreExiting: 1 << 20,
  useTprShadow: 1 << 21,
  nmiWindowExiting: 1 << 22,
  movDrExiting: 1 << 23,
  unconditionalIoExiting: 1 << 24,
  useIoBitmaps: 1 << 25,
  monitorTrapFlag: 1 << 27,
  useMsrBitmaps: 1 << 28,
  monitorExiting: 1 << 29,
  pauseExiting: 1 << 30,
  activateSecondaryControls: 0x8000_0000,
} as const

/** Secondary processor-based VM-execution controls. */
export const SECONDARY = {
  virtualizeApicAccesses: 1 << 0,
  enableEpt: 1 << 1,
  descriptorTableExiting: 1 << 2,
  enableRdtscp: 1 << 3,
  virtualizeX2apicMode: 1 << 4,
  enableVpid: 1 << 5,
  wbinvdExiting: 1 << 6,
  unrestrictedGuest: 1 << 7,
  apicRegisterVirtualization: 1 << 8,
  virtualInterruptDelivery: 1 << 9,
  pauseLoopExiting: 1 << 10,
  rdrandExiting: 1 << 11,
  enableInvpcid: 1 << 12,
  enableVmFunctions: 1 << 13,
  vmcsShadowing: 1 << 14,
  enableEnclsExiting: 1 << 15,
  rdseedExiting: 1 << 16,
  enablePml: 1 << 17,
  eptViolationVe: 1 << 18,
  concealVmxFromPt: 1 << 19,
  enableXsavesXrstors: 1 << 20,
  modeBasedExecuteControl: 1 << 22,
  subPageWritePermissions: 1 << 23,
  ptUsesGuestPhysicalAddresses: 1 << 24,
  useTscScaling: 1 << 25,
  enableUserWaitAndPause: 1 << 26,
  enablePconfig: 1 << 27,
  enableEnclvExiting: 1 << 28,
  vmmBusLockDetection: 1 << 30,
  instructionTimeout: 0x8000_0000,
} as const

/** Tertiary processor-based VM-execution controls, bits 31:0 of 64. */
export const TERTIARY = {
  loadiwkeyExiting: 1 << 0,
  enableHlat: 1 << 1,
  eptPagingWrite: 1 << 2,
  guestPagingVerification: 1 << 3,
  ipiVirtualization: 1 << 4,
} as const

/** VM-function controls. */
export const VM_FUNCTION = { eptpSwitching: 1 << 0 } as const

export const EXIT_CONTROLS = {
  saveDebugControls: 1 << 2,
  hostAddressSpaceSize: 1 << 9,
  loadPerfGlobalCtrl: 1 << 12,
  acknowledgeInterruptOnExit: 1 << 15,
  savePat: 1 << 18,
  loadPat: 1 << 19,
  saveEfer: 1 << 20,
  loadEfer: 1 << 21,
  savePreemptionTimer: 1 << 22,
  clearBndcfgs: 1 << 23,
  concealVmxFromPt: 1 << 24,
  clearRtitCtl: 1 << 25,
  clearLbrCtl: 1 << 26,
  clearUinv: 1 << 27,
  loadCetState: 1 << 28,
  loadPkrs: 1 << 29,
  savePerfGlobalCtrl: 1 << 30,
  activateSecondaryControls: 0x8000_0000,
} as const

export const ENTRY_CONTROLS = {
  loadDebugControls: 1 << 2,
  ia32eModeGuest: 1 << 9,
  entryToSmm: 1 << 10,
  deactivateDualMonitorTreatment: 1 << 11,
  loadPerfGlobalCtrl: 1 << 13,
  loadPat: 1 << 14,
  loadEfer: 1 << 15,
  loadBndcfgs: 1 << 16,
  concealVmxFromPt: 1 << 17,
  loadRtitCtl: 1 << 18,
  loadUinv: 1 << 19,
  loadCetState: 1 << 20,
  loadLbrCtl: 1 << 21,
  loadPkrs: 1 << 22,
} as const

/** "Default1" bits: they must be 1 unless a TRUE capability MSR frees them. */
export const DEFAULT1 = {
  pinBased: 0x0000_0016,
  primary: 0x0401_e172,
  exit: 0x0003_6dff,
  entry: 0x0000_11ff,
} as const
