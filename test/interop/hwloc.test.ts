import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importHwloc } from '../../src/interop/hwloc/read.ts'
import { importMachineFrom } from '../../src/interop/index.ts'
import { boot, bootedCapture, describeWith, exportedText, run, SHAPES, scratchFolder } from './tools.ts'

const scratch = scratchFolder()
const xmlOf = (name: string): string => {
  const file = join(scratch, `${name}.xml`)
  writeFileSync(file, exportedText('hwloc', bootedCapture(name)))
  return file
}
const EXAMPLES = ['acs-switch', 'pxb-numa', 'rp-nvme-many', 'pci-bridge-chain'] as const

describeWith('lstopo', 'hwloc XML of a powered-on machine', () => {
  it.each(EXAMPLES)('%s: lstopo reads it and finds every function', name => {
    const { status, stdout, stderr } = run('lstopo', [
      '-i',
      xmlOf(name),
      '--filter',
      'io:all',
      '--no-collapse',
      '--of',
      'console',
      '-v',
    ])
    expect(stderr).toBe('')
    expect(status).toBe(0)
    for (const { address } of bootedCapture(name).host.functions()) expect(stdout).toContain(address)
  })

  it('and what lstopo writes of it is read as the same machine', () => {
    const written = join(scratch, 'again.xml')
    const { status } = run('lstopo', ['-i', xmlOf('pxb-numa'), '--filter', 'io:all', '--of', 'xml', written])
    expect(status).toBe(0)
    const { topology } = importMachineFrom([written], 'hwloc')
    expect(topology.memory).toEqual([
      { numaNode: 0, sizeMiB: 256 },
      { numaNode: 1, sizeMiB: 256 },
    ])
    expect(topology.hostBridges.map(({ bus, numaNode }) => [bus, numaNode])).toEqual([
      [0, undefined],
      [0x40, 0],
      [0x80, 1],
    ])
  })
})

describe('hwloc XML', () => {
  it.each(SHAPES)('%s: gives the functions of the machine that it was made of', name => {
    const machine = bootedCapture(name)
    const { topology, notes } = importHwloc('again', exportedText('hwloc', machine))
    const places = (one: typeof machine) =>
      one.host.functions().map(fn => [fn.address, fn.vendorId, fn.deviceId, fn.classCode >>> 8, fn.parent])
    expect(places(boot(topology))).toEqual(places(machine))
    expect(notes.join('\n')).toContain('hwloc XML holds no configuration space')
  })

  it('of version 1 and 2 is read', () => {
    const object = (place: string) =>
      `<object type="Bridge" os_index="0" bridge_type="0-1" depth="0" bridge_pci="0000:[00-01]">
        <object type="Bridge" os_index="16" bridge_type="1-1" depth="1" bridge_pci="0000:[01-01]" ${place}="0000:00:01.0" pci_type="0604 [8086:0c01] [0000:0000] 06" pci_link_speed="4.000000">
          <object type="PCIDev" os_index="4096" name="A card &amp; more" ${place}="0000:01:00.0" pci_type="0200 [8086:10fb] [8086:000c] 01" pci_link_speed="4.000000">
            <info name="PCIVendor" value="Intel"/>
          </object>
        </object>
      </object>`
    for (const text of [
      `<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE topology SYSTEM "hwloc.dtd">\n<topology>\n<object type="Machine" os_index="0">${object('pci_busid')}</object></topology>`,
      `<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n<topology version="2.0">\n<object type="Machine" gp_index="1">${object('pci_busid')}</object></topology>`,
    ]) {
      const { topology } = importHwloc('server', text)
      const [port] = topology.hostBridges[0]!.devices!
      expect(port).toMatchObject({
        at: '01.0',
        bus: { secondary: 1, subordinate: 1 },
        imported: { kind: 'rootPort' },
      })
      expect(port!.devices).toMatchObject([{ at: '00.0', imported: { name: 'Intel', kind: 'endpoint' } }])
    }
  })

  it('is refused with what is wrong in it', () => {
    const wrong = (text: string) => () => importHwloc('x', text)
    expect(wrong('<topology><object></topology>')).toThrow(/hwloc XML, line 1/)
    expect(wrong('<device/>')).toThrow('there is no <topology> element')
    expect(wrong('<topology/>')).toThrow('no PCI device is described')
    expect(wrong('<topology><object type="PCIDev" pci_busid="1" pci_type="0200"/></topology>')).toThrow(
      'pci_busid "1"',
    )
    expect(wrong('<topology><object type="PCIDev" pci_busid="00:01.0" pci_type="x"/></topology>')).toThrow(
      'pci_type',
    )
  })
})
