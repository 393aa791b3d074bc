/** Errors planted in the middle of operations: what is refused half-way has not happened, time and log included. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { drive } from '../../src/engine/index.ts'
import { PageAllocator } from '../../src/host/index.ts'
import { HostInterrupts } from '../../src/host/interrupts.ts'
import { InterruptTable } from '../../src/host/iommu/interrupt-table.ts'
import { NumberPool } from '../../src/host/number-pool.ts'
import {
  execute,
  type InputOf,
  installation,
  OPERATIONS,
  type OperationId,
} from '../../src/operations/index.ts'

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
function world(topology: string, steps: readonly Step[]) {
  const context = installation()
  const run = ([id, input]: Step): unknown => drive(execute(context, id, input as never), () => false)
  run(['createPlatform', { topology, name: platform }])
  for (const step of steps) run(step)
  const { running } = context.platforms.get(platform)
  return { run, running }
}

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

/** Lets call `n` of a method fail. */
function plant(owner: object, name: string, n: number): { readonly met: () => boolean } {
  const method = (owner as Record<string, (...values: unknown[]) => unknown>)[name]!
  let calls = 0
  vi.spyOn(owner as Record<string, (...values: unknown[]) => unknown>, name).mockImplementation(function (
    this: unknown,
    ...values
  ) {
    if (calls++ === n) throw new Planted()
    return method.apply(this, values)
  })
  return { met: () => calls > n }
}

afterEach(() => vi.restoreAllMocks())

/** Every place of a resource in turn, until the operation comes through without meeting it. */
function tryEverywhere(make: () => ReturnType<typeof world>, step: Step): number {
  let refused = 0
  const { run, running } = make()
  const saved = running.save()
  for (const [owner, name] of RESOURCES) {
    for (let n = 0; ; n = n < 8 ? n + 1 : n * 2) {
      running.load(saved)
      const before = { hash: running.stateHash(), last: running.engine.trace.last, now: running.engine.now }
      const planted = plant(owner, name, n)
      let failed = false
      try {
        run(step)
      } catch (error) {
        if (!(error instanceof NorthbridgeError)) throw error
        failed = true
      }
      vi.restoreAllMocks()
      if (failed) {
        refused++
        const { engine } = running
        const where = `${step[0]}: call ${n} of ${name} fails`
        expect({ hash: running.stateHash(), last: engine.trace.last, now: engine.now }, where).toEqual(before)
      }
      if (!planted.met()) break
    }
  }
  return refused
}

describe('an operation that is refused half-way', () => {
  it.each(OF_A_SERVER.map((step, i) => [step[0], i] as const))(
    '%s (%i) has changed nothing',
    (_, i) => {
      tryEverywhere(() => world('one-socket-82576', READY), OF_A_SERVER[i]!)
    },
    60_000,
  )

  it.each(OF_SLOTS.map((step, i) => [step[0], i] as const))('%s (%i) has changed nothing', (_, i) => {
    tryEverywhere(() => world('hot-plug', []), OF_SLOTS[i]!)
  })

  it.each(OF_NETWORKS.map((step, i) => [step[0], i] as const))(
    '%s (%i) of a network has changed nothing',
    (_, i) => {
      tryEverywhere(() => world('one-socket-82576', WITH_NETWORK), OF_NETWORKS[i]!)
    },
  )

  it.each(OF_DISKS.map((step, i) => [step[0], i] as const))(
    '%s (%i) of a disk has changed nothing',
    (_, i) => {
      tryEverywhere(() => world('nvme-sriov', WITH_DISKS), OF_DISKS[i]!)
    },
  )

  it('may be any of those that take several steps', () => {
    const tried = new Set<string>(
      [...OF_A_SERVER, ...OF_SLOTS, ...OF_NETWORKS, ...OF_DISKS].map(([id]) => id),
    )
    const atomic = Object.entries(OPERATIONS).filter(([, { atomic }]) => atomic)
    expect(atomic.length).toBeGreaterThan(8)
    expect(atomic.map(([id]) => id).filter(id => !tried.has(id))).toEqual([])
  })

  it('is met: creating a machine and giving it a function can run out of each resource', () => {
    expect(tryEverywhere(() => world('one-socket-82576', READY), OF_A_SERVER[0]!)).toBeGreaterThan(3)
    expect(tryEverywhere(() => world('one-socket-82576', READY), OF_A_SERVER[5]!)).toBeGreaterThan(3)
  })
})
