/** Capability identifiers and the short names under which all faces list them. */

/** "PCI-compatible Capabilities": byte 0 of an entry of the list that starts at the Capabilities Pointer. */
export const CAPABILITY = {
  PM: 0x01,
  AGP: 0x02,
  VPD: 0x03,
  SLOT_ID: 0x04,
  MSI: 0x05,
  PCI_X: 0x07,
  HYPERTRANSPORT: 0x08,
  VENDOR: 0x09,
  HOT_PLUG: 0x0c,
  BRIDGE_SUBSYSTEM: 0x0d,
  SECURE: 0x0f,
  EXPRESS: 0x10,
  MSI_X: 0x11,
  SATA: 0x12,
  AF: 0x13,
  EA: 0x14,
} as const

/** "PCI Express Extended Capabilities": bits 15:0 of an entry of the list that starts at 100h. */
export const EXTENDED_CAPABILITY = {
  AER: 0x01,
  VC: 0x02,
  DSN: 0x03,
  POWER_BUDGETING: 0x04,
  RC_LINK: 0x05,
  RC_INTERNAL_LINK: 0x06,
  RC_EVENT_COLLECTOR: 0x07,
  MFVC: 0x08,
  VC_9: 0x09,
  RCRB: 0x0a,
  VSEC: 0x0b,
  ACS: 0x0d,
  ARI: 0x0e,
  ATS: 0x0f,
  SRIOV: 0x10,
  MRIOV: 0x11,
  MULTICAST: 0x12,
  PRI: 0x13,
  RESIZABLE_BAR: 0x15,
  DPA: 0x16,
  TPH: 0x17,
  LTR: 0x18,
  SECONDARY_PCIE: 0x19,
  PMUX: 0x1a,
  PASID: 0x1b,
  LNR: 0x1c,
  DPC: 0x1d,
  L1_SUBSTATES: 0x1e,
  PTM: 0x1f,
  M_PCIE: 0x20,
  FRS: 0x21,
  RTR: 0x22,
  DVSEC: 0x23,
  VF_RESIZABLE_BAR: 0x24,
  DATA_LINK_FEATURE: 0x25,
  PHY_16GT: 0x26,
  LANE_MARGINING: 0x27,
  HIERARCHY_ID: 0x28,
  NPEM: 0x29,
  PHY_32GT: 0x2a,
  ALTERNATE_PROTOCOL: 0x2b,
  SFI: 0x2c,
  DOE: 0x2e,
  DEVICE_3: 0x2f,
  IDE: 0x30,
  PHY_64GT: 0x31,
} as const

const namesOf = (ids: Readonly<Record<string, number>>): ReadonlyMap<number, string> =>
  new Map(Object.entries(ids).map(([name, id]) => [id, name.replaceAll('_', ' ')]))

const NAMES = namesOf(CAPABILITY)
const EXTENDED_NAMES = namesOf(EXTENDED_CAPABILITY)
const SPECIAL: Readonly<Record<string, string>> = {
  'MSI X': 'MSI-X',
  'PCI X': 'PCI-X',
  SRIOV: 'SR-IOV',
  MRIOV: 'MR-IOV',
  EXPRESS: 'PCIe',
}

/** Short name of a capability, e.g. `MSI-X`; `0x..` of an unknown one. */
export function capabilityName(id: number, extended: boolean): string {
  const name = (extended ? EXTENDED_NAMES : NAMES).get(id)
  if (name === undefined) return `${extended ? 'extended ' : ''}0x${id.toString(16).padStart(2, '0')}`
  return SPECIAL[name] ?? name
}
