/** The register model `nvme` of data sheets: settings that follow from the function that it is behind. */
import {
  CAPABILITY,
  DSN,
  EXTENDED_CAPABILITY,
  findCapability,
  ID,
  listCapabilities,
  MSI_X,
  SRIOV,
  SUBSYSTEM,
} from '../../pcie/formats/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { DeviceModelEntry } from '../device-model.ts'
import type { NvmeSettings } from './settings.ts'
import { NvmeSubsystem } from './subsystem.ts'

/** A medium of 8 GiB in memory that is made when it is written, with one namespace of 1 GiB. */
const CAPACITY = 2 ** 33
const NAMESPACES = [2 ** 30]

function settingsOf(fn: PcieFunction): NvmeSettings {
  const { words, layout, definition } = fn
  const { TABLE_SIZE } = MSI_X.CONTROL.f
  const vectorsOf = (control: number): number => ((control & TABLE_SIZE.mask) >>> TABLE_SIZE.shift) + 1
  const msix = layout.find(CAPABILITY.MSI_X)
  const sriov = definition.sriov === undefined ? 0 : layout.findExtended(EXTENDED_CAPABILITY.SRIOV)
  const serial = layout.findExtended(EXTENDED_CAPABILITY.DSN) >>> 2
  return {
    vendorId: words[ID.at]! & 0xffff,
    subsystemVendorId: words[SUBSYSTEM.at]! & 0xffff,
    // A serial number of its own, else what tells functions of a machine apart.
    serialNumber:
      serial === 0
        ? `NB${fn.segment.toString(16)}${fn.devfn.toString(16)}`
        : hexText(words[serial + (DSN.HIGH >>> 2)]!) + hexText(words[serial + (DSN.LOW >>> 2)]!),
    modelNumber: 'Northbridge NVM Express Controller',
    firmwareRevision: '1.0',
    queueEntries: 2048,
    doorbellStride: 0,
    transferExponent: 7,
    vectors: msix === 0 ? 1 : vectorsOf(words[msix >>> 2]!),
    virtualVectors: sriov === 0 ? 0 : virtualVectorsOf(definition.sriov!.image, vectorsOf),
    virtualFunctions: sriov === 0 ? 0 : words[(sriov + SRIOV.COUNTS.offset) >>> 2]! >>> 16,
    capacity: CAPACITY,
    namespaces: NAMESPACES,
  }
}

const hexText = (word: number): string => word.toString(16).padStart(8, '0')

/** Message-signalled vectors of each virtual function, by the image of its configuration space. */
function virtualVectorsOf(image: Uint8Array, vectorsOf: (control: number) => number): number {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  const read = (offset: number): number => (offset + 4 <= image.length ? view.getUint32(offset, true) : 0)
  const msix = findCapability(listCapabilities(read, image.length), CAPABILITY.MSI_X)
  return msix === undefined ? 1 : vectorsOf(read(msix))
}

export const NVME_MODEL: DeviceModelEntry = {
  // A page of registers, and the doorbells.
  registerBytes: 0x2000,
  make: (fn, environment) => new NvmeSubsystem(fn, environment, settingsOf(fn)),
}
