/**
 * Replays programs recorded from another implementation on a unit of ours, and compares step by step. Where the recording
 * is one of several right answers, or departs from the specification, the replay goes on from the recorded state, so
 * that everything after it can be compared exactly.
 */
import { bytesToHex, hexToBytes, parsePhysical } from '../core/index.ts'
import { FECTL, GCMD, IQH } from '../vtd/formats/index.ts'
import { type CacheSizes, NO_QUIRKS, QUIRK_OF_TAG, type Quirks } from '../vtd/index.ts'
import { fectlAfter, putFaults, type UnitState } from './carry-on.ts'
import { mayDiffer } from './differences.ts'
import {
  quadwordBytes,
  recordedDma,
  recordedMsi,
  recordedWrite,
  type StepContext,
  specifiedDma,
  specifiedMsi,
  specifiedWrite,
} from './expectation.ts'
import { faultState, sameRecord } from './fault-state.ts'
import { fillBytes } from './fill.ts'
import { alike, type Difference, differenceOf, type Expectation, type Observation } from './observation.ts'
import { QUEUE_CARRY_ON } from './queue-carry-on.ts'
import type { ReplayMachine } from './replay-machine.ts'
import type { Verdict } from './report.ts'
import { VectorMachine } from './vector-machine.ts'
import type { ParsedProgram, StepOf, TaggedStep, VectorProgram, VectorStep } from './vtd-vectors.ts'

/**
 * The recorded unit keeps leaf translations and context entries. With more caches than that, a step that caches may decide
 * has right answers that no recording knows.
 */
export const RECORDED_CACHES: Partial<CacheSizes> = {
  iotlbSets: 64,
  iotlbWays: 16,
  pasidSets: 1,
  pasidWays: 0,
  pagingSets: [0, 0, 0, 0],
}

/**
 * Replays one program. What cannot be parsed, built or carried out is a failure too.
 *
 * @param caches sizes of the unit's caches, where they are not the usual ones.
 */
export const replay = (
  parsed: ParsedProgram,
  quirks: Quirks,
  caches: Partial<CacheSizes> = RECORDED_CACHES,
): Verdict => replayOn(parsed, quirks, program => new VectorMachine(program, quirks, caches))

/** The same, on a machine that `build` makes of a program. */
export function replayOn(
  parsed: ParsedProgram,
  quirks: Quirks,
  build: (program: VectorProgram) => ReplayMachine,
): Verdict {
  const { id } = parsed
  const fail = (at: string, expected: string, got: string, checks = 0): Verdict => ({
    id,
    checks,
    failures: 1,
    failure: { at, expected, got },
  })
  if ('problem' in parsed) return fail('program', 'a program of the format', parsed.problem)
  let run: Replay
  try {
    run = new Replay(build(parsed.program), quirks)
  } catch (error) {
    return fail('unit', 'a machine as described', messageOf(error))
  }
  for (const [i, step] of parsed.program.steps.entries()) {
    try {
      const difference = run.step(step)
      if (difference === undefined) continue
      return fail(`step ${i} (${tellStep(step)})`, difference.expected, difference.got, run.checks)
    } catch (error) {
      return fail(`step ${i} (${tellStep(step)})`, 'a step that can be made', messageOf(error), run.checks)
    }
  }
  return { id, checks: run.checks, failures: 0 }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function tellStep(step: VectorStep): string {
  switch (step.op) {
    case 'dma':
      return `${step.fn} ${step.dir}s ${step.addr}+${step.len}${step.note ? `, ${step.note}` : ''}`
    case 'msi':
      return `msi ${step.fn} ${step.addr} ${step.data}`
    case 'reg.read':
    case 'reg.write':
      return `${step.op} ${step.reg}`
    default:
      return step.op
  }
}

/** Whether a step departs in a way that is no quirk of the unit, and nothing says what else is right. */
const isUnexplained = ({ quirk = [], spec }: StepOf<'dma' | 'msi'>): boolean =>
  spec === undefined && quirk.some(tag => QUIRK_OF_TAG[tag] === undefined)

/** Function, page and direction. */
const accessOf = (step: StepOf<'dma' | 'msi'>): string =>
  `${step.fn} ${step.op === 'dma' ? step.dir : 'msi'} ${BigInt(step.addr) >> 12n}`

class Replay {
  checks = 0
  readonly #machine: ReplayMachine
  readonly #state: UnitState
  readonly #quirks: Quirks
  /** What has to be done to the unit before the next step without the tag. */
  #owed: { readonly tag: string; readonly pay: () => void } | undefined
  #headBeforeCommand = 0
  /** Reason codes of earlier faults, by access: what a cached entry that is not present may answer again. */
  readonly #faults = new Map<string, number>()

  constructor(machine: ReplayMachine, quirks: Quirks) {
    this.#machine = machine
    this.#state = machine.state
    this.#quirks = quirks
  }

  step(step: VectorStep): Difference | undefined {
    const { memory } = this.#machine
    switch (step.op) {
      case 'note':
        return undefined
      case 'unknown':
        return { expected: 'a step of this format', got: `op ${step.name}` }
      case 'mem.write':
        return this.#store(step.addr, step.bytes ?? (step.u64s ?? []).map(quadwordBytes).join(''))
      case 'mem.fill':
        return this.#store(step.addr, fillBytes(step))
      case 'mem.expect': {
        this.checks++
        const bytes = new Uint8Array(step.bytes.length / 2)
        const found = memory.read(parsePhysical(step.addr), bytes) ? bytesToHex(bytes) : 'no memory'
        return found === step.bytes.toLowerCase()
          ? undefined
          : { expected: `${step.addr} holding ${step.bytes}`, got: found }
      }
      default:
        return this.#act(step)
    }
  }

  #store(address: string, bytes: string): Difference | undefined {
    const { memory } = this.#machine
    const stored = memory.write(parsePhysical(address), hexToBytes(bytes))
    memory.accept()
    return stored ? undefined : { expected: `memory at ${address}`, got: 'none' }
  }

  #act(step: TaggedStep): Difference | undefined {
    this.checks++
    if (this.#owed !== undefined && !step.quirk?.includes(this.#owed.tag)) {
      this.#owed.pay()
      this.#owed = undefined
    }
    if (step.op === 'reg.read') return this.#read(step)
    if (step.op === 'reg.write') return this.#write(step)
    return this.#request(step)
  }

  /** Whether a step is compared with the recording; else with the specification. */
  #followsRecord({ quirk = [] }: TaggedStep): boolean {
    if (quirk.length === 0) return true
    if (this.#quirks === NO_QUIRKS) return false
    return quirk.every(tag => {
      const name = QUIRK_OF_TAG[tag]
      return name === undefined || this.#quirks[name]
    })
  }

  #read(step: StepOf<'reg.read'>): Difference | undefined {
    const got = this.#machine.readRegister(Number(step.offset), step.width)
    const followed = this.#followsRecord(step)
    if (!followed) this.#oweQueueState(step, this.#state.registers())
    const wanted = followed ? step.expect : (step.spec?.value ?? step.expect)
    if (!followed && step.spec === undefined) return undefined
    const fits =
      got === BigInt(wanted) ||
      (this.#quirks === NO_QUIRKS && mayDiffer(Number(step.offset), BigInt(wanted), got))
    return fits ? undefined : { expected: `${step.reg} ${wanted}`, got: `0x${got.toString(16)}` }
  }

  #write(step: StepOf<'reg.write'>): Difference | undefined {
    const machine = this.#machine
    const { memory } = machine
    if (Number(step.offset) === GCMD.offset) {
      this.#headBeforeCommand = Number(machine.readRegister(IQH.offset, 64))
    }
    const followed = this.#followsRecord(step)
    const before = followed ? undefined : this.#state.registers()
    const seen = machine.observe(step)
    const recorded = recordedWrite(step, memory, seen.after)
    if (before === undefined) {
      const difference = differenceOf(recorded, seen)
      memory.accept()
      return difference
    }
    const difference = step.spec && differenceOf(specifiedWrite(step, memory, seen.after), seen)
    memory.settle(recorded.changes)
    this.#oweQueueState(step, before)
    return difference
  }

  /** Makes a note of how to bring the queue to where it is in the recording. */
  #oweQueueState(step: TaggedStep, before: Uint32Array): void {
    const tag = step.quirk?.find(name => Object.hasOwn(QUEUE_CARRY_ON, name))
    if (tag === undefined || this.#owed?.tag === tag) return
    const machine = this.#machine
    const headBeforeCommand = this.#headBeforeCommand
    const wayBack = QUEUE_CARRY_ON[tag]!({ step, before, headBeforeCommand, machine })
    this.#owed = {
      tag,
      pay: () => {
        // Descriptors may have been passed over that the recorded unit carried out.
        this.#state.changeRegisters(wayBack, true)
      },
    }
  }

  #request(step: StepOf<'dma' | 'msi'>): Difference | undefined {
    const machine = this.#machine
    const { memory } = machine
    const context: StepContext = {
      memory,
      fn: machine.describedFunction(step.fn),
      faults: faultState(machine, machine.recordAt),
      guestAddressWidth: machine.guestAddressWidth,
    }
    const choice = step.implementationDefined === true
    const saved = choice ? this.#state.save() : undefined
    const fectl = Number(machine.readRegister(FECTL.offset, 32))
    const seen = machine.observe(step)
    const recorded = step.op === 'dma' ? recordedDma(step, context) : recordedMsi(step)
    const fromRecord = differenceOf(recorded, seen)
    if (fromRecord === undefined && (this.#followsRecord(step) || choice)) {
      memory.accept()
      const [part] = seen.parts
      if (part !== undefined && !part.ok) this.#faults.set(accessOf(step), part.reason)
      return undefined
    }
    let difference = this.#followsRecord(step) ? fromRecord : fromSpecification(step, context, seen)
    if (!this.#followsRecord(step) && isUnexplained(step)) difference = undefined
    if (difference !== undefined && saved !== undefined) {
      memory.settle([])
      this.#state.loadWithoutCaches(saved)
      const fresh = machine.observe(step)
      if (alike(seen, fresh) || this.#isOlderAnswer(step, seen)) difference = undefined
    }
    if (difference === undefined) this.#goOnFrom(recorded, seen, fectl)
    return difference
  }

  /** With CAP.CM=1 hardware may go on answering as it did before an entry became present. */
  #isOlderAnswer(step: StepOf<'dma' | 'msi'>, seen: Observation): boolean {
    const [part, ...others] = seen.parts
    const mayCacheNotPresent = this.#machine.cachingMode
    if (!mayCacheNotPresent || part === undefined || part.ok || others.length > 0) return false
    return seen.changes.length === 0 && this.#faults.get(accessOf(step)) === part.reason
  }

  /** Memory, FRCD and FSTS as recorded; what caches hold of a walk that went otherwise is forgotten. */
  #goOnFrom(recorded: Expectation, seen: Observation, fectl: number): void {
    const { memory, recordAt } = this.#machine
    const walkedAlike = differenceOf(
      { ...recorded, fsts: undefined, record: seen.after.record, newFault: undefined, events: undefined },
      seen,
    )
    memory.settle(recorded.changes)
    const status = recorded.fsts ?? seen.after.fsts
    const faultsAlike = status === seen.after.fsts && sameRecord(recorded.record, seen.after.record)
    if (walkedAlike === undefined && faultsAlike) return
    this.#state.changeRegisters(words => {
      putFaults(words, status, recorded.record, recordAt)
      words[FECTL.at] = fectlAfter(fectl, seen.before.fsts, status)
      return words
    }, walkedAlike !== undefined)
  }
}

/** The difference from what the specification says; with several right answers, from the first. */
function fromSpecification(
  step: StepOf<'dma' | 'msi'>,
  context: StepContext,
  seen: Observation,
): Difference | undefined {
  const answers = step.op === 'dma' ? specifiedDma(step, context) : specifiedMsi(step, context)
  const differences = answers.map(answer => differenceOf(answer, seen))
  return differences.includes(undefined) ? undefined : differences[0]
}
