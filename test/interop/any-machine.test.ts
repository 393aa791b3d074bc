import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { readCaptureFiles } from '../../src/interop/capture-files.ts'
import { importHwloc } from '../../src/interop/hwloc/read.ts'
import type { ImportedCapture } from '../../src/interop/index.ts'
import { importNodedev } from '../../src/interop/libvirt/nodedev-read.ts'
import { importFiles } from '../../src/interop/linux-capture.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { CAPTURES } from '../host/capture-functions.ts'
import { boot, bootedCapture, exportedText } from './tools.ts'

const nothing = { details: undefined, tables: new Map(), texts: new Map(), about: {} }
const imported = (dump: string, more = {}): ImportedCapture =>
  importFiles({ name: 'any', dump, ...nothing, ...more })
const groupsOf = ({ topology }: ImportedCapture): string[][] =>
  boot(topology)
    .host.groups()
    .map(({ functions }) => [...functions].sort())
    .sort((a, b) => (a[0]! < b[0]! ? -1 : 1))
const partition = (name: string): string[][] =>
  JSON.parse(readFileSync(join(CAPTURES, name, 'iommu-groups.json'), 'utf8')).partition

/** Only the first bytes of each function. */
const cutTo = (bytes: number, dump: string): string =>
  dump
    .split('\n')
    .filter(line => {
      const [, offset] = /^([0-9a-f]{2,3}): /.exec(line) ?? []
      return offset === undefined || Number.parseInt(offset, 16) < bytes
    })
    .join('\n')

describe('lspci output of which something is missing', () => {
  const files = readCaptureFiles(join(CAPTURES, 'acs-switch'))
  const verbose = files.details!

  it('no bytes at all: -vvv tells port types, access control and virtual functions', () => {
    const capture = imported(verbose, { tables: files.tables })
    expect(groupsOf(capture)).toEqual(partition('acs-switch'))
    expect(capture.notes).toContain('ids are not told (-nn): 0001:0001 stands for them')
  })

  it('no bytes and no tables: that there are groups tells that there is an IOMMU', () => {
    expect(groupsOf(imported(verbose))).toEqual(partition('acs-switch'))
  })

  it('no extended configuration space: groups tell who has access control', () => {
    const capture = imported(cutTo(256, files.dump), { details: verbose })
    expect(groupsOf(capture)).toEqual(partition('acs-switch'))
    expect(capture.notes.join('\n')).toContain('no extended configuration space')
  })

  it('headers alone, as others than root see them', () => {
    const { topology, notes } = imported(cutTo(64, files.dump))
    expect(notes.join('\n')).toContain('the dump has less than 256 bytes of 14 functions')
    expect(notes.join('\n')).not.toContain('is left out')
    const functions = boot(topology).host.functions()
    expect(functions.map(({ address, kind }) => `${address} ${kind}`)).toEqual(
      bootedCapture('acs-switch')
        .host.functions()
        .map(({ address, kind }) => `${address} ${kind}`),
    )
  })

  it('-nn alone: buses are numbered depth first', () => {
    const text = [
      '00:00.0 Host bridge [0600]: Maker Chip [8086:29c0]',
      '00:01.0 PCI bridge [0604]: Maker Port [8086:2030] (rev 02)',
      '00:02.0 PCI bridge [0604]: Maker Port [8086:2030] (rev 02)',
      '02:00.0 Ethernet controller [0200]: Maker Card [8086:10fb]',
      '02:10.0 Ethernet controller [0200]: Maker Card Virtual Function [8086:10ed]',
      '7f:08.0 System peripheral [0880]: Maker Agent [8086:0e80]',
    ].join('\n')
    const { topology } = imported(text)
    expect(topology.hostBridges.map(({ bus }) => bus)).toEqual([0, 0x7f])
    expect(
      boot(topology)
        .host.functions()
        .map(({ address, kind }) => `${address} ${kind}`),
    ).toEqual([
      '0000:00:00.0 hostBridge',
      '0000:00:01.0 rootPort',
      '0000:00:02.0 rootPort',
      '0000:02:00.0 PF',
      '0000:02:10.0 VF',
      '0000:7f:08.0 endpoint',
    ])
  })
})

describe('Oddities of real servers', () => {
  const header = (at: string, ids: string, classCode: string, rest = '') =>
    `${at} x\n00: ${ids} 00 00 00 00 00 ${classCode} 00 00 00 00\n10:${' 00'.repeat(16)}\n20:${' 00'.repeat(16)}\n30:${' 00'.repeat(16)}\n${rest}\n`
  const chip = header('0000:00:00.0', '86 80 c0 29', '00 00 06')

  it('a segment above ffff (a volume management device) is left out, with a note', () => {
    const { topology, notes } = imported(chip + header('10000:e1:00.0', '4d 14 0a a8', '02 08 01'))
    expect(topology.hostBridges).toHaveLength(1)
    expect(notes).toContain('10000:e1:00.0 is left out: segments above ffff are not modelled')
  })

  it('a function on a bus that no bridge leads to makes a root bus', () => {
    const { topology } = imported(chip + header('0000:d7:05.0', '86 80 34 20', '00 80 08'))
    expect(topology.hostBridges.map(({ bus }) => bus)).toEqual([0, 0xd7])
  })

  it('function 3 of a device without function 0 is left out: no kernel finds it', () => {
    const { topology, notes } = imported(chip + header('0000:00:1d.3', '86 80 34 29', '00 03 0c'))
    expect(topology.hostBridges[0]!.devices).toHaveLength(1)
    expect(notes.join('\n')).toMatch(/function 1d.3 .* is left out: it needs function 0 of the same device/)
  })

  it('a CardBus bridge and a function that does not answer are left out, with a note', () => {
    const cardbus = header('0000:00:03.0', '80 11 76 04', '00 07 06').replace(
      '00 00 00 00\n10:',
      '00 00 02 00\n10:',
    )
    const { notes } = imported(chip + cardbus + header('0000:00:04.0', 'ff ff ff ff', 'ff ff ff'))
    expect(notes.join('\n')).toContain('0000:00:03.0 is left out: header type 2 is not modelled')
    expect(notes.join('\n')).toContain('0000:00:04.0 is left out')
  })

  it('virtual functions of a card that this kernel has no driver for are there all the same', () => {
    const text = readCaptureFiles(join(CAPTURES, 'rp-igb-vfs')).details!.replaceAll(
      'driver in use: igb',
      'driver in use: qede',
    )
    const found = boot(imported(text).topology).host.functions()
    expect(found.filter(({ kind }) => kind === 'VF')).toHaveLength(9)
    expect(found.find(({ kind }) => kind === 'PF')!.driver).toBe('pci-pf-stub')
  })

  it('a bridge whose secondary bus is its own leads nowhere', () => {
    const text = [
      '00:00.0 Host bridge [0600]: Maker Chip [8086:29c0]',
      '00:01.0 PCI bridge [0604]: Maker Port [8086:2030]',
      '\tBus: primary=00, secondary=00, subordinate=00, sec-latency=0',
      '01:00.0 PCI bridge [0604]: Maker Port [8086:2030]',
      '\tBus: primary=01, secondary=01, subordinate=01, sec-latency=0',
    ].join('\n')
    expect(imported(text).topology.hostBridges.map(({ bus }) => bus)).toEqual([0, 1])
  })

  it('several segments keep theirs', () => {
    const { topology } = imported(chip + header('0001:00:00.0', '86 80 c0 29', '00 00 06'))
    expect(topology.hostBridges.map(({ segment = 0, bus }) => [segment, bus])).toEqual([
      [0, 0],
      [1, 0],
    ])
    expect(groupsOf({ topology, notes: [] })).toEqual([['0000:00:00.0'], ['0001:00:00.0']])
  })
})

describe('Damaged input of any format gives a valid topology or a refusal that says what is wrong', () => {
  /** A text with pieces cut out, doubled or overwritten. */
  const damaged = (text: string) =>
    fc
      .array(
        fc.record({
          at: fc.nat(text.length),
          length: fc.nat(40),
          put: fc.oneof(
            fc.constantFrom('', '<', '>', '"', '&', '\n', ' ', '0x', '-1', 'ffffffffff', '</device>'),
            fc.string({ maxLength: 8 }),
          ),
        }),
        { minLength: 1, maxLength: 6 },
      )
      .map(changes =>
        changes.reduce((now, { at, length, put }) => now.slice(0, at) + put + now.slice(at + length), text),
      )
  const formats: readonly (readonly [string, string, (text: string) => ImportedCapture])[] = [
    [
      'lspci -vvv',
      gunzipSync(readFileSync(join(CAPTURES, 'mf-igb-vfs', 'lspci-vvv.txt.gz'))).toString('latin1'),
      text => imported(text),
    ],
    ['hwloc XML', exportedText('hwloc', bootedCapture('rp-igb-vfs')), text => importHwloc('any', text)],
    [
      'libvirt XML',
      `<device><name>pci_0</name><capability type="pci"><class>0x060400</class><domain>0</domain><bus>0</bus><slot>1</slot><function>0</function><product id="0x2030"/><vendor id="0x8086"/><capability type="pci-bridge"/><iommuGroup number="1"><address domain="0" bus="0" slot="1" function="0"/></iommuGroup><pci-express><link validity="cap" port="1" speed="8" width="8"/></pci-express></capability></device>\n<device><name>pci_1</name><parent>pci_0</parent><capability type="pci"><class>0x020000</class><domain>0</domain><bus>1</bus><slot>0</slot><function>0</function><product id="0x10fb"/><vendor id="0x8086"/><capability type="virt_functions" maxCount="63"><address domain="0" bus="1" slot="0x10" function="0"/></capability><numa node="1"/></capability></device>\n<device><name>pci_2</name><parent>pci_0</parent><capability type="pci"><class>0x020000</class><domain>0</domain><bus>1</bus><slot>16</slot><function>0</function><product id="0x10ed"/><vendor id="0x8086"/><capability type="phys_function"><address domain="0" bus="1" slot="0" function="0"/></capability></capability></device>`,
      text => importNodedev('any', text),
    ],
  ]

  it.each(formats)('%s', (_name, text, read) => {
    parseTopology(read(text).topology)
    fc.assert(
      fc.property(damaged(text), broken => {
        try {
          parseTopology(read(broken).topology)
        } catch (error) {
          if (!(error instanceof NorthbridgeError)) throw error
          expect(['malformedInput', 'invalidDocument']).toContain(error.code)
          expect(error.message.length).toBeGreaterThan(10)
        }
      }),
      { numRuns: 150 },
    )
  })
})
