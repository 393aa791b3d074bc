/** Functions for the grouping algorithm, drawn by hand. */
import type { GroupingFunction } from '../../src/host/grouping/grouping-function.ts'
import { Grouping, type GroupingRules } from '../../src/host/grouping/groups.ts'
import { PATH_RULES } from '../../src/host/grouping/path-rules.ts'

/** "Device/Port Type" of the PCI Express Capabilities register. */
export const TYPE = {
  endpoint: 0x0,
  rootPort: 0x4,
  upstream: 0x5,
  downstream: 0x6,
  pcieToPci: 0x7,
  pciToPcie: 0x8,
  integrated: 0x9,
  eventCollector: 0xa,
  conventional: -1,
} as const

/** SV, RR, CR and UF. */
const ALL = 0x1d
export const ON = { capability: ALL, control: ALL }
export const OFF = { capability: ALL, control: 0x11 }

export interface Sketch extends Partial<Omit<GroupingFunction, 'address' | 'rid'>> {
  readonly at: string
}

/** A function by bus, device and function, e.g. `01:00.0`; multifunction if its number is not 0. */
export function fn({ at, ...rest }: Sketch): GroupingFunction {
  const [, bus, device, number] = /^(..):(..)\.(.)$/.exec(at)!
  const rid = Number.parseInt(bus!, 16) * 256 + Number.parseInt(device!, 16) * 8 + Number(number)
  return {
    address: at,
    segment: 0,
    rid,
    vendorId: 0x1b36,
    deviceId: 0x10,
    expressType: TYPE.endpoint,
    bridge: false,
    multifunction: number !== '0',
    secondaryBus: 0,
    quirkAliases: [],
    ...rest,
  }
}

export const bridge = (at: string, secondaryBus: number, expressType: number, more: Partial<Sketch> = {}) =>
  fn({ at, secondaryBus, expressType, bridge: true, ...more })

export function grouped(rules: GroupingRules, functions: readonly GroupingFunction[]): Grouping {
  const grouping = new Grouping(rules)
  for (const one of functions) grouping.discover(one)
  for (const one of functions) grouping.add(one)
  return grouping
}

/** Groups as text, each in the order of joining. */
export const groupsBy = (rules: GroupingRules, functions: readonly GroupingFunction[]): string[] =>
  grouped(rules, functions)
    .groups()
    .map(({ members }) => members.map(({ address }) => address).join(' '))

export const groups = (...functions: readonly GroupingFunction[]): string[] => groupsBy(PATH_RULES, functions)
