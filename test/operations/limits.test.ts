import { describe, expect, it } from 'vitest'
import { drive } from '../../src/engine/index.ts'
import {
  execute,
  type InputOf,
  installation,
  type Limits,
  type OperationContext,
  type OperationId,
  usageOf,
} from '../../src/operations/index.ts'

const PF = '0000:01:00.0'

function world(limits: Partial<Limits>) {
  const context = installation({ limits })
  const call = <Id extends OperationId>(id: Id, input: InputOf<Id>) =>
    drive(execute(context, id, input), () => false)
  return { context, call }
}

const withPlatform = (limits: Partial<Limits>) => {
  const made = world(limits)
  made.call('createPlatform', { topology: 'one-socket-82576', name: 'p' })
  return made
}

const hashOf = ({ platforms }: OperationContext) => platforms.get('p').running.stateHash()

const refusal = (limit: keyof Limits) =>
  expect.objectContaining({ code: 'limitExceeded', details: expect.objectContaining({ limit }) })

describe('limits', () => {
  it('hold functions of all platforms together, those of a new platform and virtual ones', () => {
    const { context, call } = withPlatform({})
    const functions = usageOf(context, 'functions')
    context.limits = { ...context.limits, functions: functions + 2 }
    call('setNumVfs', { platform: 'p', function: PF, numVfs: 2 })
    const more = { platform: 'p', function: PF, numVfs: 3 }
    call('setNumVfs', { ...more, numVfs: 0 })
    expect(() => call('setNumVfs', more)).toThrow(refusal('functions'))
    call('setNumVfs', { ...more, numVfs: 2 })
    expect(() => call('createPlatform', { topology: 'one-socket-82576', name: 'q' })).toThrow(
      refusal('functions'),
    )
    expect(context.platforms.has('q')).toBe(false)
  })

  it('put a card back out that brings too many functions', () => {
    const { context, call } = world({})
    call('createPlatform', { topology: 'hot-plug', name: 'p' })
    const port = { platform: 'p', function: '0000:00:01.0' }
    call('pullCard', port)
    context.limits = { ...context.limits, functions: usageOf(context, 'functions') }
    const before = hashOf(context)
    expect(() => call('insertCard', port)).toThrow(refusal('functions'))
    expect(hashOf(context)).toBe(before)
    context.limits = { ...context.limits, functions: 1000 }
    call('insertCard', port)
  })

  it('hold virtual machines of all platforms together, and a refusal changes nothing', () => {
    const { context, call } = withPlatform({ vms: 2 })
    const vm = { platform: 'p', vcpus: 1, memoryMiB: 16 }
    call('createVm', { ...vm, name: 'a' })
    call('createVm', { ...vm, name: 'b' })
    const before = hashOf(context)
    expect(() => call('createVm', { ...vm, name: 'c' })).toThrow(refusal('vms'))
    expect(hashOf(context)).toBe(before)
    call('deleteVm', { platform: 'p', vm: 'a' })
    call('createVm', { ...vm, name: 'c' })
  })

  it('hold memory that was really written to; what gives some back is still done', () => {
    const { context, call } = withPlatform({})
    call('createVm', { platform: 'p', name: 'a', vcpus: 1, memoryMiB: 1024 })
    const used = usageOf(context, 'memoryMiB')
    expect(used).toBeLessThan(100)
    context.limits = { ...context.limits, memoryMiB: used }
    const before = hashOf(context)
    const write = { platform: 'p', vm: 'a', address: '0x100000', data: '5a' }
    expect(() => call('writeMemory', write)).toThrow(refusal('memoryMiB'))
    expect(hashOf(context)).toBe(before)
    call('readMemory', { platform: 'p', vm: 'a', address: '0x100000', length: 1 })
    call('deleteVm', { platform: 'p', vm: 'a' })
    call('power', { platform: 'p', action: 'off' })
    expect(usageOf(context, 'memoryMiB')).toBe(0)
  })

  it('do not count what comes with Northbridge', () => {
    const { context, call } = world({ topologies: 1 })
    const document = { name: 'mine', iommu: { kind: 'none' }, hostBridges: [{}] }
    expect(usageOf(context, 'topologies')).toBe(0)
    call('createTopology', { document })
    expect(() => call('createTopology', { document: { ...document, name: 'more' } })).toThrow(
      expect.objectContaining({ code: 'limitExceeded' }),
    )
  })

  it('hold experiments that run', () => {
    const { call } = world({ runningExperiments: 0 })
    const document = {
      title: 'None',
      configuration: { warmUp: 0, duration: 5000, workload: { kind: 'dma' } },
      axes: [{ name: 'size', field: '/workload/bytes', values: [64] }],
    }
    expect(() => call('createExperiment', { document })).toThrow(refusal('runningExperiments'))
  })
})
