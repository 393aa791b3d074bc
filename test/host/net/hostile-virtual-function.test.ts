/**
 * A virtual function whose driver says and writes anything: the driver of the physical function answers what was asked,
 * keeps what it promised to others, and its state can be restored.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NicModel } from '../../../src/devices/index.ts'
import { restoreAdapter } from '../../../src/host/index.ts'
import { AdapterRig, PF } from './adapter-rig.ts'

const VFS = 3
const HOSTILE = 1
const RUNS = Number(process.env['RUNS'] ?? 15)
const VICTIM_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0xb0)
const ACK = 0x8000_0000
const NACK = 0x4000_0000

const CHIPS = [
  { model: 'intel-82576', register: 0xc40, memory: 0x800, window: 0x4000 },
  { model: 'intel-82599', register: 0x2fc, memory: 0x200, window: 0x4000 },
] as const

/** Mostly messages that exist, with small and with wild contents. */
const word = fc.oneof(fc.nat(0xff), fc.nat(0xffff_ffff))
const message = fc.record({
  id: fc.oneof(fc.nat(0x12), fc.nat(0xffff)),
  information: fc.oneof(fc.nat(3), fc.nat(0xff)),
  flags: fc.constantFrom(0, 0, 0, 0x2000_0000, ACK, NACK),
  rest: fc.array(word, { maxLength: 15 }),
})
const happening = fc.oneof(
  { weight: 4, arbitrary: message.map(said => ({ said })) },
  { weight: 1, arbitrary: fc.record({ offset: fc.nat(0xfff).map(dword => dword * 4), value: word }) },
)

describe.each(CHIPS)('on an $model', ({ model, register, memory, window }) => {
  it('gets an answer to each message, and nothing that is somebody else’s', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), fc.boolean(), (happenings, trusted) => {
        const rig = new AdapterRig(model)
        const { adapter, platform } = rig
        const vf = platform.host.device(rig.virtualFunction(HOSTILE, VFS))
        adapter.configureVirtualFunction(HOSTILE, { trusted })
        adapter.configureVirtualFunction(0, { mac: VICTIM_MAC, vlan: 9 })
        const others = () => {
          const { pools } = (platform.functionAt(PF).modelMade as NicModel).inspect()
          const rules = pools.map(({ received: _, sent: __, ...rest }) => rest)
          return [adapter.virtualFunctions, rules].map(list => list.filter((_, i) => i !== HOSTILE))
        }
        const before = others()
        const say = (words: readonly number[]): number | undefined => {
          vf.writeRegister(0, register, 4)
          if (!(vf.readRegister(0, register) & 4)) return undefined
          for (const [i, one] of words.entries()) vf.writeRegister(0, memory + 4 * i, one >>> 0)
          vf.writeRegister(0, register, 1)
          rig.settle()
          return vf.readRegister(0, memory) >>> 0
        }
        say([1])
        for (const event of happenings) {
          if ('said' in event) {
            const { id, information, flags, rest } = event.said
            const head = (id | (information << 16) | flags) >>> 0
            const answer = say([head, ...rest])
            // What is an answer itself is none to be answered.
            if (answer === undefined || flags === ACK || flags === NACK) continue
            expect(answer & 0xffff).toBe(id)
            expect([ACK, NACK]).toContain((answer & (ACK | NACK)) >>> 0)
          } else {
            vf.writeRegister(0, event.offset % window, event.value >>> 0)
            rig.settle()
          }
        }
        expect(others()).toEqual(before)
        const saved = adapter.save()
        const restored = restoreAdapter(platform.host.device(PF), platform.engine, structuredClone(saved))
        expect(restored.save()).toEqual(saved)
      }),
      { numRuns: RUNS },
    )
  })
})
