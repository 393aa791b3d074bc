/** The reworked algorithm: the examples of the patch series' own descriptions, and each kind of bus. */
import { describe, expect, it } from 'vitest'
import { BUS_RULES } from '../../src/host/grouping/bus-rules.ts'
import type { GroupingFunction } from '../../src/host/grouping/grouping-function.ts'
import { bridge, fn, groupsBy, OFF, ON, TYPE } from './sketches.ts'

const groups = (...functions: readonly GroupingFunction[]): string[] => groupsBy(BUS_RULES, functions)

function oneSwitch(first: typeof ON | undefined, second: typeof ON | undefined): GroupingFunction[] {
  const root = bridge('00:01.0', 1, TYPE.rootPort, { acs: ON })
  const up = bridge('01:00.0', 2, TYPE.upstream, { above: root })
  const down = [
    bridge('02:00.0', 3, TYPE.downstream, { above: up, acs: first }),
    bridge('02:03.0', 4, TYPE.downstream, { above: up, acs: second }),
  ]
  return [root, up, ...down, fn({ at: '03:00.0', above: down[0] }), fn({ at: '04:00.0', above: down[1] })]
}

describe('grouping by buses', () => {
  it('keeps everything apart below a switch with access control', () => {
    expect(groups(...oneSwitch(ON, ON))).toHaveLength(6)
  })

  it.each([
    ['neither port has', undefined, undefined],
    ['one port lacks', ON, undefined],
    ['one port has switched off', OFF, ON],
  ])('joins all downstream ports of a switch and what is below if %s ACS', (_case, first, second) => {
    expect(groups(...oneSwitch(first, second))).toEqual([
      '00:01.0',
      '01:00.0',
      '02:00.0 02:03.0 03:00.0 04:00.0',
    ])
  })

  it('takes a device without the capability to have no way around inside', () => {
    const functions = [undefined, undefined, ON].map((acs, n) =>
      fn({ at: `00:1f.${[0, 2, 6][n]}`, expressType: TYPE.integrated, multifunction: true, acs }),
    )
    expect(groups(...functions)).toEqual(['00:1f.0', '00:1f.2', '00:1f.6'])
    const root = bridge('00:01.0', 1, TYPE.rootPort)
    const pair = ['01:00.0', '01:00.1'].map(at => fn({ at, above: root, multifunction: true }))
    expect(groups(root, ...pair)).toEqual(['00:01.0', '01:00.0', '01:00.1'])
  })

  it('joins functions of one device of which one has the capability but redirects nothing', () => {
    const root = bridge('00:01.0', 1, TYPE.rootPort, { acs: ON })
    const pair = ['01:00.0', '01:00.1'].map((at, n) =>
      fn({ at, above: root, multifunction: true, acs: n === 0 ? OFF : ON }),
    )
    const vf = fn({ at: '01:00.4', above: root, multifunction: false, physical: pair[0] })
    expect(groups(root, ...pair, vf)).toEqual(['00:01.0', '01:00.0 01:00.1', '01:00.4'])
  })

  it('spreads a group of functions to what is below them if one is a bridge', () => {
    const ports = [OFF, ON].map((acs, n) =>
      bridge(`00:1c.${n}`, n + 1, TYPE.rootPort, { multifunction: true, acs }),
    )
    const below = ports.map((above, n) => fn({ at: `0${n + 1}:00.0`, above }))
    expect(groups(...ports, ...below)).toEqual(['00:1c.0 00:1c.1 01:00.0 02:00.0'])
  })

  it('joins a root port that has the capability but redirects nothing with what is below', () => {
    const root = bridge('00:01.0', 1, TYPE.rootPort, { acs: OFF })
    expect(groups(root, fn({ at: '01:00.0', above: root }))).toEqual(['00:01.0 01:00.0'])
  })

  it('leaves a PCIe-to-PCI bridge out of the group below it unless it has memory of its own', () => {
    const root = bridge('00:01.0', 1, TYPE.rootPort, { acs: ON })
    const machine = (decodesMemory: boolean): GroupingFunction[] => {
      const toPci = bridge('01:00.0', 2, TYPE.pcieToPci, { above: root, decodesMemory })
      const cards = ['02:01.0', '02:02.0'].map(at => fn({ at, above: toPci, expressType: TYPE.conventional }))
      return [root, toPci, ...cards]
    }
    expect(groups(...machine(false))).toEqual(['00:01.0', '01:00.0', '02:01.0 02:02.0'])
    expect(groups(...machine(true))).toEqual(['00:01.0', '01:00.0 02:01.0 02:02.0'])
  })

  it('joins a conventional bridge with everything below it', () => {
    const old = bridge('00:1e.0', 5, TYPE.conventional)
    const inner = bridge('05:01.0', 6, TYPE.conventional, { above: old })
    const cards = [inner, old].map((above, n) =>
      fn({ at: `0${6 - n}:04.0`, above, expressType: TYPE.conventional }),
    )
    expect(groups(old, inner, ...cards)).toEqual(['00:1e.0 05:01.0 06:04.0 05:04.0'])
  })
})
