/** The QEMU device model that comes nearest to a function, and what of it cannot be said in QEMU's arguments. */
import {
  CAPABILITY,
  CLASS,
  EXTENDED_CAPABILITY,
  findCapability,
  findExtendedCapability,
  ID,
} from '../../pcie/formats/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import { type DeviceSheet, deviceSheets } from './device-sheet.ts'

export interface ChosenModel {
  readonly driver: string
  /** What stands in for what; undefined where QEMU has this very device. */
  readonly standsIn?: string
}

const hex4 = (value: number): string => value.toString(16).padStart(4, '0')

/** By name, as an importer of QEMU arguments left it; by vendor and device id; else the nearest of its class. */
export function chooseModel(fn: PcieFunction): ChosenModel {
  const { model } = fn.definition
  if (deviceSheets().has(model)) return { driver: model }
  const id = fn.words[ID.at]!
  const vendor = id & 0xffff
  const device = id >>> 16
  for (const sheet of deviceSheets().values()) {
    if (hasIds(sheet, vendor, device) && fits(sheet, fn)) return { driver: sheet.model }
  }
  return {
    driver: nearest(fn),
    standsIn: `${model} (${hex4(vendor)}:${hex4(device)})`,
  }
}

function hasIds({ header, virtio }: DeviceSheet, vendor: number, device: number): boolean {
  if (Number(header.vendorId) !== vendor) return false
  return Number(header.deviceId) === device || Number(virtio?.transitionalId ?? -1) === device
}

/** Express models need an express bus above, conventional ones fit anywhere but into a bridge's place. */
const fits = ({ express, kind }: DeviceSheet, fn: PcieFunction): boolean =>
  kind === fn.kind && (express !== 'always' || fn.bus.kind !== 'conventional')

const NETWORK = 0x02
const STORAGE = 0x01
const NVME = 0x0108
const DISPLAY = 0x03
const USB = 0x0c03
const SOUND = 0x0403

function nearest(fn: PcieFunction): string {
  const capability = (id: number): boolean => findCapability(fn.layout.capabilities, id) !== undefined
  switch (fn.kind) {
    case 'rootPort':
      return 'pcie-root-port'
    case 'upstreamPort':
      return 'x3130-upstream'
    case 'downstreamPort':
      return 'xio3130-downstream'
    case 'bridge':
      return capability(CAPABILITY.EXPRESS) ? 'pcie-pci-bridge' : 'pci-bridge'
  }
  const classCode = (fn.words[CLASS.at]! & CLASS.f.CODE.mask) >>> 16
  const express = fn.bus.kind !== 'conventional'
  if (classCode === NVME && express) return 'nvme'
  const sriov = findExtendedCapability(fn.layout.capabilities, EXTENDED_CAPABILITY.SRIOV) !== undefined
  if (sriov && express) return 'igb'
  if (classCode === USB) return 'qemu-xhci'
  if (classCode === SOUND) return 'intel-hda'
  switch (classCode >>> 8) {
    case NETWORK:
      return express ? 'e1000e' : 'e1000'
    case STORAGE:
      return 'virtio-scsi-pci'
    case DISPLAY:
      return 'secondary-vga'
    default:
      return 'edu'
  }
}
