/**
 * "Fault Reason Encodings" for interrupt remapping and for requests in legacy mode, in the order of the manual's
 * table. `qualified` rows are not recorded if the Fault Processing Disable bit of the entry concerned is set.
 */
export interface FaultReason {
  /** `FRCD.FR` */
  readonly code: number
  /** Label of the condition in the manual. */
  readonly id: string
  readonly name: string
  readonly qualified: boolean
  /** What would let the request pass. */
  readonly repair: string
}

const row = (code: number, id: string, qualified: boolean, name: string, repair: string): FaultReason =>
  Object.freeze({ code, id, name, qualified, repair })

export const FAULT_REASONS: readonly FaultReason[] = [
  row(
    0x01,
    'LRT.2',
    false,
    'root entry not present',
    'Set P in the root entry of the bus and point CTP at a context table.',
  ),
  row(
    0x02,
    'LCT.2',
    true,
    'context entry not present',
    'Set P in the context entry of the function, i.e. attach it to a domain.',
  ),
  row(
    0x03,
    'LCT.4',
    true,
    'context entry invalid',
    'Give the context entry an AW that CAP.SAGAW lists, a TT that the unit supports, and an SSPTPTR that points to memory.',
  ),
  row(
    0x04,
    'LGN.1',
    true,
    'address beyond the width of the domain',
    'Use an address below both 2^(CAP.MGAW+1) and the width that AW of the context entry selects (pass-through and translated requests: the host address width).',
  ),
  row(
    0x05,
    'LGN.2',
    true,
    'write without write permission',
    'Map the page, with W set in the second-stage entry at every level.',
  ),
  row(
    0x06,
    'LGN.3',
    true,
    'read without read permission',
    'Map the page, with R set in the second-stage entry at every level.',
  ),
  row(
    0x07,
    'LSL.1',
    true,
    'second-stage entry not accessible',
    'Point ADDR of the entry above at a table in memory.',
  ),
  row(
    0x08,
    'LRT.1',
    false,
    'root table not accessible',
    'Point RTADDR.RTA at a table in memory and issue SRTP.',
  ),
  row(
    0x09,
    'LCT.1',
    false,
    'context table not accessible',
    'Point CTP of the root entry at a table in memory.',
  ),
  row(
    0x0a,
    'LRT.3',
    false,
    'reserved bits set in the root entry',
    'Clear the reserved bits of the root entry.',
  ),
  row(
    0x0b,
    'LCT.3',
    true,
    'reserved bits set in the context entry',
    'Clear the reserved bits of the context entry; DID and SSPTPTR must fit CAP.ND and the host address width.',
  ),
  row(
    0x0c,
    'LSL.2',
    true,
    'reserved bits set in a second-stage entry',
    'Clear the reserved bits of the entry; a large page needs CAP.SSLPS and an aligned ADDR, SNP needs ECAP.SC.',
  ),
  row(
    0x0d,
    'LCT.5',
    true,
    'address type blocked by the translation type',
    'Select a TT in the context entry that allows translated and translation requests, or disable ATS in the function.',
  ),
  row(
    0x0e,
    'LGN.4',
    true,
    'address translated into the interrupt range',
    'Map the page somewhere else than 0xFEE00000 to 0xFEEFFFFF.',
  ),
  row(
    0x20,
    'IR.1',
    false,
    'reserved field set in an interrupt request',
    'Clear the upper address and, with SHV, bits 31:16 of the data programmed into the function.',
  ),
  row(
    0x21,
    'IR.2',
    false,
    'interrupt index beyond the remapping table',
    'Use a handle below the 2^(IRTA.S+1) entries of the table.',
  ),
  row(
    0x22,
    'IR.3',
    true,
    'interrupt remapping table entry not present',
    'Set P in the entry, i.e. allocate it for this interrupt.',
  ),
  row(
    0x23,
    'IR.4',
    false,
    'interrupt remapping table not accessible',
    'Point IRTA at a table in memory and issue SIRTP.',
  ),
  row(
    0x24,
    'IR.5',
    true,
    'reserved field set in an interrupt remapping table entry',
    'Clear the reserved bits of the entry; with EIME clear the destination is in bits 47:40, and IM needs CAP.PI.',
  ),
  row(
    0x25,
    'IR.6',
    false,
    'compatibility format interrupt blocked',
    'Program the function with a remappable address, or allow compatibility format by GCMD.CFI with EIME clear.',
  ),
  row(
    0x26,
    'IR.7',
    true,
    'source-id of the interrupt request refused',
    'Send the interrupt from the function that SID, SQ and SVT of the entry name, or change them.',
  ),
  row(
    0x29,
    'IR.10',
    false,
    'not a valid request to the interrupt range',
    'Access 0xFEE00000 to 0xFEEFFFFF only by aligned 4-byte writes, or use another DMA address.',
  ),
  row(
    0x30,
    'RTA.1',
    false,
    'invalid translation table mode',
    'Write a TTM that the unit supports to RTADDR and issue SRTP.',
  ),
  row(
    0x31,
    'RTA.2',
    false,
    'request with PASID in legacy mode',
    'Disable PASID in the function; legacy mode has none.',
  ),
]

/** Reason codes by their labels' meaning, for code that raises them. */
export const FAULT = {
  none: 0,
  rootNotPresent: 0x01,
  contextNotPresent: 0x02,
  contextInvalid: 0x03,
  addressBeyondWidth: 0x04,
  writePermission: 0x05,
  readPermission: 0x06,
  secondStageAccess: 0x07,
  rootAccess: 0x08,
  contextAccess: 0x09,
  rootReserved: 0x0a,
  contextReserved: 0x0b,
  secondStageReserved: 0x0c,
  addressTypeBlocked: 0x0d,
  interruptRangeOutput: 0x0e,
  interruptRequestReserved: 0x20,
  interruptIndex: 0x21,
  irteNotPresent: 0x22,
  irteAccess: 0x23,
  irteReserved: 0x24,
  compatibilityBlocked: 0x25,
  sourceValidation: 0x26,
  interruptRangeAccess: 0x29,
  translationTableMode: 0x30,
  pasidInLegacyMode: 0x31,
} as const

const BY_CODE = new Map(FAULT_REASONS.map(reason => [reason.code, reason]))

/** The row of a reason code; undefined for a code that is not in the table. */
export const faultReason = (code: number): FaultReason | undefined => BY_CODE.get(code)
