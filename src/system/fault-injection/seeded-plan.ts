/** A plan of faults from a seed: equal seeds, rates and targets give equal plans. */
import { parseFunctionAddress, Random } from '../../core/index.ts'
import type { Platform } from '../../platform/index.ts'
import {
  type Fault,
  type PlannedFault,
  RANDOM_KINDS,
  type RandomKind,
  type SeededPlan,
} from './fault-schema.ts'

const SECOND = 1_000_000_000
/** Of the random parts of faults: late by up to a millisecond, down or in reset for up to two seconds. */
const LATEST = 1_000_000
const LONGEST = 2 * SECOND
const MOST_MESSAGES = 64

export interface Targets {
  readonly functions: readonly string[]
  readonly ports: readonly string[]
  readonly slots: readonly string[]
  readonly units: readonly string[]
}

/** What can break, of the functions given. */
export function targetsAmong(hardware: Platform, addresses: readonly string[]): Targets {
  const found = addresses.flatMap(address => {
    const { segment, rid } = parseFunctionAddress(address)
    const fn = hardware.fabric.functionAt(segment, rid)
    return fn === undefined ? [] : [{ address, fn }]
  })
  const ports = found.filter(({ fn }) => fn.port !== undefined)
  return {
    functions: found.filter(({ fn }) => fn.secondary === undefined).map(({ address }) => address),
    ports: ports.map(({ address }) => address),
    slots: ports.filter(({ fn }) => fn.port!.slot?.hotPluggable).map(({ address }) => address),
    units: hardware.units.map(({ id }) => id),
  }
}

/** In the order of time. Kinds without a target are left out. */
export function planFromSeed({ seed, durationNs, rates }: SeededPlan, targets: Targets): PlannedFault[] {
  const random = new Random(seed)
  const planned: PlannedFault[] = []
  for (const kind of RANDOM_KINDS) {
    const expected = ((rates[kind] ?? 0) * durationNs) / SECOND
    const whole = Math.floor(expected)
    // The part of one is a chance of one.
    const extra = random.integer(0, 999_999) < (expected - whole) * 1_000_000 ? 1 : 0
    const choices = choicesOf(kind, targets)
    for (let i = 0; i < whole + extra && choices.length > 0; i++) {
      const at = fraction(random, durationNs)
      const target = choices[random.integer(0, choices.length - 1)]!
      planned.push({ at, fault: faultOf(kind, target, random) })
    }
  }
  return planned.sort((a, b) => a.at! - b.at!)
}

/** A whole number below a limit that may be wider than 32 bits. */
const fraction = (random: Random, limit: number): number =>
  Math.floor((random.integer(0, 0x7fff_fffe) / 0x7fff_ffff) * limit)

function choicesOf(kind: RandomKind, { functions, ports, slots, units }: Targets): readonly string[] {
  if (kind === 'lostCompletion' || kind === 'lateCompletion') return units
  if (kind === 'linkDown') return ports
  return kind === 'surpriseRemoval' ? slots : functions
}

function faultOf(kind: RandomKind, target: string, random: Random): Fault {
  switch (kind) {
    case 'randomTableBit':
      return { kind, function: target, seed: random.integer(0, 0x7fff_ffff) }
    case 'lostCompletion':
      return { kind, unit: target, times: 1 }
    case 'lateCompletion':
      return { kind, unit: target, delayNs: random.integer(1, LATEST), times: 1 }
    case 'silentDeviceTlb':
    case 'poisonedCompletion':
      return { kind, function: target, times: 1 }
    case 'linkDown':
      return { kind, function: target, durationNs: 1 + fraction(random, LONGEST) }
    case 'surpriseRemoval':
      return { kind, function: target }
    case 'stuckDma':
      return { kind, function: target, times: random.integer(1, 4), timesOut: random.integer(0, 3) > 0 }
    case 'failedReset': {
      const answers = random.integer(0, 1) === 0 ? 'retry' : 'nothing'
      return { kind, function: target, durationNs: 1 + fraction(random, LONGEST), answers, times: 1 }
    }
    case 'interruptStorm':
      return {
        kind,
        function: target,
        vector: 0,
        messages: random.integer(1, MOST_MESSAGES),
        intervalNs: random.integer(1, LATEST),
      }
  }
}
