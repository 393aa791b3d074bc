import { describe, expect, it } from 'vitest'
import { Grouping } from '../../src/host/grouping/groups.ts'
import { PATH_RULES } from '../../src/host/grouping/path-rules.ts'
import { captureNames, groupingFunctions, partitionOf } from './capture-functions.ts'

function group(name: string): Grouping {
  const { all, covered } = groupingFunctions(name)
  const grouping = new Grouping(PATH_RULES)
  for (const fn of all) grouping.discover(fn)
  for (const fn of covered) grouping.add(fn)
  return grouping
}

const partition = (grouping: Grouping): string[][] =>
  grouping
    .groups()
    .map(({ members }) => members.map(({ address }) => address).sort())
    .sort((a, b) => (a[0]! < b[0]! ? -1 : 1))

describe('IOMMU groups of machines that a real Linux was booted on', () => {
  it('has captures to compare with', () => {
    expect(captureNames().length).toBeGreaterThan(0)
  })

  it.each(captureNames())('%s: the same partition as Linux', name => {
    expect(partition(group(name))).toEqual(partitionOf(name).partition)
  })

  it.each(captureNames())('%s: every function has one reason, and only founders have no mate', name => {
    for (const { members, why } of group(name).groups()) {
      expect(why.map(reason => reason.function)).toEqual(members.map(({ address }) => address))
      expect(why.filter(({ rule }) => rule === 'founder')).toHaveLength(1)
      for (const { joined, rule } of why)
        expect(rule === 'founder' || members.some(({ address }) => address === joined)).toBe(true)
    }
  })
})
