/**
 * Rings that wrap, are tiny, lie nowhere or contradict themselves, doorbells beyond the ring, descriptors of any shape:
 * under each model a guest that does it harms nobody but itself, and is told as the hardware tells.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GuestKernel, isNetworkDriver } from '../../src/guest/index.ts'
import type { InputOf } from '../../src/index.ts'
import { Frame } from '../../src/net/index.ts'
import {
  type Act,
  actsOn,
  HONEST,
  HOSTILE,
  HostilePlatform,
  type HostileTally,
  word,
} from './hostile-guest.ts'

const P = 'p'
const PF = '0000:01:00.0'
const VF = '0000:01:10.0'
const OTHER_PF = '0000:01:00.1'
const MAC = '02:00:00:00:00:a0'
const HONEST_MAC = '02:00:00:00:00:b0'
const RUNS = Number(process.env['RUNS'] ?? 6)

/** Legacy and advanced descriptors of a transmit ring: EOP, RS, DEXT, TSE, VLE and lengths in the wrong places. */
const TRANSMIT = fc
  .tuple(
    fc.constantFrom(0x0b00_0000, 0x2b30_0000, 0x2b20_0000, 0xab30_0000, 0x2030_0000, 0x4b00_0000),
    fc.nat(0xffff),
  )
  .map(([command, length]) => (command | length) >>> 0)

const ring = (base: number): number[] =>
  [0, 4, 8, 0x0c, 0x10, 0x18, 0x18, 0x28, 0x28, 0x38].map(at => base + at)

/** Address, then lengths, commands, flags: every kind of descriptor has these. */
const descriptor = fc
  .tuple(word, fc.constantFrom(0, 0, 0, 1, 0x10_0000), fc.oneof(word, TRANSMIT), word)
  .map(words => [...words])

interface Case {
  readonly device: Pick<InputOf<'addNetworkDevice'>, 'model' | 'switch' | 'function'>
  /** Where its frames come from. */
  readonly port: string
  readonly registers: readonly number[]
  readonly assigned: boolean
}

const virtio = [0x08, 0x0c, 0x14, 0x16, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34, 0x3000, 0x3004]
const CASES: readonly Case[] = [
  {
    device: { model: 'emulated', switch: 'vs0' },
    port: PF,
    registers: [0, 0x100, 0x400, 0xc8, 0xd0, 0xd8, ...ring(0x2800), ...ring(0x3800)],
    assigned: false,
  },
  {
    device: { model: 'paravirtual', switch: 'vs0' },
    port: PF,
    registers: virtio,
    assigned: false,
  },
  {
    device: { model: 'vmdq', function: PF },
    port: PF,
    registers: virtio,
    assigned: false,
  },
  {
    device: { model: 'sriov', function: VF },
    port: PF,
    registers: [0, 0x800, 0xc40, 0x1524, 0x1520, 0x1680, 0x1700, 0x1740, ...ring(0x2800), ...ring(0x3800)],
    assigned: true,
  },
  {
    device: { model: 'direct', function: OTHER_PF },
    port: OTHER_PF,
    registers: [
      0,
      0x18,
      0x100,
      0x400,
      0x1524,
      0x1520,
      0x1680,
      0x1700,
      0x5818,
      ...ring(0xc000),
      ...ring(0xe000),
    ],
    assigned: true,
  },
]

describe.each(CASES)('$device.model', ({ device, port, registers, assigned }) => {
  it('harms nobody but itself', () => {
    const tally: HostileTally = { registers: 0, requests: 0, blocked: 0, events: 0 }
    fc.assert(
      fc.property(actsOn(registers, descriptor), fc.constantFrom(8, 16, 64), (acts, ringEntries) => {
        attack(acts, ringEntries, tally)
      }),
      // Rare outcomes must be among them: the seed is fixed unless another is asked for.
      { numRuns: RUNS, endOnFailure: true, seed: Number(process.env['SEED'] ?? 2) },
    )
    expect(tally.registers).toBeGreaterThan(RUNS * 2)
    expect(tally.events).toBeGreaterThan(RUNS)
    if (assigned) {
      expect(tally.requests).toBeGreaterThan(RUNS)
      expect(tally.blocked).toBeGreaterThan(0)
    }
  })

  function attack(acts: readonly Act[], ringEntries: number, tally: HostileTally): void {
    const machine = new HostilePlatform('one-socket-82576', tally)
    machine.call('setNumVfs', { platform: P, function: PF, numVfs: 2 })
    machine.call('createSwitch', { platform: P, name: 'vs0', uplinks: [PF] })
    const honest = { vm: HONEST, model: 'paravirtual', mac: HONEST_MAC, switch: 'vs0' } as const
    machine.call('addNetworkDevice', { platform: P, ...honest })
    machine.learn()
    const given = { ...device, vm: HOSTILE, mac: MAC, ringEntries }
    const { slot, mac } = machine.call('addNetworkDevice', { platform: P, ...given })
    const to = Uint8Array.from(mac.split(':'), part => Number.parseInt(part, 16))
    machine.call('traceFrame', { platform: P, function: port, to: mac })
    machine.call('traceFrame', { platform: P, vm: HOSTILE, to: HONEST_MAC, sender: mac })
    const heard = (): number =>
      machine.call('networkDevices', { platform: P, vm: HONEST })[0]!.counters['received']!
    const before = heard()
    machine.watch()
    const { platform } = machine
    const wire = platform.hardware.network.portOf(platform.functionAt(port))
    const frame = (length: number): Frame => {
      const bytes = new Uint8Array(length).fill(0xee)
      bytes.set(to)
      bytes.set([2, 0, 0, 0, 0, 9, 0x88, 0xb5], 6)
      return Frame.of(bytes)
    }
    machine.act(acts, slot, number => {
      if (number === 0) machine.run(platform.elapse(1e6))
      else if (number < 5) {
        wire.partner.send(frame([60, 61, 1514, 9000][number - 1]!))
        machine.run(platform.hypervisor.settle())
      } else {
        const bytes = frame(60).toBytes()
        bytes.set([2, 0, 0, 0, 0, 9])
        bytes.set(to, 6)
        machine.run(
          platform.hypervisor.runGuest(HOSTILE, 0, function* (kernel) {
            const driver = kernel instanceof GuestKernel ? kernel.driver(slot) : undefined
            if (isNetworkDriver(driver)) yield* driver.send(bytes)
          }),
        )
      }
    })
    machine.judge(heard() > before)
    // The other guest goes on: a frame comes in, and one leaves.
    const inward = machine.call('traceFrame', { platform: P, function: PF, to: HONEST_MAC })
    expect(inward.received).toEqual([{ vm: HONEST, slot: 1, intact: true }])
    const outward = machine.call('traceFrame', {
      platform: P,
      vm: HONEST,
      to: '02:00:00:00:00:09',
      sender: HONEST_MAC,
    })
    expect(outward.steps.some(({ at, step }) => at === PF && step === 'toWire')).toBe(true)
  }
})
