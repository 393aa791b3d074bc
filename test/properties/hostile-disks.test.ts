/**
 * Commands of any shape, lists that lead nowhere, queues in no memory, doorbells beyond the queue: under each model a
 * guest that does it harms nobody but itself, and is told as the hardware tells.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
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
const VF = '0000:01:00.1'
const OTHER_PF = '0000:02:00.0'
const RUNS = Number(process.env['RUNS'] ?? 6)
const MARK = 'c3'.repeat(512)

interface Case {
  readonly disk: {
    readonly model: 'emulation' | 'paravirtual' | 'queuePair' | 'virtualFunction' | 'direct'
    readonly function: string
  }
  readonly registers: readonly number[]
  readonly entry: fc.Arbitrary<number[]>
  readonly assigned: boolean
}

/** Inside and outside of the guest's memory, aligned to what a controller wants and not. */
const pointer = fc.constantFrom(
  0x11_0000,
  0x1f_f000,
  0x20_0000,
  0x7000_0000,
  0xfee0_0000,
  0x10_3004,
  0x2_0001,
)
/** A command of NVMe: opcode, namespace, two pointers or an SGL, block and count. */
const command = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 2, 5, 8, 9, 0x4002, 0x8001, 0x40),
    fc.constantFrom(1, 1, 1, 0, 2, 0xffff_ffff),
    fc.tuple(pointer, word, pointer, word),
    fc.constantFrom(0, 0, 1, 0x20_0000, 0xffff_ffff),
    fc.constantFrom(0, 7, 31, 255, 0xffff),
  )
  .map(([opcode, namespace, [a, b, c, d], block, count]) => [
    ...[opcode, namespace, 0, 0, 0, 0],
    // Low addresses, so that many are the guest's.
    ...[a, b < 0x1000 ? b : 0, c, d < 0x1000 ? d : 0],
    ...[block, 0, count, 0, 0, 0],
  ])
/** A descriptor of a ring or a command header: address, length, flags and the next one. */
const descriptor = fc.tuple(word, fc.constantFrom(0, 0, 1), word, fc.nat(0xa_0007)).map(words => [...words])

/** Mostly doorbells: other writes end what there is to ring for. */
const doorbells = [0x1000, 0x1004, 0x1008, 0x1008, 0x1008, 0x100c, 0x1010, 0x1014]
const nvme = [...doorbells, ...doorbells, ...doorbells, 0x0c, 0x10, 0x14, 0x20, 0x24, 0x28, 0x2c, 0x30]
/** Every entry of every ring reads a block to where there is no memory. */
const ASTRAY: Act[] = [
  ...[1, 2, 3, 5].flatMap(page =>
    [0, 1, 2, 3, 4, 5, 6, 7].map(entry => ({
      kind: 'memory' as const,
      page,
      entry,
      words: [2, 1, 0, 0, 0, 0, 0x7000_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    })),
  ),
  ...[7, 3].map(number => ({ kind: 'event' as const, number })),
]

const CASES: readonly Case[] = [
  {
    disk: { model: 'emulation', function: PF },
    registers: [0x04, 0x08, 0x100, 0x104, 0x108, 0x110, 0x114, 0x118, 0x118, 0x138, 0x138, 0x138],
    entry: descriptor,
    assigned: false,
  },
  {
    disk: { model: 'paravirtual', function: PF },
    registers: [
      0x08, 0x0c, 0x14, 0x16, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34, 0x3000, 0x3000, 0x3000,
    ],
    entry: descriptor,
    assigned: false,
  },
  {
    disk: { model: 'queuePair', function: PF },
    registers: [
      0x08, 0x0c, 0x14, 0x16, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34, 0x3000, 0x3000, 0x3000,
    ],
    entry: descriptor,
    assigned: false,
  },
  {
    disk: { model: 'virtualFunction', function: VF },
    registers: nvme,
    entry: command,
    assigned: true,
  },
  {
    disk: { model: 'direct', function: OTHER_PF },
    registers: nvme,
    entry: command,
    assigned: true,
  },
]

describe.each(CASES)('$disk.model', ({ disk, registers, entry, assigned }) => {
  it('harms nobody but itself', () => {
    const tally: HostileTally = { registers: 0, requests: 0, blocked: 0, events: 0 }
    fc.assert(
      fc.property(actsOn(registers, entry), acts => attack(acts, tally)),
      { numRuns: RUNS, endOnFailure: true, examples: [[ASTRAY]], seed: Number(process.env['SEED'] ?? 2) },
    )
    expect(tally.registers).toBeGreaterThan(RUNS * 4)
    if (assigned) {
      expect(tally.requests).toBeGreaterThan(RUNS)
      expect(tally.blocked).toBeGreaterThan(0)
    }
  })

  function attack(acts: readonly Act[], tally: HostileTally): void {
    const machine = new HostilePlatform('nvme-sriov', tally)
    if (disk.model === 'direct') machine.call('setNumVfs', { platform: P, function: OTHER_PF, numVfs: 0 })
    // The honest guest has its sectors in the host's memory; the controller is nobody else's.
    machine.call('openDisk', { platform: P, vm: HONEST, model: 'paravirtual' })
    machine.call('writeBlocks', { platform: P, vm: HONEST, sector: 7, data: MARK })
    machine.learn()
    const { guestAddress } = machine.call('openDisk', { platform: P, vm: HOSTILE, ...disk })
    const slot = Number.parseInt(guestAddress.slice(8, 10), 16)
    machine.call('readBlocks', { platform: P, vm: HOSTILE, sector: 0, count: 1 })
    machine.watch()
    machine.act(acts, slot, number => {
      // Whatever is in the queues, the doorbell rings.
      const bar = machine.barsOf(slot)[0]!
      const bell = {
        emulation: 0x138,
        paravirtual: 0x3000,
        queuePair: 0x3000,
        virtualFunction: 0x1008,
        direct: 0x1008,
      }[disk.model]
      machine.write(bar.base + bell, bell === 0x3000 ? 0 : number)
    })
    machine.judge()
    const read = machine.call('readBlocks', { platform: P, vm: HONEST, sector: 7, count: 1 })
    expect(read).toMatchObject({ outcome: 'completed', data: MARK })
  }
})
