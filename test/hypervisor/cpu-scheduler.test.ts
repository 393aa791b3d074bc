import { describe, expect, test } from 'vitest'
import { TURN_COUNTS_BASE } from '../../src/hypervisor/formats/virtual-board.ts'
import { bareHost } from './bare-host.ts'

const SECOND = 1_000_000_000

function hostWith(vcpus: readonly number[], processors = 2) {
  const parts = bareHost(processors)
  for (const [i, count] of vcpus.entries()) {
    parts.run(parts.hypervisor.createVm({ name: `vm${i}`, vcpus: count, memoryMiB: 2 }))
    parts.hypervisor.cpu.set(`vm${i}`, { loadPercent: 100 })
  }
  const { cpu } = parts.hypervisor
  const milliseconds = (i: number): number => cpu.view(`vm${i}`).usedNs / 1_000_000
  const turnsOf = (i: number, vcpu: number): number => {
    const bytes = parts.hypervisor.readGuest(`vm${i}`, TURN_COUNTS_BASE + vcpu * 8, 4)
    return new DataView(bytes.buffer).getUint32(0, true)
  }
  return { ...parts, cpu, milliseconds, turnsOf }
}

describe('shares', () => {
  test('divide the processors by their ratio, and time passes', () => {
    const { cpu, run, milliseconds, engine } = hostWith([2, 2, 2])
    cpu.set('vm0', { shares: 1000 })
    cpu.set('vm1', { shares: 2000 })
    cpu.set('vm2', { shares: 1000 })
    const before = engine.now
    run(cpu.run(SECOND))
    expect(engine.now - before).toBe(SECOND)
    const had = [0, 1, 2].map(milliseconds)
    expect(had[0]! + had[1]! + had[2]!).toBe(2000)
    for (const [i, expected] of [500, 1000, 500].entries())
      expect(Math.abs(had[i]! - expected)).toBeLessThanOrEqual(20)
  })

  test('a reservation is kept whatever the shares of others', () => {
    const { cpu, run, milliseconds } = hostWith([1, 2, 2])
    cpu.set('vm0', { shares: 1, reservationPercent: 80 })
    run(cpu.run(SECOND))
    expect(milliseconds(0)).toBeGreaterThanOrEqual(790)
  })

  test('a limit holds on an idle host', () => {
    const { cpu, run, milliseconds } = hostWith([2])
    cpu.set('vm0', { limitPercent: 50 })
    run(cpu.run(SECOND))
    expect(milliseconds(0)).toBe(500)
    expect(cpu.view('vm0').readyNs).toBeGreaterThan(SECOND)
  })

  test('reservations that all processors together cannot keep are refused', () => {
    const { cpu } = hostWith([2, 2])
    cpu.set('vm0', { reservationPercent: 150 })
    expect(() => cpu.set('vm1', { reservationPercent: 60 })).toThrow(
      /210 % of a processor cannot be kept by 2/,
    )
    expect(cpu.view('vm1').reservationPercent).toBe(0)
  })
})

describe('turns', () => {
  test('are VM entries that end by the preemption timer, and the guest counts them itself', () => {
    const { cpu, run, hypervisor, turnsOf } = hostWith([1, 1, 1])
    run(cpu.run(300_000_000))
    const views = [0, 1, 2].map(i => cpu.view(`vm${i}`))
    for (const [i, { turns }] of views.entries()) {
      expect(turns).toBe(20)
      expect(turnsOf(i, 0)).toBe(20)
      expect(hypervisor.vcpu(`vm${i}`, 0).exitsByReason.preemptionTimerExpired).toBe(20)
    }
  })

  test('go where a processor is free: three virtual processors of two move between them', () => {
    const { cpu, run } = hostWith([1, 1, 1])
    run(cpu.run(300_000_000))
    expect(cpu.views().reduce((sum, { moves }) => sum + moves, 0)).toBeGreaterThan(5)
  })

  test('the processors are the host’s between slices: an interrupt is taken, and by no guest', () => {
    const { cpu, run, taken, send } = hostWith([2])
    send(1, 0x55)
    run(cpu.run(10_000_000))
    expect(taken).toContainEqual([1, 0x55])
  })

  test('an interrupt that waits for a computing guest is handled in its turn', () => {
    const { cpu, run, hypervisor } = hostWith([1])
    run(cpu.run(20_000_000))
    run(hypervisor.interruptVcpu('vm0', 0, 0x77))
    expect(hypervisor.vcpu('vm0', 0).injected).toMatchObject({ '0x77': 1 })
    run(cpu.run(20_000_000))
    expect(cpu.view('vm0').turns).toBe(4)
  })

  test('the processor delivers interrupts in them where it virtualizes the APIC', () => {
    const { hypervisor, run } = bareHost()
    run(hypervisor.createVm({ name: 'v', vcpus: 2, memoryMiB: 2, interrupts: 'virtualized' }))
    hypervisor.cpu.set('v', { loadPercent: 100 })
    run(hypervisor.cpu.run(50_000_000))
    run(hypervisor.interruptVcpu('v', 1, 0x61))
    run(hypervisor.cpu.run(50_000_000))
    expect(hypervisor.cpu.view('v')).toMatchObject({ turns: 20, usedNs: 200_000_000 })
    expect(hypervisor.vcpu('v', 1).delivered).toMatchObject({ '0x61': 1 })
  })

  test('a part of the time is asked for and had', () => {
    const { cpu, run, milliseconds } = hostWith([2, 2], 4)
    cpu.set('vm0', { loadPercent: 25 })
    run(cpu.run(SECOND))
    expect(milliseconds(0)).toBe(500)
    expect(cpu.view('vm0').readyNs).toBe(0)
  })

  test('afterwards a stream of operations runs as before', () => {
    const { cpu, run, hypervisor } = hostWith([1])
    run(cpu.run(20_000_000))
    const { exits } = run(hypervisor.runVcpu('vm0', 0, [{ op: 'nop' }, { op: 'cpuid', leaf: 0 }]))
    expect(exits.map(({ reason }) => reason)).toEqual(['cpuid', 'hlt'])
  })

  test.each([
    [5_000_000, 10_000_000],
    [10_000_000, 50_000],
    [10_000_000, 1_000_001],
    [60_000_000_000, 800_000],
  ])('%d ns in slices of %d ns are refused', (nanoseconds, slice) => {
    const { cpu, run } = hostWith([1])
    expect(() => run(cpu.run(nanoseconds, slice))).toThrow(
      expect.objectContaining({ code: 'invalidArgument' }),
    )
  })
})
