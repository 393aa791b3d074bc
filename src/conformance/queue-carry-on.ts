/**
 * Where the invalidation queue of a recording stands after a step in which its unit departed from the specification. Each
 * tag has its own way back; it is taken before the first step that is not of the same tag.
 */
import { get } from '../core/index.ts'
import {
  DESCRIPTOR_BYTES,
  DESCRIPTOR_TYPE,
  FECTL,
  FSTS,
  GSTS,
  IQA,
  IQH,
  IQT,
  INVALIDATION_WAIT as WAIT,
} from '../vtd/formats/index.ts'
import { fectlAfter } from './carry-on.ts'
import type { ReplayMachine } from './replay-machine.ts'
import type { TaggedStep } from './vtd-vectors.ts'

/** What is known when a tagged step has been made. */
export interface QueueContext {
  readonly step: TaggedStep
  /** Register words before the step. */
  readonly before: Uint32Array
  /** IQH as it was before the last write to GCMD. */
  readonly headBeforeCommand: number
  readonly machine: ReplayMachine
}

/** RW1C bits of FSTS. */
const CLEARABLE = FSTS.f.PFO.mask | FSTS.f.IQE.mask | FSTS.f.ICE.mask | FSTS.f.ITE.mask
const { IQE } = FSTS.f

/** From the register words as they are then to those to go on with. */
export type WayBack = (now: Uint32Array) => Uint32Array

/** By tag: what to do, worked out while memory is still as it was in the step. */
export const QUEUE_CARRY_ON: Readonly<Record<string, (context: QueueContext) => WayBack>> = {
  'queue-disable-refused':
    ({ headBeforeCommand }) =>
    now => {
      const words = now.slice()
      words[GSTS.at]! |= GSTS.f.QIES.mask
      words[IQH.at] = headBeforeCommand
      return words
    },

  'queue-resumes-at-tail-write': ({ step, before }) => {
    const words = before.slice()
    const written = step.op === 'reg.write' ? Number(BigInt(step.value) & 0xffff_ffffn) : IQE.mask
    setStatus(words, words[FSTS.at]! & ~(written & CLEARABLE))
    return () => words
  },

  'empty-wait-rejected': ({ step, before, machine }) => {
    const words = withTail(before, step)
    words[IQH.at] = emptyWaitFrom(words, machine)
    setStatus(words, words[FSTS.at]! | IQE.mask)
    return () => words
  },

  'device-tlb-descriptor-accepted-without-dt': ({ step, before }) => {
    const words = withTail(before, step)
    words[IQH.at] = words[IQT.at]!
    return () => words
  },
}

function setStatus(words: Uint32Array, status: number): void {
  words[FECTL.at] = fectlAfter(words[FECTL.at]!, words[FSTS.at]!, status)
  words[FSTS.at] = status
}

function withTail(before: Uint32Array, step: TaggedStep): Uint32Array {
  const words = before.slice()
  if (step.op === 'reg.write' && Number(step.offset) === IQT.offset) {
    words[IQT.at] = Number(BigInt(step.value) & BigInt(IQT.f.QT.mask))
  }
  return words
}

/** The first wait descriptor from IQH on that asks for nothing; IQT if there is none. */
function emptyWaitFrom(words: Uint32Array, { memory }: ReplayMachine): number {
  const base = words[IQA.at + 1]! * 2 ** 32 + ((words[IQA.at]! & 0xffff_f000) >>> 0)
  const size = 4096 << get(IQA.f.QS, words, IQA.at)
  const step = words[IQA.at]! & IQA.f.DW.mask ? 2 * DESCRIPTOR_BYTES : DESCRIPTOR_BYTES
  const tail = words[IQT.at]!
  const descriptor = new Uint32Array(4)
  let head = words[IQH.at]!
  for (let left = size / step; head !== tail && left > 0; left--) {
    for (let i = 0; i < 4; i++) descriptor[i] = memory.readDword(base + head + i * 4) ?? 0
    const asked = get(WAIT.IF, descriptor) + get(WAIT.SW, descriptor)
    if (get(WAIT.TYPE, descriptor) === DESCRIPTOR_TYPE.wait && asked === 0) return head
    head = (head + step) % size
  }
  return tail
}
