import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { exportMachine } from '../../src/interop/index.ts'
import { importNodedev } from '../../src/interop/libvirt/nodedev-read.ts'
import { boot, bootedCapture, describeWith, run, SHAPES, scratchFolder, writeFiles } from './tools.ts'

const SCHEMAS = '/usr/share/libvirt/schemas'
const scratch = scratchFolder()

const textOf = (name: string): string =>
  exportMachine('libvirt-nodedev', bootedCapture(name))
    .map(file => ('text' in file ? file.text : ''))
    .join('\n')

const validated = existsSync(join(SCHEMAS, 'nodedev.rng'))
  ? describeWith
  : (tool: string, name: string, tests: () => void) =>
      describeWith(tool, `${name} (skipped: libvirt's schemas are not installed)`, () =>
        describe.skip(name, tests),
      )

validated('xmllint', "libvirt's schemas accept", () => {
  it.each(['acs-switch', 'pxb-numa', 'rp-nvme-many', 'conv-behind-pcie', 'no-iommu'])(
    'node devices of %s',
    name => {
      const folder = join(scratch, name)
      const files = exportMachine('libvirt-nodedev', bootedCapture(name))
      writeFiles(folder, files)
      const paths = files.map(({ path }) => join(folder, path))
      const { status, stderr } = run('xmllint', [
        '--noout',
        '--relaxng',
        join(SCHEMAS, 'nodedev.rng'),
        ...paths,
      ])
      expect(stderr.split('\n').filter(line => line !== '' && !line.endsWith(' validates'))).toEqual([])
      expect(status).toBe(0)
    },
  )

  it('a domain with every hostdev element', () => {
    const elements = exportMachine('libvirt-hostdev', bootedCapture('rp-igb-vfs'))
    const devices = elements.map(file => ('text' in file ? file.text : '')).join('')
    const domain = `<domain type="kvm"><name>a</name><memory>1024</memory><os><type>hvm</type></os><devices>${devices}</devices></domain>`
    writeFiles(scratch, [{ path: 'domain.xml', text: domain }])
    const { stderr } = run('xmllint', [
      '--noout',
      '--relaxng',
      join(SCHEMAS, 'domain.rng'),
      join(scratch, 'domain.xml'),
    ])
    expect(stderr).toContain('domain.xml validates')
  })
})

describe('Node devices of libvirt', () => {
  it.each(SHAPES)('%s: tell enough for the same functions, virtual ones too, and the same groups', name => {
    const machine = bootedCapture(name)
    const { topology } = importNodedev('again', textOf(name))
    const again = boot(topology)
    const places = (one: typeof machine) =>
      one.host
        .functions()
        .map(fn => [fn.address, fn.vendorId, fn.deviceId, fn.classCode, fn.parent, fn.physicalFunction])
    expect(places(again)).toEqual(places(machine))
    const groups = (one: typeof machine) =>
      one.host
        .groups()
        .map(({ functions }) => functions.join(' '))
        .sort()
    expect(groups(again)).toEqual(groups(machine))
  })

  it('say of a hostdev where the function is', () => {
    const file = exportMachine('libvirt-hostdev', bootedCapture('acs-switch')).find(
      ({ path }) => path === 'pci_0000_05_10_2.xml',
    )
    expect(file && 'text' in file && file.text).toBe(`<hostdev mode="subsystem" type="pci" managed="yes">
  <driver name="vfio"/>
  <source>
    <address domain="0x0000" bus="0x05" slot="0x10" function="0x2"/>
  </source>
</hostdev>
`)
  })

  it('are refused with the device and the field', () => {
    const device = (inner: string) =>
      `<device><name>pci_x</name><capability type="pci"><domain>0</domain><bus>0</bus><slot>1</slot><function>0</function>${inner}</capability></device>`
    const wrong = (text: string) => () => importNodedev('x', text)
    expect(wrong('<device><name>')).toThrow(/libvirt XML, line 1/)
    expect(wrong('<device><name>net</name></device>')).toThrow('no <device> with a PCI capability')
    expect(wrong(device('<product id="0x1"/>'))).toThrow('pci_x: <vendor> has no id')
    expect(wrong(device('<product id="0x12345"/><vendor id="0x1"/>'))).toThrow('not a number up to 65535')
    expect(wrong(device('').replace('<slot>1</slot>', '<slot>32</slot>'))).toThrow('<slot> is "32"')
    expect(wrong(device('').replace('<bus>0</bus>', ''))).toThrow('<bus> is missing')
    const whole = device('<product id="0x1"/><vendor id="0x1"/>')
    expect(wrong(whole + whole)).toThrow('0000:00:01.0 is described twice')
  })
})
