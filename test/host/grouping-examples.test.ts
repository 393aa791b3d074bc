import { describe, expect, it } from 'vitest'
import { dmaAliases } from '../../src/host/grouping/dma-aliases.ts'
import type { GroupingFunction } from '../../src/host/grouping/grouping-function.ts'
import { Grouping } from '../../src/host/grouping/groups.ts'
import { missingIsolation } from '../../src/host/grouping/isolation.ts'
import { PATH_RULES } from '../../src/host/grouping/path-rules.ts'
import { bridge, fn, groups, ON, TYPE } from './sketches.ts'

const { rootPort: ROOT_PORT, upstream: UPSTREAM, downstream: DOWNSTREAM } = TYPE
const { pcieToPci: PCIE_TO_PCI, integrated: INTEGRATED, conventional: CONVENTIONAL } = TYPE
const ALL = ON.capability

describe('Linux groups', () => {
  it('functions below isolating ports one by one', () => {
    const port = bridge('00:01.0', 1, ROOT_PORT, { acs: ON })
    expect(groups(port, fn({ at: '01:00.0', above: port }))).toEqual(['00:01.0', '01:00.0'])
  })

  it('everything below a root port without ACS with that port', () => {
    const port = bridge('00:01.0', 1, ROOT_PORT)
    const pair = [fn({ at: '01:00.0', above: port, multifunction: true }), fn({ at: '01:00.1', above: port })]
    expect(groups(port, ...pair)).toEqual(['00:01.0 01:00.0 01:00.1'])
  })

  it('all functions of a multifunction root port without ACS, with what is below', () => {
    const ports = [0, 1, 2].map(n => bridge(`00:1c.${n}`, n + 1, ROOT_PORT, { multifunction: true }))
    const below = ports.map((port, n) => fn({ at: `0${n + 1}:00.0`, above: port }))
    expect(groups(...ports, ...below)).toHaveLength(1)
  })

  it('downstream ports without ACS apart if they are different devices below an isolated path', () => {
    const root = bridge('00:01.0', 1, ROOT_PORT, { acs: ON })
    const up = bridge('01:00.0', 2, UPSTREAM, { above: root })
    const down = [
      bridge('02:00.0', 3, DOWNSTREAM, { above: up }),
      bridge('02:01.0', 4, DOWNSTREAM, { above: up }),
    ]
    const below = [fn({ at: '03:00.0', above: down[0] }), fn({ at: '04:00.0', above: down[1] })]
    expect(groups(root, up, ...down, ...below)).toEqual([
      '00:01.0',
      '01:00.0',
      '02:00.0 03:00.0',
      '02:01.0 04:00.0',
    ])
  })

  it('functions behind a PCIe-to-PCI bridge with it: their requests carry one requester id', () => {
    const root = bridge('00:01.0', 1, ROOT_PORT, { acs: ON })
    const toPci = bridge('01:00.0', 2, PCIE_TO_PCI, { above: root })
    const cards = ['02:01.0', '02:02.0'].map(at => fn({ at, above: toPci, expressType: CONVENTIONAL }))
    expect(groups(root, toPci, ...cards)).toEqual(['00:01.0', '01:00.0 02:01.0 02:02.0'])
    expect(dmaAliases(cards[0]!).map(({ rid }) => rid)).toEqual([0x0208, 0x0200])
  })

  it('behind a conventional bridge on the root bus, by the id of the bridge', () => {
    const old = bridge('00:1e.0', 5, CONVENTIONAL)
    const card = fn({ at: '05:03.0', above: old, expressType: CONVENTIONAL })
    expect(groups(old, card)).toEqual(['00:1e.0 05:03.0'])
    expect(dmaAliases(card).map(({ rid }) => rid)).toEqual([0x0518, 0x00f0])
  })

  it('conventional functions of one device on the root bus, but no single ones', () => {
    const single = fn({ at: '00:14.0', expressType: CONVENTIONAL })
    const chipset = ['00:1f.0', '00:1f.3'].map(at =>
      fn({ at, expressType: CONVENTIONAL, multifunction: true }),
    )
    expect(groups(single, ...chipset)).toEqual(['00:14.0', '00:1f.0 00:1f.3'])
  })

  it("functions of one device apart if its maker vouches for them, as Intel's 82576", () => {
    const port = bridge('00:01.0', 1, ROOT_PORT, { acs: ON })
    const pair = (deviceId: number) =>
      ['01:00.0', '01:00.1'].map(at =>
        fn({ at, above: port, multifunction: true, vendorId: 0x8086, deviceId }),
      )
    expect(groups(port, ...pair(0x10c9))).toEqual(['00:01.0', '01:00.0', '01:00.1'])
    expect(groups(port, ...pair(0x10d3))).toEqual(['00:01.0', '01:00.0 01:00.1'])
  })

  it("Intel's root-complex integrated endpoints apart, others together", () => {
    const pair = (vendorId: number) =>
      ['00:1a.0', '00:1a.1'].map(at => fn({ at, vendorId, multifunction: true, expressType: INTEGRATED }))
    expect(groups(...pair(0x8086))).toHaveLength(2)
    expect(groups(...pair(0x1022))).toHaveLength(1)
  })

  it('a function that shows up as another of its device with that one', () => {
    const port = bridge('00:01.0', 1, ROOT_PORT, { acs: ON })
    const disk = fn({ at: '01:00.0', above: port, acs: ON, multifunction: true, quirkAliases: [0x0101] })
    const ide = fn({ at: '01:00.1', above: port, acs: ON })
    expect(groups(port, disk, ide)).toEqual(['00:01.0', '01:00.0 01:00.1'])
    expect(groups(port, disk)).toEqual(['00:01.0', '01:00.0'])
  })

  it('forgets functions that are gone, and gives the lowest free number to the next group', () => {
    const grouping = new Grouping(PATH_RULES)
    const all = ['00:01.0', '00:02.0', '00:03.0'].map(at => fn({ at }))
    for (const one of all) grouping.discover(one)
    for (const one of all) grouping.add(one)
    grouping.remove(all[1]!)
    expect(grouping.groups().map(({ id }) => id)).toEqual([0, 2])
    const late = fn({ at: '00:04.0' })
    grouping.discover(late)
    expect(grouping.add(late).id).toBe(1)
  })
})

describe('what a function lacks to isolate', () => {
  it('is the capability itself, or the bits that are offered but off', () => {
    const port = (acs?: GroupingFunction['acs']) => bridge('00:01.0', 1, ROOT_PORT, { acs })
    expect(missingIsolation(port())).toEqual(['ACS'])
    expect(missingIsolation(port(ON))).toEqual([])
    expect(missingIsolation(port({ capability: ALL, control: 0x11 }))).toEqual(['RR', 'CR'])
  })

  it('is nothing where a present capability does not offer the bit', () => {
    expect(missingIsolation(bridge('00:01.0', 1, ROOT_PORT, { acs: { capability: 0, control: 0 } }))).toEqual(
      [],
    )
  })

  it('is nothing for an endpoint that is alone in its device', () => {
    expect(missingIsolation(fn({ at: '01:00.0' }))).toEqual([])
    expect(missingIsolation(fn({ at: '01:00.0', multifunction: true }))).toEqual(['ACS'])
  })
})
