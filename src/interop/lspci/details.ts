/** Facts that `lspci -v` adds to config space: sizes of base addresses, NUMA node and driver. */

export interface ListedRegion {
  /** BAR number. */
  readonly index: number
  readonly kind: 'memory32' | 'memory64' | 'io'
  readonly prefetchable: boolean
  /** Bytes; undefined where lspci could not say. */
  readonly size: number | undefined
}

export interface ListedDetails {
  readonly regions: readonly ListedRegion[]
  /** Bytes of the expansion ROM, if it has one and lspci could say. */
  readonly romSize: number | undefined
  readonly numaNode: number | undefined
  readonly driver: string | undefined
  /** Number of the IOMMU group. */
  readonly group: number | undefined
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }
// One level of indentation: deeper lines describe VF BARs inside the SR-IOV capability.
const REGION = /^(?:\t| {8})Region ([0-5]): (?:\[virtual\] )?(Memory|I\/O ports) at (\S+)(.*)$/
const ROM = /^(?:\t| {8})(?:\[virtual\] )?Expansion ROM at (.*)$/
const NUMA_NODE = /^\s+NUMA node: (\d{1,4})$/
const GROUP = /^\s+IOMMU group: (\d{1,6})$/
const DRIVER = /^\s+Kernel driver in use: (\S+)/

export function readDetails(lines: readonly string[]): ListedDetails {
  const regions: ListedRegion[] = []
  let romSize: number | undefined
  let numaNode: number | undefined
  let driver: string | undefined
  let group: number | undefined
  for (const line of lines) {
    const region = REGION.exec(line)
    if (region !== null) {
      const [, index, type, , rest = ''] = region
      const memory = rest.includes('64-bit') ? 'memory64' : 'memory32'
      regions.push({
        index: Number(index),
        kind: type === 'Memory' ? memory : 'io',
        prefetchable: /[( ]prefetchable/.test(rest),
        size: sizeIn(rest),
      })
    }
    const rom = ROM.exec(line)
    if (rom !== null) romSize = sizeIn(rom[1]!)
    numaNode ??= numberIn(NUMA_NODE, line)
    group ??= numberIn(GROUP, line)
    driver ??= DRIVER.exec(line)?.[1]
  }
  return { regions, romSize, numaNode, driver, group }
}

function sizeIn(text: string): number | undefined {
  const match = /\[size=(\d{1,6})([KMGT]?)\]/.exec(text)
  return match === null ? undefined : Number(match[1]) * UNITS[match[2]!]!
}

function numberIn(pattern: RegExp, line: string): number | undefined {
  const match = pattern.exec(line)
  return match === null ? undefined : Number(match[1])
}
