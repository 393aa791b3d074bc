/** The properties with which a QEMU device model becomes as like a function as it can. */
import {
  CAPABILITY,
  EXPRESS,
  EXTENDED_CAPABILITY,
  findCapability,
  findExtendedCapability,
  HEADER,
  MSI_X,
  SUBSYSTEM,
} from '../../pcie/formats/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { DeviceSheet } from './device-sheet.ts'

type Property = readonly [name: string, value: string | number]

const dword = (fn: PcieFunction, offset: number): number => fn.words[offset >>> 2] ?? 0
const word = (fn: PcieFunction, offset: number): number => (dword(fn, offset) >>> (8 * (offset & 2))) & 0xffff

/** @param chassis number of the slot's chassis, which must differ among ports of equal slot. */
export function deviceProperties(fn: PcieFunction, sheet: DeviceSheet, chassis: number): Property[] {
  const properties: Property[] = []
  if (dword(fn, HEADER.offset) & HEADER.f.MF.mask) properties.push(['multifunction', 'on'])
  switch (sheet.properties) {
    case 'port':
      properties.push(...ofPort(fn, chassis))
      break
    case 'bridge':
      properties.push(['chassis_nr', chassisNumber(fn) || chassis])
      break
    case 'network':
      properties.push(...ofNetworkCard(fn, sheet))
      break
    case 'nvme':
      properties.push(...ofNvme(fn))
      break
    case 'igb':
      if (nextFunction(fn) === 1) properties.push(['x-pcie-ari-nextfn-1', 'on'])
      break
    case 'virtio':
      properties.push(...ofVirtio(fn))
      break
  }
  if (sheet.romSizeBytes > 0 && fn.definition.romSize === 0) properties.push(['rombar', 0])
  return properties
}

function ofPort(fn: PcieFunction, chassis: number): Property[] {
  const express = findCapability(fn.layout.capabilities, CAPABILITY.EXPRESS)
  if (express === undefined) return []
  const properties: Property[] = []
  const port = dword(fn, express + EXPRESS.LINK_CAPABILITIES.offset) >>> 24
  if (port > 0) properties.push(['port', port])
  if (fn.kind === 'upstreamPort') return properties
  const slot = dword(fn, express + EXPRESS.SLOT_CAPABILITIES.offset)
  properties.push(['chassis', chassis], ['slot', slot >>> 19])
  if (!(slot & EXPRESS.SLOT_CAPABILITIES.f.HPC.mask)) properties.push(['hotplug', 'off'])
  return properties
}

function chassisNumber(fn: PcieFunction): number {
  const at = findCapability(fn.layout.capabilities, CAPABILITY.SLOT_ID)
  return at === undefined ? 0 : dword(fn, at) >>> 24
}

/** The address, out of the serial number that was made of it. */
function ofNetworkCard(fn: PcieFunction, { header }: DeviceSheet): Property[] {
  const properties: Property[] = []
  const at = findExtendedCapability(fn.layout.capabilities, EXTENDED_CAPABILITY.DSN)
  if (at !== undefined) {
    const identifier = [dword(fn, at + 8), dword(fn, at + 4)]
      .map(half => half.toString(16).padStart(8, '0'))
      .join('')
      .match(/../g)!
    properties.push(['mac', [...identifier.slice(0, 3), ...identifier.slice(5)].join(':')])
  }
  const subsystem = word(fn, SUBSYSTEM.offset + 2)
  if (header.subsystem !== undefined && subsystem !== Number(header.subsystem.id)) {
    properties.push(['subsys', subsystem])
  }
  return properties
}

const NVME_VECTORS = 65
const NVME_QUEUES = 64

function ofNvme(fn: PcieFunction): Property[] {
  const properties: Property[] = []
  const { capabilities } = fn.layout
  const msix = findCapability(capabilities, CAPABILITY.MSI_X)
  const vectors =
    msix === undefined ? NVME_VECTORS : (word(fn, msix + 2) & (MSI_X.CONTROL.f.TABLE_SIZE.mask >>> 16)) + 1
  const sriov = findExtendedCapability(capabilities, EXTENDED_CAPABILITY.SRIOV)
  if (sriov === undefined) {
    if (vectors !== NVME_VECTORS)
      properties.push(['msix_qsize', vectors], ['max_ioqpairs', Math.max(1, vectors - 1)])
    return properties
  }
  // Each virtual function needs two queues and a vector of its own; the controller keeps the rest.
  const total = totalVfs(fn)
  const perFunction = virtualVectors(fn)
  properties.push(
    ['sriov_max_vfs', total],
    ['sriov_vq_flexible', 2 * total],
    ['sriov_vi_flexible', perFunction * total],
    ['max_ioqpairs', Math.min(NVME_QUEUES, 2 * total) + 4],
    ['msix_qsize', vectors + perFunction * total],
  )
  return properties
}

/** MSI-X table size of the virtual functions. */
function virtualVectors({ definition }: PcieFunction): number {
  const image = definition.sriov?.image ?? new Uint8Array(0)
  for (let at = image[0x34] ?? 0; at >= 0x40 && at + 3 < image.length; at = image[at + 1]!) {
    if (image[at] === CAPABILITY.MSI_X) return (((image[at + 3]! << 8) | image[at + 2]!) & 0x7ff) + 1
  }
  return 1
}

/** TotalVFs of a function with an SR-IOV capability. */
export function totalVfs(fn: PcieFunction): number {
  const at = findExtendedCapability(fn.layout.capabilities, EXTENDED_CAPABILITY.SRIOV)
  return at === undefined ? 0 : dword(fn, at + 0x0c) >>> 16
}

function nextFunction(fn: PcieFunction): number {
  const at = findExtendedCapability(fn.layout.capabilities, EXTENDED_CAPABILITY.ARI)
  return at === undefined ? 0 : (dword(fn, at + 4) >>> 8) & 0xff
}

/** The first modern device id: 1040h and the device type. */
const MODERN = 0x1040

function ofVirtio(fn: PcieFunction): Property[] {
  const { capabilities } = fn.layout
  const legacy = fn.definition.bars.some(({ kind }) => kind === 'io')
  const modern = word(fn, 2) >= MODERN || findCapability(capabilities, CAPABILITY.VENDOR) !== undefined
  const msix = findCapability(capabilities, CAPABILITY.MSI_X)
  const properties: Property[] = [
    ['disable-legacy', legacy ? 'off' : 'on'],
    ['disable-modern', modern ? 'off' : 'on'],
    ['vectors', msix === undefined ? 0 : (word(fn, msix + 2) & 0x7ff) + 1],
  ]
  if (!legacy) properties.push(['iommu_platform', 'on'])
  if (findExtendedCapability(capabilities, EXTENDED_CAPABILITY.ATS) !== undefined)
    properties.push(['ats', 'on'])
  return properties
}
