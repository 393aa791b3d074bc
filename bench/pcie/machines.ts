/** Machines of any number of functions: segments of root ports with devices of many functions below each. */
import { bytesToHex } from '../../src/core/index.ts'
import { definitionFromDataSheet, loadDataSheet } from '../../src/devices/index.ts'
import type { TopologyDocument, TopologyNodeDocument } from '../../src/platform/index.ts'

/** Root ports of a segment: every place of its root bus but device 0. */
export const PORTS = 31 * 8

const place = (n: number): string => `${(n >>> 3).toString(16).padStart(2, '0')}.${n & 7}`

/**
 * @param functionsPerPort up to 256, by ARI.
 * @param functionOf the function with a number of its own, at a place.
 */
export function segmented(
  segments: number,
  functionsPerPort: number,
  functionOf: (at: string, number: number) => TopologyNodeDocument,
): TopologyDocument {
  let number = 0
  const port = (n: number): TopologyNodeDocument => ({
    at: place(n + 8),
    model: 'root-port',
    devices: Array.from({ length: functionsPerPort }, (_, i) => functionOf(place(i), number++)),
  })
  return {
    name: 'scale',
    memory: [{ sizeMiB: 65_536 }],
    iommu: {
      kind: 'intel-vtd',
      units: Array.from({ length: segments }, (_, n) => ({ id: `unit${n}`, segment: n, includeAll: true })),
    },
    hostBridges: Array.from({ length: segments }, (_, n) => ({
      segment: n,
      bus: 0,
      devices: Array.from({ length: PORTS }, (_, i) => port(i)),
    })),
  }
}

/** Every function from one data sheet. */
export const alike = (at: string): TopologyNodeDocument => ({ at, model: 'intel-82576', functionOfModel: 0 })

const SERIAL_NUMBER = 0x144
/** Behind the last capability there are zeros, which may be left out. */
const IMAGE_DIGITS = 2 * 0x200
const nic = definitionFromDataSheet(loadDataSheet('intel-82576'))
const bars = nic.bars.map(({ size, ...bar }) => ({ ...bar, sizeBytes: size }))
const { ari, nonAri, bars: virtualBars, image: virtualImage } = nic.sriov!
const sriov = {
  ari,
  nonAri,
  bars: virtualBars.map(({ size, ...bar }) => ({ ...bar, sizeBytes: size })),
  image: bytesToHex(virtualImage).slice(0, IMAGE_DIGITS),
}

/** Every function with an image of its own, as imported machines have: they differ in their serial numbers. */
export function distinct(at: string, number: number): TopologyNodeDocument {
  const image = nic.image.slice()
  new DataView(image.buffer).setUint32(SERIAL_NUMBER, number + 1, true)
  return {
    at,
    imported: {
      name: `function ${number}`,
      kind: 'endpoint',
      image: bytesToHex(image).slice(0, IMAGE_DIGITS),
      configSizeBytes: 4096,
      bars,
      romSizeBytes: nic.romSize,
      sriov,
    },
  }
}
