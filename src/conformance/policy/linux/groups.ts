/** Worked cases of IOMMU groups: a tree of functions, grouped by the simulated kernel's own rules. */
import { BUS_RULES } from '../../../host/grouping/bus-rules.ts'
import type { GroupingFunction } from '../../../host/grouping/grouping-function.ts'
import { Grouping, type GroupingRules } from '../../../host/grouping/groups.ts'
import { PATH_RULES } from '../../../host/grouping/path-rules.ts'
import type { Judge, Outcome } from '../worked-case.ts'
import { type CaseFunction, functionsOf } from './functions.ts'

type Partition = readonly (readonly string[])[]

export const judgeGroups: Judge = ({ devices, policy, expected }): Outcome => {
  const functions = functionsOf(devices)
  const newer = policy['algorithm'] === 'bus-isolation'
  const groups = partition(functions, newer ? BUS_RULES : PATH_RULES)
  const sameLater = sameSets(groups, partition(functions, BUS_RULES))
  return {
    decision: 'grouped',
    // The order of groups and members says nothing: a partition that is the expected one is shown as it was written.
    groups: like(groups, expected['groups'], sameSets),
    together: like(
      groups.find(group => group.includes(firstText(expected['together']))) ?? [],
      expected['together'],
      isWithin,
    ),
    alone: like(
      groups.flatMap(group => (group.length === 1 ? group : [])),
      expected['alone'],
      isWithin,
    ),
    ...(sameLater ? {} : { versioned: expected['versioned'] ?? 'the rules of 2025 group otherwise' }),
  }
}

/** As in the kernel: all functions of a bus, then the buses below its bridges. */
function partition(functions: readonly CaseFunction[], rules: GroupingRules): Partition {
  const names = new Map<GroupingFunction, string>(functions.map(({ fn, name }) => [fn, name]))
  const grouping = new Grouping(rules)
  const ordered = inOrder(functions.map(({ fn }) => fn))
  for (const fn of ordered) grouping.discover(fn)
  for (const fn of ordered) grouping.add(fn)
  return grouping.groups().map(({ members }) => members.map(fn => names.get(fn)!).sort())
}

function inOrder(functions: readonly GroupingFunction[]): GroupingFunction[] {
  const below = (bridge: GroupingFunction | undefined): GroupingFunction[] => {
    const bus = functions.filter(({ above }) => above === bridge).sort((a, b) => a.rid - b.rid)
    return [...bus, ...bus.filter(({ bridge: isBridge }) => isBridge).flatMap(below)]
  }
  return below(undefined)
}

const firstText = (value: unknown): string => (Array.isArray(value) ? String(value[0]) : '')

const like = <Actual>(
  actual: Actual,
  expected: unknown,
  same: (actual: Actual, expected: Actual) => boolean,
) => (Array.isArray(expected) && same(actual, expected as Actual) ? expected : actual)

const isWithin = (actual: readonly string[], expected: readonly string[]): boolean =>
  expected.every(name => actual.includes(name))

const keyOf = (groups: Partition): string => JSON.stringify(groups.map(group => [...group].sort()).sort())
const sameSets = (actual: Partition, expected: Partition): boolean => keyOf(actual) === keyOf(expected)
