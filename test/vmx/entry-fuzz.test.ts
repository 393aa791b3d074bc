import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VMCS } from '../../src/vmx/formats/vmcs.ts'
import { exitOf, readyRig } from './rig.ts'

/** Values on which rules turn: small ones, single bits, all ones, addresses, anything. */
const dword = fc.oneof(
  fc.integer({ min: 0, max: 0x20 }),
  fc.integer({ min: 0, max: 31 }).map(bit => 2 ** bit),
  fc.constantFrom(0xffff_ffff, 0x8000_0000, 0x1000, 0x8000_0041, 0x8000_0b0e, 0x10_001e, 0xc093, 0xa09b),
  fc.integer({ min: 0, max: 0xffff_ffff }),
)
const write = fc.record({
  field: fc.constantFrom(...Object.values(VMCS)),
  low: dword,
  high: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: dword }),
})

describe('random VMCS contents', () => {
  it('never lead anywhere but to an entry, VMfail 7 or 8, or exit 33 or 34 with its qualification', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(fc.array(write, { minLength: 1, maxLength: 4 }), writes => {
        const rig = readyRig()
        for (const { field, low, high } of writes) {
          const result = rig.run({ op: 'vmwrite', field, value: [low, high] })
          expect([0, 12, 13]).toContain(result.error)
        }
        const broken = rig.cpu.brokenEntryRules()
        const { outcome, error } = rig.run({ op: 'vmlaunch' })
        switch (outcome) {
          case 'done':
            expect(broken).toEqual([])
            expect(rig.cpu.view().mode).toBe('nonRoot')
            expect(['done', 'vmExit', 'halted', 'shutdown', 'exception']).toContain(
              rig.run({ op: 'vmcall', number: 0 }).outcome,
            )
            break
          case 'vmFailValid':
            expect([7, 8]).toContain(error)
            expect(rig.vmread(0x4400)).toBe(error)
            expect(rig.cpu.view().mode).toBe('root')
            break
          case 'vmExit': {
            const { reason, qualification } = exitOf(rig)
            if (reason === 0x8000_0021) expect([0, 2, 4]).toContain(qualification)
            else {
              expect(reason).toBe(0x8000_0022)
              expect(qualification).toBeGreaterThan(0)
            }
            expect(rig.cpu.view().mode).toBe('root')
            break
          }
          default: // A VMX abort follows a late failure whose host MSRs cannot be loaded.
            expect(outcome).toBe('shutdown')
        }
        seen.add(`${outcome} ${error}`)
      }),
      { numRuns: 3000 },
    )
    for (const outcome of ['done 0', 'vmFailValid 7', 'vmFailValid 8', 'vmExit 0'])
      expect(seen).toContain(outcome)
  })

  it('in the region itself, where software may not write, do no worse', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 16, max: 1023 }), dword), { maxLength: 20 }), words => {
        const rig = readyRig()
        rig.run({ op: 'vmlaunch' })
        for (const [index, value] of words) rig.map.writeDword(0x2000 + index * 4, value)
        for (const operation of [
          { op: 'in', port: 0x60, width: 4 },
          { op: 'rdmsr', msr: 0x277 },
          { op: 'read', address: 0x5000, width: 8 },
          { op: 'vmcall', number: 0 },
        ] as const) {
          expect([
            'done',
            'vmExit',
            'exception',
            'halted',
            'shutdown',
            'vmFailInvalid',
            'vmFailValid',
          ]).toContain(rig.run(operation).outcome)
        }
      }),
      { numRuns: 300 },
    )
  })
})
