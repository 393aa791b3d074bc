/** The virtual functions of QEMU's models: how an SR-IOV capability comes about, and what is behind it. */
import { bytesToHex } from '../../core/index.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import type { TopologyNodeDocument } from '../../platform/index.ts'
import { ConfigImage } from './config-image.ts'
import { Properties, type PropertyContext, type SriovProperties, setVectors } from './device-properties.ts'
import type { DeviceSheet, SheetBar } from './device-sheet.ts'
import { virtioFunction } from './virtio.ts'
import { virtualFunctionsOf } from './virtio-sriov.ts'
import { type Override, type Traits, writeMasks } from './write-masks.ts'

export type Imported = NonNullable<TopologyNodeDocument['imported']>
type BarDocument = NonNullable<Imported['bars']>[number]

const VIRTUAL: Traits = {
  deviceErrors: false,
  linkControl: false,
  slot: false,
  nativeHotplug: false,
  rootPort: false,
  bridge: false,
}

const hexOf = (value: number, bytes: number): string =>
  Array.from({ length: bytes }, (_, i) => ((value >>> (8 * i)) & 0xff).toString(16).padStart(2, '0')).join('')

/** ARI, and an SR-IOV capability whose VFs follow the function one by one, with one BAR each. */
export function nvmeSriov(image: ConfigImage, { totalVfs }: SriovProperties, { header }: DeviceSheet): void {
  image.extendedCapability(EXTENDED_CAPABILITY.ARI, 1, 0x100, '00000000')
  const counts = hexOf(totalVfs, 2)
  const device = hexOf(image.readWord(0x02) || Number(header.deviceId), 2)
  image.extendedCapability(
    EXTENDED_CAPABILITY.SRIOV,
    1,
    0x120,
    `0000000000000000${counts}${counts}0000000001000100` +
      `0000${device}5305000001000000` +
      '04000000'.padEnd(56, '0'),
  )
}

const INTEGRATED = 0x90

/** "Device/Port Type": an endpoint on a root bus is integrated into the root complex. */
export function integrate(image: ConfigImage): void {
  const at = image.find(CAPABILITY.EXPRESS)
  if (at !== undefined) image.bytes[at + 2] = (image.bytes[at + 2]! & 0x0f) | INTEGRATED
}

function integratedEndpoint(image: ConfigImage): boolean {
  const at = image.find(CAPABILITY.EXPRESS)
  return at !== undefined && (image.bytes[at + 2]! & 0xf0) === INTEGRATED
}

export const barDocument = ({ index, kind, prefetchable, sizeBytes }: SheetBar): BarDocument => ({
  index,
  kind,
  ...(prefetchable && { prefetchable }),
  sizeBytes,
})

/** Config space without its trailing zeros. */
export const imageText = ({ bytes }: ConfigImage): string =>
  bytesToHex(bytes.subarray(0, bytes.findLastIndex(byte => byte !== 0) + 1))

export function sriovOf(
  sheet: DeviceSheet,
  image: ConfigImage,
  asked: SriovProperties | undefined,
  express: boolean,
): Pick<Imported, 'sriov'> {
  const { virtualFunction } = sheet
  if (virtualFunction === undefined || image.findExtended(EXTENDED_CAPABILITY.SRIOV) === undefined) return {}
  const virtual = ConfigImage.of(virtualFunction, express)
  if (asked !== undefined) {
    setVectors(virtual, asked.vectors)
    virtual.bars.splice(0, 1, { ...virtual.bars[0]!, sizeBytes: asked.barSizeBytes })
  }
  const [offset, stride] = virtualFunction.routing
  if (integratedEndpoint(image)) integrate(virtual)
  return { sriov: virtualFunctions(virtual, { offset, stride }, writeMasks(virtual, VIRTUAL, [])) }
}

/** The SR-IOV part of an imported function: VFs answer at once, and routing ids do not follow ARI. */
const virtualFunctions = (
  image: ConfigImage,
  routing: { readonly offset: number; readonly stride: number },
  overrides: Override[],
): NonNullable<Imported['sriov']> => ({
  ari: routing,
  nonAri: routing,
  bars: image.bars.map(barDocument),
  image: imageText(image),
  ...(overrides.length > 0 && { overrides }),
  enableTimeNs: 0,
})

/** `sriov-pf`: a capability made of the devices that name this one. Its link points at a header that is not there. */
export function composedSriov(
  image: ConfigImage,
  context: PropertyContext,
): Pick<Imported, 'sriov'> | undefined {
  const functions = virtualFunctionsOf(context.device)
  const [first, second] = functions
  if (first === undefined) return undefined
  const offset = first.devfn - context.device.devfn
  const stride = second === undefined ? 0 : second.devfn - first.devfn
  const count = hexOf(functions.length, 2)
  const device = hexOf(image.readWord(0x02), 2)
  image.extendedCapability(
    EXTENDED_CAPABILITY.SRIOV,
    1,
    0x100,
    `0000000000000000${count}${count}00000000${hexOf(offset, 2)}${hexOf(stride, 2)}0000${device}5305000001000000`.padEnd(
      120,
      '0',
    ),
  )
  image.word(0x102, 0x1401)
  const virtual = virtioFunction(first.sheet, new Properties(first), { ...context, device: first })
  virtual.image.dword(0x00, 0xffff_ffff)
  virtual.image.extendedCapability(EXTENDED_CAPABILITY.ARI, 1, 0x100, '00000000')
  for (const { index, kind, prefetchable } of virtual.image.bars) {
    const type = (kind === 'memory64' ? 4 : 0) | (prefetchable ? 8 : 0)
    image.bytes[0x124 + 4 * index] = type
  }
  const traits = { ...VIRTUAL, deviceErrors: virtual.deviceErrors, linkControl: virtual.linkControl }
  const overrides = writeMasks(virtual.image, traits, virtual.writeMasks)
  return { sriov: virtualFunctions(virtual.image, { offset, stride }, overrides) }
}
