/** What the timed paths count for a lone packet or block is what the functional models really do. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Result } from '../../src/timing/index.ts'
import { network, storage } from './run.ts'

interface Step {
  readonly do: string
  readonly with?: {
    readonly vm?: string
    readonly model?: string
    readonly to?: string
    readonly mac?: string
  }
  readonly expect?: Record<string, unknown> & { readonly received?: readonly { readonly vm: string }[] }
}

/** Shipped stories, whose expectations other tests hold against the functional models. */
const story = (name: string): readonly Step[] =>
  parse(readFileSync(new URL(`../../experiments/${name}.yaml`, import.meta.url), 'utf8')).steps

const MODELS: Readonly<Record<string, 'emulated' | 'paravirtual' | 'vmdq' | 'sriov' | 'direct'>> = {
  emulated: 'emulated',
  paravirtual: 'paravirtual',
  sorted: 'vmdq',
  function: 'sriov',
  whole: 'direct',
}
const each = (result: Result, name: string): number =>
  (result.counts[name] ?? 0) / result.counts['operations']!

describe('a lone frame from the wire', () => {
  const traces = story('five-network-models').filter(step => step.do === 'traceFrame')
  const lone = (vm: string): Result =>
    network(
      {
        model: MODELS[vm]!,
        pattern: 'datagrams',
        messageBytes: 64,
        rate: 200,
        offload: false,
        apicVirtualization: false,
      },
      { adapter: { moderation: 0 }, warmUp: 1e7, duration: 1e9 },
    )

  it.each(traces.map(step => [step.expect!.received![0]!.vm, step.expect!] as const))(
    'is received by %s with the copies, DMA writes and exits of the functional model',
    (vm, expected) => {
      const result = lone(vm)
      expect(each(result, 'copies')).toBeCloseTo(expected['copies'] as number, 1)
      // A frame and its descriptor; the adapter's read of the descriptor is the third transfer.
      if (expected['dmaWrites'] !== undefined) {
        expect(each(result, 'transfers') - 1).toBeCloseTo(expected['dmaWrites'] as number, 1)
      }
      const exits = expected['exitsByReason'] as Record<string, number> | undefined
      if (exits?.['eptViolation'] !== undefined) {
        expect(each(result, 'host: exit: register access')).toBeCloseTo(exits['eptViolation'], 1)
      }
      if (exits?.['hlt'] !== undefined) expect(each(result, 'host: exit: HLT')).toBeCloseTo(exits['hlt'], 1)
      if (exits?.['wrmsr'] !== undefined)
        expect(each(result, 'host: exit: EOI')).toBeCloseTo(exits['wrmsr'], 1)
    },
  )
})

describe('a lone block', () => {
  const steps = story('one-block-five-ways')
  /** What is expected of the read after a disk of a model was opened. */
  const readBy = (model: string): Record<string, unknown> => {
    const opened = steps.findIndex(step => step.do === 'openDisk' && step.with?.model === model)
    return steps.slice(opened).find(step => step.do === 'readBlocks')!.expect!
  }
  const models = [
    ['emulated', readBy('emulation')],
    ['paravirtual', readBy('paravirtual')],
    ['sriov', readBy('virtualFunction')],
    ['direct', readBy('direct')],
  ] as const

  it.each(models)(
    'is read by %s with the copies, exits, requests and interrupts of the functional model',
    (model, expected) => {
      const result = storage({ model }, { duration: 2e7 })
      const exits = (expected['exitsByHandler'] ?? {}) as Record<string, number>
      const requests = (expected['requests'] ?? {}) as Record<string, number>
      expect(each(result, 'copies') * 4096).toBeCloseTo(expected['copiedBytes'] as number, -2)
      if (exits['ahci'] !== undefined)
        expect(each(result, 'host: exit: register access')).toBeCloseTo(exits['ahci'], 0)
      if (exits['virtio-blk'] !== undefined) {
        expect(each(result, 'host: exit: doorbell')).toBeCloseTo(exits['virtio-blk'], 1)
      }
      if (requests['reads'] !== undefined) {
        expect(each(result, 'transfers')).toBeCloseTo(requests['reads'] + requests['writes']!, 1)
      }
      if (requests['interrupts'] !== undefined) {
        expect(each(result, 'interrupts')).toBeCloseTo(requests['interrupts'], 1)
      }
    },
  )
})
