import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  costsOf,
  machineNames,
  machineParameters,
  PARAMETER_NAMES,
  PARAMETERS,
  parseConfiguration,
  parseCostFile,
} from '../../src/timing/index.ts'

const file = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../costs/machines/${name}.json`, import.meta.url), 'utf8'))

describe.each(machineNames())('the cost file %s', name => {
  it('gives each parameter a value within its range, a unit and a source', () => {
    const parsed = parseCostFile(file(name))
    expect(parsed.name).toBe(name)
    for (const parameter of Object.values(parsed.parameters)) expect(parameter!.source).not.toBe('')
  })

  it('has every parameter, itself or from the file it extends', () => {
    expect(Object.keys(machineParameters(name)).sort()).toEqual([...PARAMETER_NAMES].sort())
  })
})

describe('a cost file', () => {
  const one = (parameter: object) => ({ name: 'x', title: 'X', parameters: { clockGHz: parameter } })
  const good = { value: 2, unit: 'GHz', range: [1, 3], source: 'the machine' }

  it.each([
    ['a value out of its range', { ...good, value: 4 }, 'within the range'],
    ['another unit', { ...good, unit: 'MHz' }, 'unit'],
    ['no source', { ...good, source: '' }, 'source'],
    ['a field too many', { ...good, note: 'n' }, 'note'],
  ])('is refused for %s', (_, parameter, message) => {
    expect(() => parseCostFile(one(parameter))).toThrow(message)
  })

  it('is refused for a parameter that nothing uses', () => {
    expect(() => parseCostFile({ name: 'x', title: 'X', parameters: { speed: good } })).toThrow(
      '/parameters/speed',
    )
  })
})

describe('a configuration', () => {
  const workload = { kind: 'dma' } as const

  it('replaces values of its machine by name', () => {
    const machine = { costs: 'default', overrides: { tableRead: 77 }, gigahertz: 3.5 }
    expect(costsOf(parseConfiguration({ machine, workload }))).toMatchObject({ tableRead: 77, clockGHz: 3.5 })
  })

  it.each([
    [{ machine: { costs: 'abacus' } }, '/machine/costs'],
    [{ machine: { overrides: { toString: 1 } } }, '/machine/overrides/toString'],
    [{ adapter: { gbps: 0 } }, '/adapter/gbps'],
    [{ link: { lanes: 3 } }, '/link/lanes'],
    [{ vms: 3 }, '/vms'],
  ])('is refused with the field that is wrong: %j', (part, path) => {
    expect(() => parseConfiguration({ ...part, workload })).toThrow(path)
  })

  it.each([
    [{ kind: 'network', vms: 1024, vcpus: 64 }, '/adapter/ringSize'],
    [{ kind: 'storage', jobs: 1024, depth: 4096 }, '/workload/depth'],
    [{ kind: 'mapping', cores: 16, live: 65_536, pages: 512 }, '/workload/live'],
    [{ kind: 'mapping', cores: 17 }, '/workload/cores'],
  ])('is refused if it asks for more than there is room for: %j', (work, path) => {
    expect(() => parseConfiguration({ iommu: { mode: 'strict' }, workload: work })).toThrow(path)
  })

  it('takes its defaults from the schema: nothing but the kind of work has to be said', () => {
    expect(parseConfiguration({ workload })).toMatchObject({
      machine: { costs: 'default', cores: 16 },
      link: { generation: 3, lanes: 8 },
      iommu: { mode: 'off' },
    })
  })

  it('has parameters whose meaning is told', () => {
    for (const [name, { about }] of Object.entries(PARAMETERS)) expect(about.length, name).toBeGreaterThan(3)
  })
})
