/**
 * Checks that a guest makes of its own processor: each executes one of the sensitive instructions that are not
 * privileged, or uses what a hypervisor in the same address space or ring would take away, and says whether the answer is
 * the one that a processor of its own gives.
 */
import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import { enterUser, FLAGS_IF, startKernel } from './kernel-routines.ts'
import {
  AT,
  type Bits,
  FIRST_DEVICE_VECTOR,
  KERNEL_STACK_TOP,
  rootOf,
  SELECTOR,
  TOP,
  topEntryAddress,
  wordBytes,
} from './layout.ts'
import { Player, type World } from './player.ts'
import type { StreamPort, StreamResult } from './stream-port.ts'

const word = (low: number, high = 0): Word64 => [low >>> 0, high]
const CR0_TS = 8
const CODE = AT.kernelCode + 0x6000
/** Bits 19:16 of what LAR yields are undefined: 0 here. */
const LAR_CODE = { 32: 0xc0_9b00, 64: 0xa0_9b00 } as const

/** What a check works with: a player, and shorthands. */
interface Bench {
  readonly bits: Bits
  readonly player: Player
  run(operation: Operation): StreamResult
  /** Vectors delivered while something ran. */
  events(act: () => void): readonly number[]
  raise(vector: number): void
}

export interface SelfCheck {
  readonly name: string
  /** The instruction, or the resource, that it is about. */
  readonly about: string
  readonly widths: readonly Bits[]
  passes(bench: Bench): boolean
}

const both: readonly Bits[] = [32, 64]
const low = (bench: Bench, operation: Operation): number => bench.run(operation).low

/** The word at the top of the kernel stack after an interrupt from kernel mode: CS of the frame. */
function frameCs(bench: Bench): number {
  const size = wordBytes(bench.bits)
  const { low: cs } = bench.run({
    op: 'readLinear',
    address: word(KERNEL_STACK_TOP - (bench.bits === 64 ? 4 : 2) * size),
    width: 4,
  })
  return cs
}

export const SELF_CHECKS: readonly SelfCheck[] = [
  {
    name: 'PUSHF shows the interrupt flag that CLI cleared',
    about: 'PUSHF',
    widths: both,
    passes: bench => {
      bench.run({ op: 'cli' })
      return (low(bench, { op: 'pushf' }) & FLAGS_IF) === 0
    },
  },
  {
    name: 'POPF clears the interrupt flag, and no interrupt comes',
    about: 'POPF',
    widths: both,
    passes: bench => {
      bench.run({ op: 'sti' })
      bench.run({ op: 'nop' })
      bench.run({ op: 'popf', flags: 2 })
      const came = bench.events(() => {
        bench.raise(FIRST_DEVICE_VECTOR)
        bench.run({ op: 'nop' })
      })
      bench.run({ op: 'sti' })
      bench.run({ op: 'nop' })
      bench.run({ op: 'nop' })
      bench.run({ op: 'cli' })
      return came.length === 0
    },
  },
  {
    name: 'SGDT stores what LGDT loaded',
    about: 'SGDT',
    widths: both,
    passes: bench => low(bench, { op: 'sgdt' }) === AT.gdt,
  },
  {
    name: 'SIDT stores what LIDT loaded',
    about: 'SIDT',
    widths: both,
    passes: bench => low(bench, { op: 'sidt' }) === AT.idt,
  },
  {
    name: 'SLDT stores what LLDT loaded',
    about: 'SLDT',
    widths: both,
    passes: bench => {
      bench.run({ op: 'lldt', selector: SELECTOR.ldt })
      return low(bench, { op: 'sldt' }) === SELECTOR.ldt
    },
  },
  {
    name: 'STR stores what LTR loaded',
    about: 'STR',
    widths: both,
    passes: bench => low(bench, { op: 'str' }) === SELECTOR.task,
  },
  {
    name: 'SMSW shows the TS flag that MOV to CR0 set',
    about: 'SMSW',
    widths: both,
    passes: bench => {
      const cr0 = low(bench, { op: 'movFromCr', cr: 0 })
      bench.run({ op: 'movToCr', cr: 0, value: word(cr0 | CR0_TS) })
      const seen = low(bench, { op: 'smsw' })
      bench.run({ op: 'clts' })
      return (seen & CR0_TS) !== 0
    },
  },
  {
    name: 'PUSH CS shows ring 0',
    about: 'PUSH (segment)',
    widths: both,
    passes: bench => low(bench, { op: 'storeSegment', segment: 'cs' }) === SELECTOR.kernelCode,
  },
  {
    name: 'MOV from SS shows ring 0',
    about: 'MOV (from segment)',
    widths: both,
    passes: bench => {
      bench.run({ op: 'loadSegment', segment: 'ss', selector: SELECTOR.kernelData })
      return low(bench, { op: 'storeSegment', segment: 'ss' }) === SELECTOR.kernelData
    },
  },
  {
    name: 'MOV and POP to SS take the kernel selector without a fault',
    about: 'POP (segment), MOV (to segment), LSS',
    widths: both,
    passes: bench =>
      bench.events(() => bench.run({ op: 'loadSegment', segment: 'ss', selector: SELECTOR.kernelData }))
        .length === 0,
  },
  {
    name: 'LAR shows descriptor privilege level 0 of the kernel code segment',
    about: 'LAR',
    widths: both,
    passes: bench => low(bench, { op: 'lar', selector: SELECTOR.kernelCode }) === LAR_CODE[bench.bits],
  },
  {
    name: 'LSL shows the whole linear address space',
    about: 'LSL',
    widths: both,
    passes: bench => low(bench, { op: 'lsl', selector: SELECTOR.kernelData }) === 0xffff_ffff,
  },
  {
    name: 'VERR refuses the kernel data segment to user mode',
    about: 'VERR',
    widths: both,
    passes: bench => inUser(bench, () => bench.run({ op: 'verr', selector: SELECTOR.kernelData }).high === 0),
  },
  {
    name: 'VERW refuses the kernel data segment to user mode',
    about: 'VERW',
    widths: both,
    passes: bench => inUser(bench, () => bench.run({ op: 'verw', selector: SELECTOR.kernelData }).high === 0),
  },
  {
    name: 'CALL far pushes a ring 0 selector',
    about: 'CALL (far)',
    widths: both,
    passes: bench => low(bench, { op: 'callFar', selector: SELECTOR.kernelCode }) === SELECTOR.kernelCode,
  },
  {
    name: 'RET far to a ring 0 selector does not fault',
    about: 'RET (far), JMP (far)',
    widths: both,
    passes: bench =>
      bench.events(() => bench.run({ op: 'retFar', selector: SELECTOR.kernelCode })).length === 0,
  },
  {
    name: 'INT n from the kernel pushes a ring 0 selector',
    about: 'INT n',
    widths: both,
    passes: bench => {
      bench.run({ op: 'movToSp', value: word(KERNEL_STACK_TOP) })
      bench.run({ op: 'int', vector: 0x80 })
      return frameCs(bench) === SELECTOR.kernelCode
    },
  },
  {
    name: 'IRET to user mode turns interrupts on',
    about: 'IRET',
    widths: both,
    passes: bench => {
      const came = bench.events(() =>
        inUser(bench, () => {
          bench.raise(FIRST_DEVICE_VECTOR)
          bench.run({ op: 'nop' })
          return true
        }),
      )
      return came.includes(FIRST_DEVICE_VECTOR)
    },
  },
  {
    name: 'ARPL leaves a ring 0 selector as it is',
    about: 'ARPL',
    widths: [32],
    passes: bench => {
      const source = low(bench, { op: 'storeSegment', segment: 'cs' })
      return low(bench, { op: 'arpl', selector: SELECTOR.kernelData, source }) === SELECTOR.kernelData
    },
  },
  {
    name: 'user mode cannot read the pages of the kernel',
    about: 'ring compression',
    widths: both,
    passes: bench => {
      bench.run({ op: 'readLinear', address: word(AT.kernelData), width: 4 })
      return bench
        .events(() =>
          inUser(bench, () => {
            bench.run({ op: 'readLinear', address: word(AT.kernelData), width: 4 })
            return true
          }),
        )
        .includes(14)
    },
  },
  {
    name: 'the kernel can use the top of its linear address space',
    about: 'address-space compression',
    widths: both,
    passes: topOfAddressSpace,
  },
]

/** Enters user mode, acts, and comes back. */
function inUser(bench: Bench, act: () => boolean): boolean {
  for (const operation of enterUser(bench.bits)) bench.run(operation)
  const result = act()
  bench.player.play([{ kind: 'leaveUser' }])
  bench.run({ op: 'cli' })
  return result
}

function topOfAddressSpace(bench: Bench): boolean {
  const { bits } = bench
  const { low: at, high } = TOP[bits]
  const address = word(at, high)
  const width = wordBytes(bits) as 4 | 8
  const page = AT.kernelData + 0x4000
  const events = bench.events(() => {
    bench.run({ op: 'writeLinear', address: word(topEntryAddress(bits)), width, value: word(page | 3) })
    bench.run({ op: 'writeLinear', address, width: 4, value: word(0x1234_5678) })
  })
  const seen = low(bench, { op: 'readLinear', address: word(page), width: 4 })
  return events.length === 0 && seen === 0x1234_5678
}

export interface SelfCheckResult {
  readonly name: string
  readonly about: string
  readonly passed: boolean
}

/** Runs one check on a guest that has just booted. */
export function runSelfCheck(check: SelfCheck, bits: Bits, port: StreamPort, world: World): SelfCheckResult {
  const player = new Player(bits, port, world)
  let at = CODE
  const bench: Bench = {
    bits,
    player,
    run: operation => player.run(operation, (at += 4)),
    events: act => {
      const before = player.delivered.length
      act()
      return player.delivered.slice(before)
    },
    raise: vector => world.raise(vector),
  }
  for (const operation of startKernel()) bench.run(operation)
  // The tables of the first process are in use; LGDT and LIDT as boot code would repeat them.
  bench.run({ op: 'lgdt', base: word(AT.gdt), limit: 0x57 })
  bench.run({ op: 'movToCr', cr: 3, value: word(rootOf(0)) })
  const passed = check.passes(bench) && !player.failed
  return { name: check.name, about: check.about, passed }
}

export const selfChecksFor = (bits: Bits): readonly SelfCheck[] =>
  SELF_CHECKS.filter(({ widths }) => widths.includes(bits))
