/** Shapes beyond the captured ones, worked out from Linux's sources (`pci_device_group`, `pci_acs_enabled`). */
import { describe, expect, it } from 'vitest'
import { dmaAliases } from '../../src/host/grouping/dma-aliases.ts'
import { bridge, fn, groups, OFF, ON, TYPE } from './sketches.ts'

const rootPort = (acs = ON) => bridge('00:01.0', 1, TYPE.rootPort, { acs })

describe('Linux groups, by its sources,', () => {
  it('integrated endpoints of one device by their ACS capability', () => {
    const one = (at: string, acs?: typeof ON) =>
      fn({ at, expressType: TYPE.integrated, vendorId: 0x1022, multifunction: true, acs })
    expect(groups(one('00:08.0'), one('00:08.1'))).toEqual(['00:08.0 00:08.1'])
    expect(groups(one('00:08.0', ON), one('00:08.1', ON))).toEqual(['00:08.0', '00:08.1'])
    expect(groups(one('00:08.0', ON), one('00:08.1'), one('00:08.2'))).toEqual(['00:08.0', '00:08.1 00:08.2'])
    // Empty capability: nothing is offered, so nothing is missing.
    const empty = { capability: 0, control: 0 }
    expect(groups(one('00:08.0', empty), one('00:08.1', empty))).toEqual(['00:08.0', '00:08.1'])
  })

  it('event collectors with other functions of their device that do not isolate', () => {
    const collector = fn({ at: '00:00.4', expressType: TYPE.eventCollector })
    const memory = fn({ at: '00:00.0', expressType: TYPE.conventional, multifunction: true })
    const isolated = fn({ at: '00:00.1', expressType: TYPE.integrated, acs: ON })
    expect(groups(memory, isolated, collector)).toEqual(['00:00.0 00:00.4', '00:00.1'])
  })

  it('chains of conventional bridges below a PCIe-to-PCI bridge, by the last that stamps requests', () => {
    const port = rootPort()
    const toPci = bridge('01:00.0', 2, TYPE.pcieToPci, { above: port })
    const inner = bridge('02:01.0', 3, TYPE.conventional, { above: toPci })
    const innermost = bridge('03:02.0', 4, TYPE.conventional, { above: inner })
    const cards = [
      fn({ at: '02:05.0', above: toPci, expressType: TYPE.conventional }),
      fn({ at: '04:00.0', above: innermost, expressType: TYPE.conventional }),
    ]
    expect(groups(port, toPci, inner, cards[0]!, innermost, cards[1]!)).toEqual([
      '00:01.0',
      '01:00.0 02:01.0 02:05.0 03:02.0 04:00.0',
    ])
    expect(dmaAliases(cards[1]!).map(({ rid }) => rid)).toEqual([0x0400, 0x0310, 0x0208, 0x0200])
  })

  it('a PCI Express device behind a PCI-to-PCIe bridge with that bridge', () => {
    const port = rootPort()
    const toPci = bridge('01:00.0', 2, TYPE.pcieToPci, { above: port })
    const toExpress = bridge('02:03.0', 3, TYPE.pciToPcie, { above: toPci })
    const card = fn({ at: '03:00.0', above: toExpress })
    expect(groups(port, toPci, toExpress, card)).toEqual(['00:01.0', '01:00.0 02:03.0 03:00.0'])
  })

  it('several levels of conventional bridges below a switch apart per downstream port with ACS', () => {
    const port = rootPort()
    const up = bridge('01:00.0', 2, TYPE.upstream, { above: port })
    const down = [0, 1].map(n => bridge(`02:0${n}.0`, 3 + n, TYPE.downstream, { above: up, acs: ON }))
    const toPci = down.map((above, n) => bridge(`0${3 + n}:00.0`, 5 + n, TYPE.pcieToPci, { above }))
    const cards = toPci.map((above, n) => fn({ at: `0${5 + n}:04.0`, above, expressType: TYPE.conventional }))
    expect(groups(port, up, ...down, ...toPci, ...cards)).toEqual([
      '00:01.0',
      '01:00.0',
      '02:00.0',
      '02:01.0',
      '03:00.0 05:04.0',
      '04:00.0 06:04.0',
    ])
  })

  it('bridges that hide that they come from PCI Express by the id that they put into requests', () => {
    const port = rootPort()
    const disguised = bridge('01:00.0', 2, TYPE.conventional, {
      above: port,
      vendorId: 0x1b21,
      deviceId: 0x1080,
    })
    const card = fn({ at: '02:01.0', above: disguised, expressType: TYPE.conventional })
    expect(dmaAliases(card).map(({ rid }) => rid)).toEqual([0x0208, 0x0200])
    const onRootBus = bridge('00:1e.0', 5, TYPE.conventional, { vendorId: 0x8086, deviceId: 0x244e })
    expect(dmaAliases(fn({ at: '05:01.0', above: onRootBus })).map(({ rid }) => rid)).toEqual([
      0x0508, 0x00f0,
    ])
  })

  it('a multifunction upstream port without ACS with everything below, but not the root port', () => {
    const port = rootPort()
    const up = bridge('01:00.0', 2, TYPE.upstream, { above: port, multifunction: true })
    const other = fn({ at: '01:00.1', above: port })
    const down = bridge('02:00.0', 3, TYPE.downstream, { above: up, acs: ON })
    const card = fn({ at: '03:00.0', above: down })
    expect(groups(port, up, other, down, card)).toEqual(['00:01.0', '01:00.0 01:00.1 02:00.0 03:00.0'])
  })

  it('VFs alone beside PFs that share a group, also on further buses', () => {
    const port = rootPort()
    const pfs = [0, 1].map(n => fn({ at: `01:00.${n}`, above: port, multifunction: true }))
    const vfs = ['01:02.0', '01:02.1', '02:00.0'].map(at =>
      fn({ at, above: port, multifunction: false, physical: pfs[0] }),
    )
    expect(groups(port, ...pfs, ...vfs)).toEqual([
      '00:01.0',
      '01:00.0 01:00.1',
      '01:02.0',
      '01:02.1',
      '02:00.0',
    ])
  })

  it('VFs with their port if it redirects nothing', () => {
    const port = rootPort(OFF)
    const pf = fn({ at: '01:00.0', above: port })
    const vf = fn({ at: '02:10.0', above: port, physical: pf })
    expect(groups(port, pf, vf)).toEqual(['00:01.0 01:00.0 02:10.0'])
  })

  it('an ARI device by device numbers still: functions 0 to 7, 8 to 15 and so on', () => {
    const port = rootPort()
    const functions = ['01:00.0', '01:00.7', '01:01.0', '01:01.1'].map(at =>
      fn({ at, above: port, multifunction: true }),
    )
    expect(groups(port, ...functions)).toEqual(['00:01.0', '01:00.0 01:00.7', '01:01.0 01:01.1'])
  })

  it('functions with the same numbers in two segments apart', () => {
    const pair = [0, 1].map(segment =>
      ['00:1f.0', '00:1f.2'].map(at => ({ ...fn({ at, multifunction: true }), segment })),
    )
    expect(groups(...pair.flat())).toHaveLength(2)
  })

  it('functions that alias each other across devices of a bus', () => {
    const port = rootPort()
    const ntb = fn({ at: '01:00.0', above: port, quirkAliases: [0x0100, 0x0108, 0x0110].slice(1) })
    const other = fn({ at: '01:02.0', above: port })
    const third = fn({ at: '01:03.0', above: port })
    expect(groups(port, ntb, other, third)).toEqual(['00:01.0', '01:00.0 01:02.0', '01:03.0'])
  })
})
