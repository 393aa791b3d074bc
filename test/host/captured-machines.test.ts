import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importCapture } from '../../src/interop/index.ts'
import { CAPTURES, captureNames, partitionOf } from './capture-functions.ts'
import { boot } from './machine.ts'

/** Recorded under 6.1; what 7.2 reported of the same machines differs in nothing that is compared here. */
const names = captureNames().filter(name => !name.endsWith('-k72'))

/** Functions that an Intel unit translated, from sysfs. */
function translated(name: string): string[] {
  const path = join(CAPTURES, name, 'iommu-units.txt')
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  return text.includes('[dmar')
    ? [...text.matchAll(/^device=(\S+)$/gm)].map(([, address]) => address!).sort()
    : []
}

describe('machines that a real Linux was booted on, powered on here', () => {
  it.each(names)(
    '%s: this kernel finds the same IOMMU groups and the same functions behind the unit',
    name => {
      const { topology } = importCapture(join(CAPTURES, name))
      const { host } = boot(topology)
      const groups = host.groups().map(({ functions }) => [...functions])
      expect(groups.sort(([a], [b]) => (a! < b! ? -1 : 1))).toEqual(partitionOf(name).partition)
      const covered = host.functions().filter(fn => fn.remappingUnit !== null)
      expect(covered.map(({ address }) => address).sort()).toEqual(translated(name))
    },
  )

  it('amd-iommu: nothing is assigned, because that IOMMU is not modelled', () => {
    const { host, run } = boot(importCapture(join(CAPTURES, 'amd-iommu')).topology)
    expect(host.find('0000:00:01.0').group).toBeNull()
    expect(host.find('0000:01:10.0')).toMatchObject({ remappingUnit: null, group: 8 })
    const attach = () => run(host.vfio.attach('0000:01:10.0', 'guest'))
    expect(attach).toThrow(expect.objectContaining({ code: 'noRemapping' }))
    expect(attach).toThrow(/AMD IOMMU at 0000:00:01.0/)
  })
})
