/**
 * Interrupts of a device on a whole platform: remapped or posted, to a guest that runs, sleeps, is preempted, or has
 * moved to another processor.
 */
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { interruptCountAddress } from '../../src/guest/index.ts'
import { createPlatform, type NorthbridgePlatform, type TopologyDocument } from '../../src/index.ts'

type Delivery = 'emulated' | 'virtualized' | 'posted'

const VF = '0000:01:10.0'

function withGuest(
  interrupts: Delivery,
  vcpus = 1,
  topology: string | TopologyDocument = 'two-socket-82599',
) {
  const server = createPlatform(topology)
  server.createVm({ name: 'alpha', vcpus, memoryMiB: 16, interrupts })
  server.attach({ vm: 'alpha', function: VF })
  const stepsOf = (guest: 'running' | 'blocked' | 'preempted', vector = 0) => {
    const journey = server.traceInterrupt({ function: VF, vector, guest })
    return { ...journey, names: journey.steps.map(({ step }) => step) }
  }
  const times = (vector: number): number => {
    const address = `0x${interruptCountAddress(0, vector).toString(16)}`
    const { data } = server.readMemory({ vm: 'alpha', address, length: 4 })
    return Buffer.from(data, 'hex').readUInt32LE()
  }
  return { server, stepsOf, times }
}

describe('a posted interrupt', () => {
  const { stepsOf, times, server } = withGuest('posted')

  it('reaches a running guest without a VM exit', () => {
    const before = times(0x40)
    const { names, exits, outcome, posted } = stepsOf('running')
    expect(names).toEqual([
      'message',
      'posted',
      'notified',
      'accepted',
      'postedInterruptProcessing',
      'delivered',
      'handled',
    ])
    expect({ exits, outcome, posted }).toEqual({ exits: [], outcome: 'handled', posted: true })
    expect(times(0x40)).toBe(before + 1)
  })

  it('wakes a sleeping guest by the wakeup vector', () => {
    const { steps, names } = stepsOf('blocked')
    expect(names).toEqual([
      'message',
      'posted',
      'notified',
      'accepted',
      'wakeup',
      'vmEntry',
      'delivered',
      'handled',
    ])
    expect(steps[2]!.detail).toMatchObject({ vector: 0xf1 })
  })

  it('does not disturb the host while the guest is preempted, and is delivered at its next turn', () => {
    expect(stepsOf('preempted').names).toEqual([
      'message',
      'posted',
      'notNotified',
      'scheduled',
      'vmEntry',
      'delivered',
      'handled',
    ])
  })

  it('has an entry that names the descriptor, and the virtual vector as the bit of PIR', () => {
    const { steps } = stepsOf('blocked')
    const address = String(steps[0]!.detail['address'])
    const { notification } = server.vcpu({ vm: 'alpha', vcpu: 0 })
    const explained = server.explain({ unit: 'dmar1', source: VF, address, access: 'write' })
    expect(explained.outcome).toBe('interrupt')
    const [entry, descriptor] = explained.steps.slice(-2)
    expect(entry!.fields).toMatchObject({
      P: 1,
      IM: 1,
      URG: 0,
      V: 0x40,
      PDAL: `0x${(Number(notification!.descriptor) / 64).toString(16)}`,
      PDAH: '0x0',
      SID: '0x180',
      SVT: 1,
    })
    expect(descriptor!.fields).toMatchObject({ ON: 0, SN: 0, NV: 0xf1, vector: 0x40, PIR: 0 })
    expect(Number(descriptor!.entryAddress)).toBe(Number(notification!.descriptor))
  })

  it('follows the virtual processor: NDST is the new processor', () => {
    expect(server.moveVcpu({ vm: 'alpha', vcpu: 0, processor: 5 })).toMatchObject({ processor: 5 })
    const { steps, exits, outcome } = stepsOf('running')
    expect(steps.find(({ step }) => step === 'notified')!.detail).toMatchObject({ vector: 0xf2 })
    expect(steps.find(({ step }) => step === 'accepted')!.detail).toMatchObject({ processor: 5 })
    expect({ exits, outcome }).toEqual({ exits: [], outcome: 'handled' })
  })

  it('comes by the host again while the guest has masked its message', () => {
    const { guestVector } = stepsOf('running')
    // The function mask of MSI-X, set by the guest's own config write.
    expect(guestVector).toBe(0x40)
    const { devices } = server.vm({ vm: 'alpha' })
    const msixControl = 0x70
    const address =
      0x8000_0000 + (Number.parseInt(devices[0]!.guestAddress.slice(8, 10), 16) << 11) + msixControl
    const set = (control: number) =>
      server.runVcpu({
        vm: 'alpha',
        vcpu: 0,
        operations: [
          { op: 'out', port: 0xcf8, width: 4, value: address },
          { op: 'out', port: 0xcfe, width: 2, value: control },
        ],
      })
    set(0xc000)
    const masked = stepsOf('blocked')
    expect(masked.names).toEqual(['message', 'remapped', 'accepted'])
    expect(masked.outcome).toBe('pending')
    const before = times(0x40)
    set(0x8000)
    expect(times(0x40)).toBe(before + 1)
    expect(stepsOf('running').posted).toBe(true)
  })
})

describe('hosts', () => {
  const shipped = readFileSync('topologies/two-socket-82599.json', 'utf8')
  const withUnits = (capabilities: string) =>
    JSON.parse(shipped.replaceAll('"PI": 1', capabilities)) as TopologyDocument

  it('in xAPIC mode (no ECAP.EIM) keep NDST in bits 15:8, and post all the same', () => {
    const { server, stepsOf } = withGuest('posted', 1, withUnits('"PI": 1, "EIM": 0'))
    server.moveVcpu({ vm: 'alpha', vcpu: 0, processor: 2 })
    expect(server.vcpu({ vm: 'alpha', vcpu: 0 }).notification).toMatchObject({ destination: '0x200' })
    for (const guest of ['running', 'blocked', 'preempted'] as const) {
      expect(stepsOf(guest)).toMatchObject({ outcome: 'handled', posted: true, exits: [] })
    }
  })

  it('whose unit cannot post (no CAP.PI) remap, and the guest keeps its virtualized local APIC', () => {
    const { stepsOf } = withGuest('posted', 1, withUnits('"PI": 0'))
    expect(stepsOf('running')).toMatchObject({
      outcome: 'handled',
      posted: false,
      exits: ['externalInterrupt'],
    })
  })
})

describe('the same with posting off', () => {
  it.each([
    ['virtualized', 'running', ['externalInterrupt']],
    ['virtualized', 'blocked', []],
    ['emulated', 'running', ['externalInterrupt', 'wrmsr']],
    ['emulated', 'blocked', ['wrmsr']],
  ] as const)('%s, guest %s: exits %j', (interrupts, guest, exits) => {
    const journey = withGuest(interrupts).stepsOf(guest)
    expect(journey.names).toContain('remapped')
    expect(journey).toMatchObject({ outcome: 'handled', posted: false, exits })
  })
})

describe('virtual processors under APIC virtualization', () => {
  let server: NorthbridgePlatform
  beforeAll(() => {
    server = withGuest('virtualized', 2).server
  })

  it('use their local APIC without VM exits: TPR, EOI, self-IPI', () => {
    const { exits } = server.runVcpu({
      vm: 'alpha',
      vcpu: 0,
      operations: [
        { op: 'wrmsr', msr: '0x808', value: '0x20' },
        { op: 'rdmsr', msr: '0x808' },
        { op: 'wrmsr', msr: '0x83f', value: '0x51' },
        { op: 'pause' },
        { op: 'wrmsr', msr: '0x808', value: '0x0' },
      ],
    })
    expect(exits.filter(({ operation }) => operation !== null)).toEqual([])
    expect(server.vcpu({ vm: 'alpha', vcpu: 0 }).delivered).toMatchObject({ '0x51': 1 })
  })

  it('reach each other by the ICR, which exits', () => {
    const { exits } = server.runVcpu({
      vm: 'alpha',
      vcpu: 0,
      operations: [{ op: 'wrmsr', msr: '0x830', value: '0x100000061' }],
    })
    expect(exits[0]).toMatchObject({ reason: 'wrmsr', handledBy: 'virtualApic' })
    expect(server.vcpu({ vm: 'alpha', vcpu: 1 }).delivered).toMatchObject({ '0x61': 1 })
  })

  it('are raised a vector by the hypervisor, which a high TPR holds back', () => {
    server.runVcpu({ vm: 'alpha', vcpu: 0, operations: [{ op: 'wrmsr', msr: '0x808', value: '0xf0' }] })
    expect(server.interruptVcpu({ vm: 'alpha', vcpu: 0, vector: 0x71 })).toEqual({
      accepted: true,
      pending: [0x71],
      inService: [],
    })
    expect(server.virtualApic({ vm: 'alpha', vcpu: 0 })).toMatchObject({
      taskPriority: 0xf0,
      requested: [0x71],
    })
    server.runVcpu({ vm: 'alpha', vcpu: 0, operations: [{ op: 'wrmsr', msr: '0x808', value: '0x0' }] })
    expect(server.vcpu({ vm: 'alpha', vcpu: 0 })).toMatchObject({ pending: [], delivered: { '0x71': 1 } })
  })

  it('give everything back when their machine is deleted', () => {
    const fresh = createPlatform('two-socket-82599')
    fresh.createVm({ name: 'x', vcpus: 8, memoryMiB: 4, interrupts: 'posted' })
    fresh.deleteVm({ vm: 'x' })
    const before = fresh.platformState({}).stateHash
    fresh.createVm({ name: 'x', vcpus: 8, memoryMiB: 4, interrupts: 'posted' })
    fresh.deleteVm({ vm: 'x' })
    expect(fresh.platformState({}).stateHash).toBe(before)
  })
})

describe('no interrupt is lost, none comes twice', () => {
  /**
   * The invariant: a vector requested of a guest whose interrupts are on is handled exactly once for each time it is
   * requested while it is not pending; requests of a pending vector merge. Here every action lets the guest go to sleep
   * afterwards, so nothing stays pending, and the slow model is a counter for each vector. While the guest's messages are
   * held back by TPR, requests merge: the model is a set then.
   */
  const action = fc.oneof(
    fc.record({
      kind: fc.constant('fire' as const),
      vector: fc.integer({ min: 0, max: 2 }),
      guest: fc.constantFrom('running' as const, 'blocked' as const, 'preempted' as const),
    }),
    fc.record({ kind: fc.constant('raise' as const), vector: fc.integer({ min: 0x50, max: 0x54 }) }),
    fc.record({ kind: fc.constant('move' as const), processor: fc.integer({ min: 0, max: 7 }) }),
    fc.record({ kind: fc.constant('priority' as const), high: fc.boolean() }),
  )

  it.each(['emulated', 'virtualized', 'posted'] as const)('property: %s', interrupts => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 14 }), actions => {
        const { server, times } = withGuest(interrupts)
        const expected = new Map<number, number>()
        const start = new Map<number, number>()
        const watched = [0x40, 0x41, 0x42, 0x50, 0x51, 0x52, 0x53, 0x54]
        for (const vector of watched) start.set(vector, times(vector))
        const pending = new Set<number>()
        let high = false
        const request = (vector: number): void => {
          if (high) pending.add(vector)
          else expected.set(vector, (expected.get(vector) ?? 0) + 1)
        }
        for (const one of actions) {
          switch (one.kind) {
            case 'fire':
              server.traceInterrupt({ function: VF, vector: one.vector, guest: one.guest })
              request(0x40 + one.vector)
              break
            case 'raise':
              server.interruptVcpu({ vm: 'alpha', vcpu: 0, vector: one.vector })
              request(one.vector)
              break
            case 'move':
              server.moveVcpu({ vm: 'alpha', vcpu: 0, processor: one.processor })
              break
            case 'priority': {
              ;({ high } = one)
              const value = high ? '0xf0' : '0x0'
              server.runVcpu({ vm: 'alpha', vcpu: 0, operations: [{ op: 'wrmsr', msr: '0x808', value }] })
              if (high) break
              for (const vector of pending) expected.set(vector, (expected.get(vector) ?? 0) + 1)
              pending.clear()
            }
          }
          for (const vector of watched) {
            expect(times(vector) - start.get(vector)!, `vector ${vector}`).toBe(expected.get(vector) ?? 0)
          }
          expect(server.vcpu({ vm: 'alpha', vcpu: 0 }).pending).toEqual([...pending].sort((a, b) => a - b))
        }
      }),
      { numRuns: 12 },
    )
  })
})
