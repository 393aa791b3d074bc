/**
 * A configuration space for virtual functions whose physical function was captured while they were off: the least that
 * the specification demands, with what a virtual function takes over from its physical function.
 */
import {
  CAPABILITY,
  CLASS,
  EXPRESS,
  EXPRESS_CONFIG_SIZE,
  EXTENDED_CAPABILITY,
  findCapability,
  findExtendedCapability,
  ID,
  listCapabilities,
  MSI_X,
  PORT_TYPE,
  SUBSYSTEM,
} from '../pcie/formats/index.ts'
import { ImageWriter } from './image-writer.ts'

/** MSI-X of the virtual functions: where its table and pending bits lie in which VF BAR. */
export interface VirtualMsiX {
  readonly vectors: number
  readonly bar: number
  readonly tableOffset: number
  readonly pendingOffset: number
}

const AT = { express: 0x70, msiX: 0xb0, ari: 0x100, acs: 0x110 } as const

/** @param physicalImage 4096 bytes of the physical function. */
export function defaultVfImage(physicalImage: Uint8Array, msiX: VirtualMsiX): Uint8Array {
  const view = new DataView(physicalImage.buffer, physicalImage.byteOffset, physicalImage.byteLength)
  const read = (offset: number): number => view.getUint32(offset, true)
  const capabilities = listCapabilities(read, physicalImage.length)
  const image = new ImageWriter(EXPRESS_CONFIG_SIZE)
  image.write(0, ID, { VENDOR: 0xffff, DEVICE: 0xffff })
  image.dword(CLASS.offset, read(CLASS.offset))
  image.dword(SUBSYSTEM.offset, read(SUBSYSTEM.offset))

  image.capability(AT.express, CAPABILITY.EXPRESS)
  image.write(AT.express, EXPRESS.CAPABILITIES, { VERSION: 2, TYPE: PORT_TYPE.endpoint })
  const express = findCapability(capabilities, CAPABILITY.EXPRESS)
  if (express !== undefined) {
    for (const register of [EXPRESS.DEVICE_CAPABILITIES, EXPRESS.LINK_CAPABILITIES]) {
      image.dword(AT.express + register.offset, read(express + register.offset))
    }
  }
  image.write(AT.express, EXPRESS.DEVICE_CAPABILITIES, { RBER: 1, FLR: 1, PHANTOM: 0 })

  image.capability(AT.msiX, CAPABILITY.MSI_X)
  image.write(AT.msiX, MSI_X.CONTROL, { TABLE_SIZE: msiX.vectors - 1 })
  image.write(AT.msiX, MSI_X.TABLE, { BIR: msiX.bar, OFFSET: msiX.tableOffset / 8 })
  image.write(AT.msiX, MSI_X.PBA, { BIR: msiX.bar, OFFSET: msiX.pendingOffset / 8 })

  image.extended(AT.ari, EXTENDED_CAPABILITY.ARI, 1)
  const acs = findExtendedCapability(capabilities, EXTENDED_CAPABILITY.ACS)
  if (acs !== undefined) {
    image.extended(AT.acs, EXTENDED_CAPABILITY.ACS, 1)
    image.dword(AT.acs + 4, read(acs + 4) & 0xffff)
  }
  return image.bytes()
}
