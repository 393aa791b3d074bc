/** The rules of one function of a topology: what it is, and what the document says of it. */
import { DEVICE_MODELS, hasRoom } from '../devices/index.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from '../pcie/formats/index.ts'
import type { BarDefinition, FunctionDefinition } from '../pcie/index.ts'
import { capabilityAt, extendedCapabilityAt, headerTypeOf, totalVfsOf, vendorIdOf } from './config-image.ts'
import type { PlacedNode } from './function-paths.ts'
import type { ImportedFunction } from './imported-function-schema.ts'
import type { Report } from './wiring-rules.ts'

export const isBridging = ({ kind }: FunctionDefinition): boolean =>
  kind !== 'endpoint' && kind !== 'hostBridge'

/** What a function is in itself. */
export function checkFunction(
  { node }: PlacedNode,
  definition: FunctionDefinition,
  at: string,
  report: Report,
): void {
  if (node.imported !== undefined) {
    checkImported(definition, `${at}/imported`, report)
    checkImageLengths(node.imported, `${at}/imported`, report)
  }
  if (!isBridging(definition)) {
    for (const field of ['devices', 'bus', 'reservedBuses', 'reservedWindows', 'windows'] as const) {
      if (node[field] !== undefined)
        report(`${at}/${field}`, `is for bridges and ports, not for kind ${definition.kind}`)
    }
  }
  for (const space of ['io', 'memory', 'prefetchable'] as const) {
    if (node.windows?.[space] !== undefined && node.reservedWindows?.[`${space}Bytes`] !== undefined)
      report(
        `${at}/reservedWindows/${space}Bytes`,
        `has no effect: windows.${space} says where the window is`,
      )
  }
  for (const [kind, window] of Object.entries(node.windows ?? {})) {
    const unit = kind === 'io' ? 2 ** 12 : 2 ** 20
    if (window === undefined || window === null) continue
    if (Number(window.base) % unit !== 0 || (Number(window.limit) + 1) % unit !== 0) {
      report(`${at}/windows/${kind}`, `must begin and end at multiples of ${unit} bytes`)
    } else if (Number(window.limit) < Number(window.base)) {
      report(`${at}/windows/${kind}/limit`, 'is below the base')
    }
  }
  const total = totalVfsOf(definition.image)
  if (node.numVfs !== undefined && node.numVfs > total) {
    const rule = total === 0 ? 'needs an SR-IOV capability' : `is more than TotalVFs, ${total}`
    report(`${at}/numVfs`, rule)
  }
  for (const [index, text] of Object.entries(node.barAddresses ?? {})) {
    const path = `${at}/barAddresses/${index}`
    const bar =
      index === 'rom'
        ? definition.romSize > 0 && { kind: 'memory32' as const, size: definition.romSize }
        : definition.bars.find(candidate => candidate.index === Number(index))
    const address = Number(text)
    if (!bar) report(path, `is no base address register of the function`)
    else if (address % bar.size !== 0) report(path, `must be a multiple of the size, ${bar.size} bytes`)
    else if (bar.kind !== 'memory64' && address + bar.size > 2 ** 32) report(path, 'must lie below 4 GiB')
  }
}

function checkImported(
  { image, kind, bars, sriov, registerModel }: FunctionDefinition,
  at: string,
  report: Report,
): void {
  if (vendorIdOf(image) === 0xffff) report(`${at}/image`, 'has Vendor ID ffff, which means no function')
  const layout = kind === 'endpoint' || kind === 'hostBridge' ? 0 : 1
  if (headerTypeOf(image) !== layout) {
    report(`${at}/kind`, `"${kind}" has header type ${layout}, and the image says ${headerTypeOf(image)}`)
  }
  const express = capabilityAt(image, CAPABILITY.EXPRESS) !== undefined
  if (!express && (kind === 'rootPort' || kind === 'upstreamPort' || kind === 'downstreamPort')) {
    report(`${at}/kind`, `"${kind}" has a PCI Express capability, and the image has none`)
  }
  checkBars(bars, layout === 0 ? 6 : 2, `${at}/bars`, report)
  const capability =
    image.length > 256 && extendedCapabilityAt(image, EXTENDED_CAPABILITY.SRIOV) !== undefined
  if (capability && sriov === undefined)
    report(`${at}/sriov`, 'is missing: the image has an SR-IOV capability')
  if (!capability && sriov !== undefined) report(`${at}/sriov`, 'needs an SR-IOV capability in the image')
  if (sriov !== undefined) checkBars(sriov.bars, 6, `${at}/sriov/bars`, report)
  if (registerModel !== undefined) checkModel(registerModel, bars, `${at}/registerModel`, report)
}

function checkModel(name: string, bars: readonly BarDefinition[], at: string, report: Report): void {
  const model = DEVICE_MODELS[name]
  if (model === undefined)
    report(at, `names no device model: there are ${Object.keys(DEVICE_MODELS).join(', ')}`)
  else if (!hasRoom(name, bars)) report(at, `needs ${model.registerBytes} bytes of memory behind BAR 0`)
}

function checkImageLengths(
  { image, sriov, configSizeBytes }: ImportedFunction,
  at: string,
  report: Report,
): void {
  const rule = `holds more than the ${configSizeBytes} bytes of config space`
  if (image.length / 2 > configSizeBytes) report(`${at}/image`, rule)
  if (sriov !== undefined && sriov.image.length / 2 > configSizeBytes) report(`${at}/sriov/image`, rule)
}

function checkBars(bars: readonly BarDefinition[], registers: number, at: string, report: Report): void {
  const taken = new Set<number>()
  for (const [i, { index, kind, size, prefetchable }] of bars.entries()) {
    const indexes = kind === 'memory64' ? [index, index + 1] : [index]
    if (index + indexes.length > registers) report(`${at}/${i}/index`, `is beyond the ${registers} registers`)
    if (indexes.some(register => taken.has(register))) report(`${at}/${i}/index`, 'is taken by another one')
    for (const register of indexes) taken.add(register)
    if (kind === 'io' && size > 256) report(`${at}/${i}/sizeBytes`, 'must be at most 256 for I/O')
    if (kind === 'io' && prefetchable) report(`${at}/${i}/prefetchable`, 'is for memory')
    if (kind !== 'io' && size < 16) report(`${at}/${i}/sizeBytes`, 'must be at least 16 for memory')
    if (kind === 'memory32' && size > 2 ** 31)
      report(`${at}/${i}/sizeBytes`, 'must be at most 2 GiB for memory32')
  }
}
