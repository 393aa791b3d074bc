import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { drive, within } from '../../src/engine/index.ts'
import { createPlatform, NorthbridgeError } from '../../src/index.ts'
import { execute, installation } from '../../src/operations/index.ts'
import type { OperationId, OutputOf } from '../../src/operations/table.ts'
import { leaksSince, SimulatedPlatform, takeStock } from '../../src/system/index.ts'
import { RandomWorld, TOPOLOGIES } from './random-world.ts'

const PF = '0000:01:00.0'

function server() {
  const platform = createPlatform('one-socket-82576')
  const { virtualFunctions } = platform.setNumVfs({ function: PF, numVfs: 1 })
  return { platform, vf: virtualFunctions![0]! }
}

const refusal = (act: () => unknown): NorthbridgeError => {
  try {
    act()
  } catch (error) {
    if (error instanceof NorthbridgeError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('memory that a device may reach', () => {
  test('gets host pages for all of it, and DMA arrives where the guest reads', () => {
    const { platform, vf } = server()
    platform.createVm({ name: 'a', vcpus: 1, memoryMiB: 16, backing: 'paged' })
    expect(platform.vmMemory({ vm: 'a' }).resident).toBeLessThan(4096)
    platform.attach({ vm: 'a', function: vf })
    expect(platform.vmMemory({ vm: 'a' })).toMatchObject({ resident: 4096, pinnedBy: [vf] })
    platform.dma({ function: vf, direction: 'write', address: '0xf00000', data: 'c0ffee' })
    expect(platform.readMemory({ vm: 'a', address: '0xf00000', length: 3 }).data).toBe('c0ffee')
  })

  test('is taken by nobody: ballooning, swapping, moving and a lower limit are refused with holder and ranges', () => {
    const { platform, vf } = server()
    platform.createVm({ name: 'a', vcpus: 1, memoryMiB: 16, backing: 'paged' })
    platform.attach({ vm: 'a', function: vf })
    const before = platform.platformState().stateHash
    for (const act of [
      () => platform.setBalloon({ vm: 'a', mebibytes: 4 }),
      () => platform.swapOut({ vm: 'a', mebibytes: 4 }),
      () => platform.collapseMemory({ vm: 'a' }),
      () => platform.setVmMemory({ vm: 'a', limitMiB: 8 }),
    ]) {
      const { code, details, message } = refusal(act)
      expect(code).toBe('memoryPinned')
      expect(details).toMatchObject({ holders: [vf], ranges: [{ address: '0x0', length: 16 * 2 ** 20 }] })
      expect(message).toContain(`${vf} may reach all memory of a (16 MiB at 0x0)`)
    }
    expect(platform.platformState().stateHash).toBe(before)
    platform.detach({ vm: 'a', function: vf })
    expect(platform.setBalloon({ vm: 'a', mebibytes: 4 }).balloon?.actual).toBe(1024)
  })

  test('comes back from the balloon, from sharing and from the swap area before the device is there', () => {
    const { platform, vf } = server()
    platform.createVm({ name: 'a', vcpus: 1, memoryMiB: 16, backing: 'paged', hugePages: 'none' })
    platform.useMemory({ vm: 'a', mebibytes: 6 })
    platform.sharePages({})
    platform.swapOut({ vm: 'a', mebibytes: 4 })
    platform.setBalloon({ vm: 'a', mebibytes: 2 })
    platform.attach({ vm: 'a', function: vf })
    expect(platform.vmMemory({ vm: 'a' })).toMatchObject({ resident: 4096, shared: 0, swapped: 0 })
    expect(platform.useMemory({ vm: 'a', mebibytes: 6, contents: 'read' })).toMatchObject({ held: 1536 })
  })

  test('is not given where its limit forbids it', () => {
    const { platform, vf } = server()
    platform.createVm({
      name: 'a',
      vcpus: 1,
      memoryMiB: 16,
      backing: 'paged',
      memorySettings: { limitMiB: 8 },
    })
    const before = platform.platformState().stateHash
    expect(refusal(() => platform.attach({ vm: 'a', function: vf })).message).toContain('limit of 8 MiB')
    expect(platform.platformState().stateHash).toBe(before)
  })
})

test('fixed memory says that it is fixed', () => {
  const { platform } = server()
  platform.createVm({ name: 'a', vcpus: 1, memoryMiB: 16 })
  expect(refusal(() => platform.setBalloon({ vm: 'a', mebibytes: 4 }))).toMatchObject({
    code: 'memoryPinned',
  })
})

test('pages of 1 GiB stand behind memory in whole, aligned pieces, in the tables of processor and device', () => {
  const { platform, vf } = server()
  platform.createVm({ name: 'a', vcpus: 1, memoryMiB: 1024, hugePages: '1GiB' })
  platform.attach({ vm: 'a', function: vf })
  const walk = platform.explain({ unit: 'dmar0', source: vf, address: '0x12345678', access: 'write' })
  const entries = walk.steps.filter(({ check }) => check.startsWith('second-stage entry'))
  expect(entries.map(({ fields }) => fields?.PS)).toEqual([0, 1])
  expect(
    refusal(() => platform.createVm({ name: 'b', vcpus: 1, memoryMiB: 1536, hugePages: '1GiB' })),
  ).toMatchObject({
    code: 'invalidArgument',
  })
})

test('isolation holds for machines that share pages: nobody’s device reaches a shared page', () => {
  const { platform, vf } = server()
  for (const name of ['a', 'b', 'c']) {
    platform.createVm({ name, vcpus: 1, memoryMiB: 16, backing: 'paged', hugePages: 'none' })
    platform.useMemory({ vm: name, mebibytes: 4, contents: 'common' })
  }
  platform.setSharing({ scope: 'host' })
  expect(platform.sharePages({}).merged).toBeGreaterThan(2000)
  platform.attach({ vm: 'a', function: vf })
  const { functions, pairs } = platform.isolationReport()
  expect(pairs.every(({ isolated }) => isolated)).toBe(true)
  const reached = functions.find(fn => fn.function === vf)!.memory
  expect(new Set(reached.map(({ owner }) => owner.name))).toEqual(new Set(['a']))
  expect(reached.reduce((sum, { size }) => sum + size, 0)).toBe(16 * 2 ** 20)
  platform.dma({ function: vf, direction: 'write', address: '0x200000', data: 'ff'.repeat(64) })
  for (const name of ['b', 'c']) {
    expect(platform.useMemory({ vm: name, mebibytes: 4, contents: 'read' }).held).toBe(1024)
  }
})

test('a world with paged memory goes on from any saved moment as if it had not stopped', () => {
  const commands = fc.array(
    fc.record({
      kind: fc.constantFrom(
        'createPaged' as const,
        'useMemory' as const,
        'balloon' as const,
        'share' as const,
        'swapOut' as const,
        'balance' as const,
        'attach' as const,
        'detach' as const,
        'dma' as const,
        'deleteVm' as const,
      ),
      a: fc.nat(1000),
      b: fc.nat(1000),
      c: fc.nat(1000),
    }),
    { minLength: 4, maxLength: 14 },
  )
  fc.assert(
    fc.property(commands, fc.nat(13), (list, at) => {
      const all = [{ kind: 'createPaged' as const, a: 0, b: 0, c: 0 }, ...list]
      const topology = TOPOLOGIES[0]!()
      const world = RandomWorld.create(topology)
      world.follow(all.slice(0, at))
      const saved = world.platform.save()
      const ahead = world.follow(all.slice(at))
      const other = RandomWorld.restore(topology, saved)
      expect(other.follow(all.slice(at))).toEqual(ahead)
      expect(other.platform.stateHash()).toBe(world.platform.stateHash())
    }),
    { numRuns: Number(process.env.RUNS ?? 12) },
  )
})

test('whatever happens to memory, functions and machines: all are apart at every moment, contents are whole, nothing leaks', () => {
  const command = fc.record({
    kind: fc.constantFrom(
      'use',
      'use',
      'read',
      'balloon',
      'share',
      'swap',
      'balance',
      'attach',
      'detach',
      'dma',
      'run',
    ),
    vm: fc.nat(2),
    value: fc.nat(3),
  })
  fc.assert(
    fc.property(fc.array(command, { minLength: 4, maxLength: 16 }), commands => {
      const context = installation()
      const platform = drive(SimulatedPlatform.create(TOPOLOGIES[0]!(), { id: 'p', name: 'p' }), () => false)
      context.platforms.reserve('p')
      context.platforms.set('p', { id: 'p', running: platform })
      const call = <Id extends OperationId>(id: Id, input: object): OutputOf<Id> | string => {
        try {
          return drive(
            within(platform.engine, execute(context, id, { platform: 'p', ...input } as never)),
            () => false,
          )
        } catch (error) {
          if (error instanceof NorthbridgeError) return error.code
          throw error
        }
      }
      call('setNumVfs', { function: PF, numVfs: 3 })
      call('setSharing', { scope: 'host' })
      const stock = takeStock(platform)
      const vfs = platform.host.functions().flatMap(({ kind, address }) => (kind === 'VF' ? [address] : []))
      const names = ['a', 'b', 'c']
      /** By machine: MiB that hold what its program wrote, with the contents of each. */
      const written = names.map(() => new Map<number, 'own' | 'common'>())
      for (const [i, name] of names.entries()) {
        call('createVm', {
          name,
          vcpus: 1,
          memoryMiB: 8,
          backing: 'paged',
          hugePages: i === 0 ? '2MiB' : 'none',
        })
        call('setVmCpu', { vm: name, loadPercent: 100 })
      }
      for (const { kind, vm, value } of commands) {
        const name = names[vm]!
        const contents = value % 2 === 0 ? 'common' : 'own'
        const firstMiB = 2 + value
        if (kind === 'use') {
          if (typeof call('useMemory', { vm: name, firstMiB, mebibytes: 1, contents }) !== 'string')
            written[vm]!.set(firstMiB, contents)
        } else if (kind === 'balloon') call('setBalloon', { vm: name, mebibytes: value })
        else if (kind === 'share') call('sharePages', { large: value > 1 })
        else if (kind === 'swap') call('swapOut', { vm: name, mebibytes: 1 + value })
        else if (kind === 'balance') call('balanceMemory', {})
        else if (kind === 'attach') call('attach', { vm: name, function: vfs[vm]! })
        else if (kind === 'detach') call('detach', { vm: name, function: vfs[vm]! })
        else if (kind === 'run') call('runCpu', { nanoseconds: 20_000_000 })
        // Behind what programs use: it arrives in this machine, or nowhere.
        else if (kind === 'dma')
          call('dma', { function: vfs[vm]!, direction: 'write', address: '0x700000', data: 'ff' })
        for (const mebibyte of written[vm]!.keys()) {
          const used = call('useMemory', { vm: name, firstMiB: mebibyte, mebibytes: 1, contents: 'read' })
          expect(used).toMatchObject({ held: 256 })
        }
        const report = call('isolationReport', {})
        if (typeof report === 'string') throw new Error(report)
        expect(report.pairs.filter(({ isolated }) => !isolated)).toEqual([])
        for (const fn of report.functions.filter(({ owner }) => owner.kind === 'vm')) {
          expect(fn.memory.filter(({ owner }) => owner.name !== fn.owner.name)).toEqual([])
        }
      }
      for (const name of names) call('deleteVm', { vm: name })
      expect(leaksSince(stock, platform)).toEqual([])
    }),
    { numRuns: Number(process.env.RUNS ?? 10) },
  )
})
