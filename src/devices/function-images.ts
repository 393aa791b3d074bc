/** From a data sheet to what the fabric builds functions from. */
import { assert, hexToBytes } from '../core/index.ts'
import {
  CLASS,
  CONVENTIONAL_CONFIG_SIZE,
  EXPRESS_CONFIG_SIZE,
  EXTENDED_CAPABILITY,
  HEADER,
  ID,
  INTERRUPT,
  PREFETCHABLE_WINDOW,
  SRIOV,
  SUBSYSTEM,
} from '../pcie/formats/index.ts'
import type { BarDefinition, FunctionDefinition, SriovDefinition } from '../pcie/index.ts'
import { writeCapability } from './capability-images.ts'
import type { DataSheet, DataSheetBar, DataSheetFunction } from './data-sheet.ts'
import { ImageWriter } from './image-writer.ts'
import { registerOverrides } from './register-overrides.ts'

/** The definitions of all functions of a device, function 0 first. */
export const definitionsFromDataSheet = (sheet: DataSheet): FunctionDefinition[] =>
  sheet.functions.map((_, number) => definitionFromDataSheet(sheet, number))

/** The definition of one function of a device. */
export function definitionFromDataSheet(sheet: DataSheet, number = 0): FunctionDefinition {
  const fn = sheet.functions[number]
  assert(fn !== undefined, `${sheet.name} has a function ${number}`)
  const nextFunction = number + 1 < sheet.functions.length ? number + 1 : 0
  const { sriov } = fn
  return {
    model: sheet.name,
    kind: fn.kind,
    image: physicalImage(fn, number, nextFunction),
    bars: fn.bars.map(barOf),
    romSize: fn.romSizeBytes,
    ...(sriov && {
      sriov: {
        ari: sriov.ari,
        nonAri: sriov.nonAri,
        bars: sriov.bars.map(barOf),
        image: virtualImage(fn),
        ...(sriov.enableTimeNs !== undefined && { enableTimeNs: sriov.enableTimeNs }),
        ...(sriov.virtualFunction.overrides && {
          overrides: registerOverrides(sriov.virtualFunction.overrides),
        }),
      } satisfies SriovDefinition,
    }),
    ...(fn.overrides && { overrides: registerOverrides(fn.overrides) }),
    ...(fn.resetTimeNs !== undefined && { resetTimeNs: fn.resetTimeNs }),
    ...(fn.vitalProductData !== undefined && { vitalProductData: hexToBytes(fn.vitalProductData) }),
    ...(fn.deviceTlbEntries !== undefined && { deviceTlbEntries: fn.deviceTlbEntries }),
    ...(fn.internalPeerToPeer !== undefined && { internalPeerToPeer: fn.internalPeerToPeer }),
    ...(fn.registerModel !== undefined && { registerModel: fn.registerModel, functionNumber: number }),
  }
}

const barOf = ({ index, kind, prefetchable, sizeBytes }: DataSheetBar): BarDefinition => ({
  index,
  kind,
  prefetchable,
  size: sizeBytes,
})

const isExpress = (fn: DataSheetFunction): boolean =>
  fn.capabilities.some(({ capability }) => capability === 'express')

function physicalImage(fn: DataSheetFunction, number: number, nextFunction: number): Uint8Array {
  const image = new ImageWriter(isExpress(fn) ? EXPRESS_CONFIG_SIZE : CONVENTIONAL_CONFIG_SIZE)
  const isBridge = !['endpoint', 'hostBridge'].includes(fn.kind)
  image.write(0, ID, { VENDOR: Number(fn.vendorId), DEVICE: Number(fn.deviceId) })
  image.write(0, CLASS, { REVISION: Number(fn.revision), CODE: Number(fn.classCode) })
  image.write(0, HEADER, { LAYOUT: Number(isBridge) })
  image.write(0, INTERRUPT, { PIN: fn.interruptPin })
  if (isBridge) {
    const width = Number(fn.wideWindows)
    image.write(0, PREFETCHABLE_WINDOW, { BASE_WIDTH: width, LIMIT_WIDTH: width })
  } else writeSubsystem(image, fn)
  const { sriov, capabilities } = fn
  // The SR-IOV capability has its place in the list before the first that lies behind it.
  const behind = sriov === undefined ? -1 : capabilities.findIndex(({ at }) => Number(at) > Number(sriov.at))
  for (const [i, capability] of capabilities.entries()) {
    if (i === behind) writeSriov(image, sriov!, number)
    writeCapability(image, capability, { nextFunction })
  }
  if (sriov !== undefined && behind < 0) writeSriov(image, sriov, number)
  return image.bytes()
}

function writeSubsystem(image: ImageWriter, fn: DataSheetFunction): void {
  const { vendorId, id } = fn.subsystem ?? { vendorId: 0, id: 0 }
  image.write(0, SUBSYSTEM, { VENDOR: Number(vendorId), ID: Number(id) })
}

function writeSriov(
  image: ImageWriter,
  sheet: NonNullable<DataSheetFunction['sriov']>,
  number: number,
): void {
  const base = Number(sheet.at)
  image.extended(base, EXTENDED_CAPABILITY.SRIOV, 1)
  image.write(base, SRIOV.CAPABILITIES, { ARI_PRESERVED: 1 })
  image.write(base, SRIOV.COUNTS, { INITIAL: sheet.totalVfs, TOTAL: sheet.totalVfs })
  // "Function Dependency Link": a function's own number says that it depends on none.
  image.write(base, SRIOV.NUM_VFS, { DEPENDENCY: number })
  image.write(base, SRIOV.ROUTING, { OFFSET: sheet.nonAri.offset, STRIDE: sheet.nonAri.stride })
  image.write(base, SRIOV.VF_DEVICE, { ID: Number(sheet.vfDeviceId) })
  image.write(base, SRIOV.SUPPORTED_PAGE_SIZES, { SIZES: Number(sheet.supportedPageSizes) })
  image.write(base, SRIOV.SYSTEM_PAGE_SIZE, { SIZE: 1 })
}

function virtualImage(fn: DataSheetFunction): Uint8Array {
  const image = new ImageWriter(EXPRESS_CONFIG_SIZE)
  image.write(0, ID, { VENDOR: 0xffff, DEVICE: 0xffff })
  image.write(0, CLASS, { REVISION: Number(fn.revision), CODE: Number(fn.classCode) })
  writeSubsystem(image, fn)
  for (const capability of fn.sriov!.virtualFunction.capabilities) {
    writeCapability(image, capability, { nextFunction: 0 })
  }
  return image.bytes()
}
