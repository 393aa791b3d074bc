/** Whatever software writes: read-only bits stay, capability lists stay intact, nothing throws. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dataSheetNames } from '../../src/devices/index.ts'
import { Machine, part, patched } from './machine.ts'
import { checkReadOnly, expectationOf } from './read-only.ts'

const NAMES = dataSheetNames()

const write = fc.record({
  offset: fc.integer({ min: 0, max: 1023 }).map(word => word * 4),
  value: fc.oneof(fc.constant(0xffff_ffff), fc.integer({ min: 0, max: 0xffff_ffff })),
  lanes: fc.constantFrom(0xffff_ffff, 0xffff, 0xffff_0000, 0xff, 0xff00, 0xff_0000, 0xff00_0000),
})

describe('random configuration writes', () => {
  it.each(NAMES)('%s keeps its identity and its capability lists', name => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 60 }), writes => {
        const machine = new Machine()
        // Switch ports need their kin above them; what a write does to the function itself is the same anywhere.
        const definition = { ...part(name) }
        const root = machine.plug(part('root-port'), '1.0')
        const upstream =
          definition.kind === 'downstreamPort'
            ? machine.plug(part('switch-upstream-port'), '0.0', root)
            : undefined
        const parent =
          definition.kind === 'rootPort' || definition.kind === 'hostBridge' ? undefined : (upstream ?? root)
        const fn = machine.plug(definition, parent ? '0.0' : '2.0', parent)
        const expected = expectationOf(fn)
        for (const { offset, value, lanes } of writes) fn.writeConfig(offset, value, lanes)
        checkReadOnly(expected)
      }),
      { numRuns: 20 },
    )
  })
})

describe('broken lists', () => {
  it('a list that loops ends where it repeats itself', () => {
    const looped = patched(part('intel-82576'), [0xa1, 0x40], [0x16e, 0], [0x152, 0x01], [0x153, 0x10])
    const fn = new Machine().plug(looped, '1.0')
    expect(fn.layout.capabilities.map(({ offset }) => offset)).toEqual([
      0x40, 0x50, 0x70, 0xa0, 0x100, 0x140, 0x150,
    ])
  })

  it('a capability that hangs over the end of configuration space is harmless', () => {
    const cut = patched(part('intel-82576'), [0x52, 0xff], [0x51, 0xfc], [0xfc, 0x05], [0xfd, 0])
    expect(() => new Machine().plug(cut, '1.0').writeConfig(0xfc, 0xffff_ffff, 0xffff_ffff)).not.toThrow()
  })
})
