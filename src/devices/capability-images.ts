/** The bytes of each capability that a data sheet can list. */
import { hexToBytes } from '../core/index.ts'
import {
  ACS,
  ACS_BIT,
  AER,
  ARI,
  ATS,
  CAPABILITY,
  CONVENTIONAL_CONFIG_SIZE,
  DPC,
  DSN,
  EXPRESS,
  EXTENDED_CAPABILITY,
  MSI,
  MSI_X,
  PASID,
  PM,
  PORT_TYPE,
  PRI,
  RCEC,
} from '../pcie/formats/index.ts'
import type { DataSheetCapability } from './data-sheet.ts'
import type { ImageWriter } from './image-writer.ts'

/** What a capability needs to know about its function's place in the device. */
export interface FunctionPlace {
  /** Next Function Number of ARI, 0 for the last function. */
  readonly nextFunction: number
}

type Of<Name extends DataSheetCapability['capability']> = Extract<DataSheetCapability, { capability: Name }>

const SPEED_CODES: Readonly<Record<number, number>> = { 2.5: 1, 5: 2, 8: 3, 16: 4, 32: 5, 64: 6 }
const PME_BITS = { D0: 1, D1: 2, D2: 4, D3hot: 8, D3cold: 16 } as const

type Writer<Name extends DataSheetCapability['capability']> = (
  image: ImageWriter,
  base: number,
  sheet: Of<Name>,
  place: FunctionPlace,
) => void

const WRITERS: { readonly [Name in DataSheetCapability['capability']]: Writer<Name> } = {
  powerManagement,
  msi,
  msiX,
  express,
  subsystem: (image, base, sheet) => {
    image.capability(base, CAPABILITY.BRIDGE_SUBSYSTEM)
    image.dword(base + 4, (Number(sheet.id) << 16) | Number(sheet.vendorId))
  },
  sata: (image, base) => {
    // "Serial ATA Capability", revision 1.0: index and data pair in BAR4, at 48h of configuration space.
    image.capability(base, CAPABILITY.SATA)
    image.dword(base, (0x10 << 16) | CAPABILITY.SATA)
    image.dword(base + 4, 0x48)
  },
  errorReporting,
  accessControl: (image, base, sheet) => {
    image.extended(base, EXTENDED_CAPABILITY.ACS, 1)
    image.dword(
      base + ACS.CAPABILITY.offset,
      sheet.bits.reduce((bits, name) => bits | ACS_BIT[name], 0),
    )
  },
  downstreamPortContainment: (image, base, sheet) => {
    image.extended(base, EXTENDED_CAPABILITY.DPC, 1)
    image.write(base, DPC.CAPABILITY_CONTROL, { SOFTWARE_CAPABLE: Number(sheet.softwareTrigger) })
  },
  eventCollector: (image, base, sheet) => {
    image.extended(base, EXTENDED_CAPABILITY.RC_EVENT_COLLECTOR, 1)
    image.dword(
      base + RCEC.DEVICES.offset,
      sheet.devices.reduce((bits, device) => bits | (1 << device), 0),
    )
  },
  ari: (image, base, _sheet, place) => {
    image.extended(base, EXTENDED_CAPABILITY.ARI, 1)
    image.write(base, ARI.CONTROL, { NEXT: place.nextFunction })
  },
  serialNumber: (image, base, sheet) => {
    image.extended(base, EXTENDED_CAPABILITY.DSN, 1)
    const digits = sheet.value.slice(2).padStart(16, '0')
    image.dword(base + DSN.HIGH, Number.parseInt(digits.slice(0, 8), 16))
    image.dword(base + DSN.LOW, Number.parseInt(digits.slice(8), 16))
  },
  ats: (image, base, sheet) => {
    image.extended(base, EXTENDED_CAPABILITY.ATS, 1)
    image.write(base, ATS.CONTROL, {
      QUEUE_DEPTH: sheet.queueDepth % 32,
      PAGE_ALIGNED: Number(sheet.pageAligned),
    })
  },
  pageRequests: (image, base, sheet) => {
    image.extended(base, EXTENDED_CAPABILITY.PRI, 1)
    image.write(base, PRI.CONTROL, { STOPPED: 1, PASID_REQUIRED: Number(sheet.responsePasid) })
    image.dword(base + PRI.CAPACITY, sheet.capacity)
  },
  pasid: (image, base, sheet) => {
    image.extended(base, EXTENDED_CAPABILITY.PASID, 1)
    image.write(base, PASID.CONTROL, {
      EXECUTE_CAPABLE: Number(sheet.execute),
      PRIVILEGED_CAPABLE: Number(sheet.privileged),
      WIDTH: sheet.widthBits,
    })
  },
  raw: (image, base, sheet) => {
    const extended = base >= CONVENTIONAL_CONFIG_SIZE
    if (extended) image.extended(base, Number(sheet.id), sheet.version)
    else image.capability(base, Number(sheet.id))
    for (const [i, byte] of hexToBytes(sheet.bytes).entries()) {
      image.byte(base + (extended ? 4 : 2) + i, byte)
    }
  },
}

/** Appends a capability to the image's list. */
export function writeCapability(image: ImageWriter, sheet: DataSheetCapability, place: FunctionPlace): void {
  const write = WRITERS[sheet.capability] as Writer<DataSheetCapability['capability']>
  write(image, Number(sheet.at), sheet, place)
}

function msi(image: ImageWriter, base: number, sheet: Of<'msi'>): void {
  image.capability(base, CAPABILITY.MSI)
  image.write(base, MSI.CONTROL, {
    MMC: Math.log2(sheet.messages),
    C64: Number(sheet.address64),
    PVM: Number(sheet.perVectorMasking),
  })
}

function powerManagement(image: ImageWriter, base: number, sheet: Of<'powerManagement'>): void {
  image.capability(base, CAPABILITY.PM)
  image.write(base, PM.CAPABILITIES, {
    VERSION: 3,
    D1: Number(sheet.states.includes('D1')),
    D2: Number(sheet.states.includes('D2')),
    PME: sheet.pmeFrom.reduce((bits, state) => bits | PME_BITS[state], 0),
  })
  image.write(base, PM.CONTROL, { NO_SOFT_RESET: Number(sheet.noSoftReset) })
}

function msiX(image: ImageWriter, base: number, sheet: Of<'msiX'>): void {
  image.capability(base, CAPABILITY.MSI_X)
  image.write(base, MSI_X.CONTROL, { TABLE_SIZE: sheet.vectors - 1 })
  const { table, pendingBits } = sheet
  image.write(base, MSI_X.TABLE, { BIR: table.bar, OFFSET: Number(table.offset) / 8 })
  image.write(base, MSI_X.PBA, { BIR: pendingBits.bar, OFFSET: Number(pendingBits.offset) / 8 })
}

function express(image: ImageWriter, base: number, sheet: Of<'express'>): void {
  const isPort = ['rootPort', 'upstreamPort', 'downstreamPort'].includes(sheet.type)
  image.capability(base, CAPABILITY.EXPRESS)
  image.write(base, EXPRESS.CAPABILITIES, {
    VERSION: sheet.version,
    TYPE: PORT_TYPE[sheet.type],
    SLOT: Number(sheet.slotNumber !== undefined),
  })
  image.write(base, EXPRESS.DEVICE_CAPABILITIES, {
    MPS: Math.log2(sheet.maxPayloadBytes) - 7,
    EXTENDED_TAG: Number(sheet.extendedTag),
    RBER: 1,
    FLR: Number(sheet.functionLevelReset),
  })
  if (sheet.link !== undefined) {
    const speed = SPEED_CODES[sheet.link.speedGTs]!
    const { width } = sheet.link
    image.write(base, EXPRESS.LINK_CAPABILITIES, {
      SPEED: speed,
      WIDTH: width,
      DLL_ACTIVE_REPORTING: Number(isPort && sheet.type !== 'upstreamPort'),
      PORT: sheet.portNumber,
    })
    image.write(base, EXPRESS.LINK_CONTROL, { SPEED: speed, WIDTH: width, SLOT_CLOCK: 1 })
    if (sheet.version >= 2) image.write(base, EXPRESS.LINK_CAPABILITIES_2, { SPEEDS: 2 ** speed - 1 })
  }
  if (sheet.slotNumber !== undefined) {
    image.write(base, EXPRESS.SLOT_CAPABILITIES, { NUMBER: sheet.slotNumber, ...hotPlugBits(sheet.hotPlug) })
    image.write(base, EXPRESS.SLOT_CONTROL, { PDS: 1 })
  }
  if (sheet.type === 'rootPort') image.write(base, EXPRESS.ROOT_CONTROL, { RRS_CAPABLE: 1 })
  if (sheet.version < 2) return
  image.write(base, EXPRESS.DEVICE_CAPABILITIES_2, { ARI_FORWARDING: Number(sheet.ariForwarding) })
}

function hotPlugBits(hotPlug: Of<'express'>['hotPlug']): Readonly<Record<string, number>> {
  if (hotPlug === undefined) return {}
  return {
    HPC: 1,
    ABP: Number(hotPlug.attentionButton),
    PCP: Number(hotPlug.powerController),
    AIP: Number(hotPlug.attentionIndicator),
    PIP: Number(hotPlug.powerIndicator),
    HPS: Number(hotPlug.surprise),
  }
}

function errorReporting(image: ImageWriter, base: number, sheet: Of<'errorReporting'>): void {
  image.extended(base, EXTENDED_CAPABILITY.AER, sheet.version)
  image.dword(base + AER.UNCORRECTABLE_SEVERITY.offset, Number(sheet.severity))
  image.write(base, AER.CONTROL, {
    ECRC_GENERATION_CAPABLE: Number(sheet.ecrc),
    ECRC_CHECK_CAPABLE: Number(sheet.ecrc),
  })
}
