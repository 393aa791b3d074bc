/** Errors planted in the middle of operations: what is refused half-way has not happened, time and log included. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { drive } from '../../src/engine/index.ts'
import { PageAllocator } from '../../src/host/index.ts'
import { HostInterrupts } from '../../src/host/interrupts.ts'
import { InterruptTable } from '../../src/host/iommu/interrupt-table.ts'
import { NumberPool } from '../../src/host/number-pool.ts'
import {
  changes,
  execute,
  type InputOf,
  installation,
  type OperationId,
  type OutputOf,
  operationEntries,
} from '../../src/operations/index.ts'
import { leaksSince, type SimulatedPlatform, strayResources, takeStock } from '../../src/system/index.ts'

const platform = 'p'
const PF = '0000:01:00.0'
const VF = '0000:01:10.0'
const SSD = '0000:03:00.0'
const MACHINE = { platform, vcpus: 2, memoryMiB: 2 } as const

const POLICY = {
  system: 'northbridge' as const,
  files: [
    {
      name: 'own.yaml',
      text: JSON.stringify({ resources: [{ name: 'vf', select: 'device.role == "VF"' }] }),
    },
  ],
}

type Step = { [Id in OperationId]: readonly [Id, InputOf<Id>] }[OperationId]

/** A world in which each operation has something to do. */
function world(topology: string, steps: readonly Step[], others: readonly string[] = []) {
  const context = installation({ files })
  const run = ([id, input]: Step): unknown => drive(execute(context, id, input as never), () => false)
  for (const name of [platform, ...others]) run(['createPlatform', { topology, name }])
  for (const step of steps) run(step)
  const platforms = [platform, ...others].map(name => context.platforms.get(name).running)
  return { run, platforms, saved: platforms.map(running => running.save()) }
}

type World = ReturnType<typeof world>

/** Worlds are made once: everything that is tried begins in the same state of one. */
const made = new Map<string, World>()
function once(name: string, make: () => World): World {
  let found = made.get(name)
  if (found === undefined) made.set(name, (found = make()))
  return found
}

const aServer = () => once('server', () => world('one-socket-82576', READY))
const slots = () => once('slots', () => world('hot-plug', []))
const networks = () => once('networks', () => world('one-socket-82576', WITH_NETWORK))
const disks = () => once('disks', () => world('nvme-sriov', WITH_DISKS))
const lives = () => once('lives', () => world('one-socket-82576', WITH_LIVES))
const two = () => once('two', () => world('one-socket-82576', WITH_LIVES, ['q']))

const READY: readonly Step[] = [
  ['setNumVfs', { platform, function: PF, numVfs: 2 }],
  ['createVm', { ...MACHINE, name: 'a' }],
  ['createVm', { ...MACHINE, name: 'b', interrupts: 'posted' }],
  ['attach', { platform, vm: 'a', function: VF }],
]

const OF_A_SERVER: readonly Step[] = [
  ['createVm', { ...MACHINE, name: 'c' }],
  ['createVm', { ...MACHINE, name: 'c', interrupts: 'virtualized' }],
  ['createVm', { ...MACHINE, name: 'c', interrupts: 'posted' }],
  ['createVm', { ...MACHINE, name: 'c', nested: true }],
  ['deleteVm', { platform, vm: 'a' }],
  ['attach', { platform, vm: 'a', function: '0000:01:10.2' }],
  // In an address space that there is, and in one that has to be made.
  ['attach', { platform, vm: 'b', function: '0000:01:10.2' }],
  ['attach', { platform, vm: 'b', function: SSD }],
  ['detach', { platform, vm: 'a', function: VF }],
  ['setNumVfs', { platform, function: '0000:01:00.1', numVfs: 3 }],
  ['resetFunction', { platform, function: SSD }],
  ['power', { platform, action: 'reset' }],
  ['power', { platform, action: 'off' }],
  ['allocateBuffer', { platform, function: SSD, pages: 3 }],
  ['traceInterrupt', { platform, function: VF, vector: 0, guest: 'preempted' }],
  ['dma', { platform, function: VF, direction: 'read', address: '0x1000', length: 64 }],
  ['interrupt', { platform, function: VF, vector: 0 }],
  ['runVcpu', { platform, vm: 'a', vcpu: 0, operations: [{ op: 'cpuid', leaf: 1 }] }],
  ['moveVcpu', { platform, vm: 'a', vcpu: 0, processor: 3 }],
  ['interruptVcpu', { platform, vm: 'a', vcpu: 0, vector: 0x55 }],
  [
    'applyPolicy',
    {
      platforms: [platform],
      policy: POLICY,
      create: { vcpus: 1, memoryMiB: 2 },
      requests: [{ vm: 'd', needs: [{ resource: 'vf', count: 1 }] }],
    },
  ],
]

const SLOT = '0000:00:02.0'
const OF_SLOTS: readonly Step[] = [
  ['insertCard', { platform, function: SLOT, card: [{ at: '00.0', model: 'intel-82576' }] }],
]

const MAC = '02:00:00:00:00:01'
const UPLINK = '0000:01:00.1'
const WITH_NETWORK: readonly Step[] = [
  ...READY,
  ['createVm', { ...MACHINE, name: 'c', memoryMiB: 16 }],
  ['createVm', { ...MACHINE, name: 'd', memoryMiB: 16 }],
  ['createSwitch', { platform, name: 'vs0', uplinks: [UPLINK] }],
  ['addNetworkDevice', { platform, vm: 'c', model: 'paravirtual', mac: MAC, switch: 'vs0' }],
]
const OTHER_MAC = '02:00:00:00:00:02'
const OF_NETWORKS: readonly Step[] = [
  ['createSwitch', { platform, name: 'vs1', uplinks: [PF] }],
  ['addNetworkDevice', { platform, vm: 'd', model: 'emulated', mac: OTHER_MAC, switch: 'vs0' }],
  ['addNetworkDevice', { platform, vm: 'd', model: 'vmdq', mac: OTHER_MAC, function: PF }],
  ['addNetworkDevice', { platform, vm: 'd', model: 'sriov', mac: OTHER_MAC, function: '0000:01:10.2' }],
  ['removeNetworkDevice', { platform, vm: 'c', slot: 1 }],
]

const NVME = '0000:01:00.0'
const NVME_VF = '0000:01:00.1'
const WITH_DISKS: readonly Step[] = [
  ['createVm', { ...MACHINE, name: 'a', memoryMiB: 16 }],
  ['createVm', { ...MACHINE, name: 'b', memoryMiB: 16 }],
  ['openDisk', { platform, vm: 'b', model: 'paravirtual', function: NVME }],
  ['createNamespace', { platform, function: NVME, blocks: 4096 }],
]
const OF_DISKS: readonly Step[] = [
  ['openDisk', { platform, vm: 'a', model: 'emulation', function: NVME }],
  ['openDisk', { platform, vm: 'a', model: 'queuePair', function: NVME }],
  ['openDisk', { platform, vm: 'a', model: 'virtualFunction', function: NVME_VF }],
  ['closeDisk', { platform, vm: 'b' }],
  ['createNamespace', { platform, function: NVME, blocks: 4096, private: true }],
  ['attachNamespace', { platform, function: NVME, namespace: 2, to: NVME_VF }],
  ['detachNamespace', { platform, function: NVME, namespace: 1, to: NVME_VF }],
  ['deleteNamespace', { platform, function: NVME, namespace: 2 }],
  ['putNamespaceOnFile', { platform, function: NVME, namespace: 2, file: 'disk.img' }],
]

const WITH_LIVES: readonly Step[] = [
  ['setNumVfs', { platform, function: PF, numVfs: 2 }],
  ['createVm', { platform, name: 'a', vcpus: 1, memoryMiB: 5, backing: 'paged' }],
  ['createVm', { platform, name: 'b', vcpus: 1, memoryMiB: 2, backing: 'paged', viommu: 'shadow' }],
  ['createVm', { platform, name: 'c', vcpus: 1, memoryMiB: 2 }],
  ['attach', { platform, vm: 'b', function: VF }],
  ['setViommu', { platform, vm: 'b', enabled: true }],
  ['mapViommu', { platform, vm: 'b', function: VF, address: '0x100000', guestAddress: '0x100000', pages: 4 }],
  ['useMemory', { platform, vm: 'a', mebibytes: 1, contents: 'common' }],
  ['takeSnapshot', { platform, vm: 'a', name: 'earlier' }],
  ['useMemory', { platform, vm: 'a', mebibytes: 1, firstMiB: 3 }],
  ['swapOut', { platform, vm: 'a', mebibytes: 1 }],
  ['pauseVm', { platform, vm: 'c' }],
]
const OF_LIVES: readonly Step[] = [
  ['setResetMethods', { platform, function: VF, methods: [] }],
  ['resetDevice', { platform, vm: 'b', function: VF }],
  ['holdDevice', { platform, vm: 'b', function: VF, open: true }],
  ['requestRemoval', { platform, vm: 'b', function: VF, waitMs: 1 }],
  ['pauseVm', { platform, vm: 'a' }],
  ['resumeVm', { platform, vm: 'c' }],
  ['takeSnapshot', { platform, vm: 'a', name: 'now' }],
  ['rewindVm', { platform, vm: 'a', snapshot: 'earlier' }],
  ['placeSnapshot', { platform, snapshot: 'earlier', name: 'd' }],
  ['cloneVm', { platform, vm: 'a', name: 'd' }],
  ['cloneVm', { platform, vm: 'c', name: 'd', snapshot: 'earlier' }],
  ['setViommu', { platform, vm: 'b', enabled: false }],
  ['mapViommu', { platform, vm: 'b', function: VF, address: '0x200000000', guestAddress: '0x180000' }],
  ['unmapViommu', { platform, vm: 'b', function: VF, address: '0x101000', pages: 2 }],
  ['useMemory', { platform, vm: 'a', mebibytes: 2, contents: 'own' }],
  ['writeMemory', { platform, vm: 'a', address: '0x3fe000', data: '01'.repeat(3 * 4096) }],
  ['setVmMemory', { platform, vm: 'a', reservationMiB: 1, limitMiB: 2 }],
  ['setBalloon', { platform, vm: 'a', mebibytes: 4 }],
  ['swapOut', { platform, vm: 'a', mebibytes: 5 }],
  ['collapseMemory', { platform, vm: 'a' }],
  ['setSharing', { platform, scope: 'host' }],
  ['sharePages', { platform, large: true }],
  ['balanceMemory', { platform }],
  ['setVmCpu', { platform, vm: 'a', shares: 5, reservationPercent: 20 }],
  ['runCpu', { platform, nanoseconds: 10_000_000 }],
  [
    'consolidate',
    {
      platform,
      nanoseconds: 10_000_000,
      hosts: [
        { name: 'd', processors: 1, memoryMiB: 3, loadPercent: 50, ownMiB: 1 },
        { name: 'e', processors: 2, memoryMiB: 2, loadPercent: 90, network: 'virtualFunction' },
      ],
    },
  ],
]
const OF_TWO: readonly Step[] = [
  ['migrateVm', { platform, vm: 'a', to: 'q' }],
  ['migrateVm', { platform, vm: 'a', to: 'q', postCopyAfter: 0 }],
  ['migrateVm', { platform, vm: 'a', to: 'q', tracking: 'pml' }],
  ['protectVm', { platform, vm: 'a', to: 'q' }],
  ['convert', { platform, way: 'v2v', vm: 'a', to: 'q' }],
]
/** Those with a test of their own; of `failOver` its answer tells, machine by machine, what has not been done. */
const APART: ReadonlySet<string> = new Set(['failOver', 'repairIsolation'])

/** Where a real refusal comes from: each of these may run out. */
const RESOURCES = [
  [PageAllocator.prototype, 'allocate'],
  [NumberPool.prototype, 'take'],
  [HostInterrupts.prototype, 'allocate'],
  [InterruptTable.prototype, 'allocate'],
] as const

class Planted extends NorthbridgeError {
  constructor() {
    super('outOfResources', 'planted')
  }
}

/** Lets call `n` of a method fail; counts the calls. */
function plant(owner: object, name: string, n: number): { readonly calls: number } {
  const method = (owner as Record<string, (...values: unknown[]) => unknown>)[name]!
  const counted = { calls: 0 }
  vi.spyOn(owner as Record<string, (...values: unknown[]) => unknown>, name).mockImplementation(function (
    this: unknown,
    ...values
  ) {
    if (counted.calls++ === n) throw new Planted()
    return method.apply(this, values)
  })
  return counted
}

/** Of files of disks. */
const files = mkdtempSync(join(tmpdir(), 'northbridge-files-'))
afterAll(() => rmSync(files, { recursive: true }))
afterEach(() => vi.restoreAllMocks())

/** The first calls, ever fewer of the later ones, and the last. */
function* someOf(calls: number): Generator<number> {
  for (let n = 0; n < calls - 1; n = n < 4 ? n + 1 : n * 2) yield n
  if (calls > 0) yield calls - 1
}

/** Runs an operation that comes through, then again with some of the calls for resources refused. */
function tryEverywhere({ run, platforms, saved }: World, step: Step): number {
  const goBack = () => {
    for (const [i, running] of platforms.entries()) running.load(saved[i]!)
  }
  const state = () =>
    platforms.map(running => ({
      hash: running.stateHash(),
      last: running.engine.trace.last,
      now: running.engine.now,
    }))
  const checkStrays = (where: string) => {
    for (const running of platforms) if (running.powered) expect(strayResources(running), where).toEqual([])
  }
  goBack()
  const before = state()
  const counted = RESOURCES.map(([owner, name]) => plant(owner, name, Number.POSITIVE_INFINITY))
  run(step)
  vi.restoreAllMocks()
  checkStrays(`${step[0]} comes through`)
  let refused = 0
  for (const [i, [owner, name]] of RESOURCES.entries()) {
    for (const n of someOf(counted[i]!.calls)) {
      goBack()
      const where = `${step[0]}: call ${n} of ${name} fails`
      plant(owner, name, n)
      try {
        run(step)
      } catch (error) {
        if (!(error instanceof NorthbridgeError)) throw error
        vi.restoreAllMocks()
        refused++
        expect(state(), where).toEqual(before)
      }
      vi.restoreAllMocks()
      checkStrays(where)
    }
  }
  return refused
}

describe('an operation that is refused half-way', () => {
  it.each(OF_A_SERVER.map((step, i) => [step[0], i] as const))(
    '%s (%i) has changed nothing',
    (_, i) => {
      tryEverywhere(aServer(), OF_A_SERVER[i]!)
    },
    60_000,
  )

  it.each(OF_SLOTS.map((step, i) => [step[0], i] as const))('%s (%i) has changed nothing', (_, i) => {
    tryEverywhere(slots(), OF_SLOTS[i]!)
  })

  it.each(OF_NETWORKS.map((step, i) => [step[0], i] as const))(
    '%s (%i) of a network has changed nothing',
    (_, i) => {
      tryEverywhere(networks(), OF_NETWORKS[i]!)
    },
  )

  it.each(OF_DISKS.map((step, i) => [step[0], i] as const))(
    '%s (%i) of a disk has changed nothing',
    (_, i) => {
      tryEverywhere(disks(), OF_DISKS[i]!)
    },
  )

  it.each(OF_LIVES.map((step, i) => [step[0], i] as const))(
    '%s (%i) of the life of machines has changed nothing',
    (_, i) => {
      tryEverywhere(lives(), OF_LIVES[i]!)
    },
  )

  it.each(OF_TWO.map((step, i) => [step[0], i] as const))(
    '%s (%i) has changed neither of two platforms',
    (_, i) => {
      tryEverywhere(two(), OF_TWO[i]!)
    },
  )

  it('may be any of those that take several steps', () => {
    const all = [...OF_A_SERVER, ...OF_SLOTS, ...OF_NETWORKS, ...OF_DISKS, ...OF_LIVES, ...OF_TWO]
    const tried = new Set<string>(all.map(([id]) => id))
    const atomic = operationEntries().filter(
      ([id, row]) => (row.atomic || row.others) && changes(row) && !APART.has(id),
    )
    expect(atomic.length).toBeGreaterThan(8)
    expect(atomic.map(([id]) => id).filter(id => !tried.has(id))).toEqual([])
  })

  it('repairIsolation has changed nothing', () => {
    const broken = world('one-socket-82576', [
      ...READY,
      ['attach', { platform, vm: 'b', function: '0000:01:10.2' }],
      ['injectFault', { platform, fault: { kind: 'interruptEntryBit', function: VF, vector: 0, bit: 82 } }],
    ])
    const { pairs } = broken.run(['isolationReport', { platform }]) as OutputOf<'isolationReport'>
    const { defect } = pairs[0]!.breaches[0]!.repair
    tryEverywhere(broken, ['repairIsolation', { platform, defect: defect! }])
  })

  it('leaves nothing of a machine that a failover could not bring back', () => {
    const { run, platforms, saved } = two()
    const [dead, target] = platforms as [SimulatedPlatform, SimulatedPlatform]
    const outcomes = new Set<string>()
    for (const n of [0, 1, 2, 5, 20, 1_000_000]) {
      for (const [i, running] of platforms.entries()) running.load(saved[i]!)
      const before = takeStock(target)
      run(['protectVm', { platform, vm: 'a', to: 'q' }])
      plant(PageAllocator.prototype, 'allocate', n)
      const { machines } = run(['failOver', { platform, fence: true }]) as OutputOf<'failOver'>
      vi.restoreAllMocks()
      expect(dead.powered).toBe(false)
      const [{ outcome, reason }] = machines as [(typeof machines)[number]]
      outcomes.add(outcome)
      if (outcome === 'lost') {
        expect(reason).toBe('planted')
        expect(leaksSince(before, target)).toEqual([])
      }
      expect(strayResources(target)).toEqual([])
    }
    expect([...outcomes]).toEqual(['lost', 'resumed'])
  })

  it('is met: creating a machine and giving it a function can run out of each resource', () => {
    expect(tryEverywhere(aServer(), OF_A_SERVER[0]!)).toBeGreaterThan(3)
    expect(tryEverywhere(aServer(), OF_A_SERVER[6]!)).toBeGreaterThan(3)
  })
})
