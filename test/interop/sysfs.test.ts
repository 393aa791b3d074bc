import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { exportMachine, importMachineFrom } from '../../src/interop/index.ts'
import { CAPTURES, captureNames } from '../host/capture-functions.ts'
import { boot, bootedCapture, describeWith, run, scratchFolder, writeFiles } from './tools.ts'

const scratch = scratchFolder()
const written = new Set<string>()
/** The tree of a capture's machine on disk; returns the folder that holds `sys`. */
function treeOf(name: string): string {
  const folder = join(scratch, name)
  if (!written.has(name)) writeFiles(folder, exportMachine('sysfs', bootedCapture(name)))
  written.add(name)
  return folder
}

/** A function as the captured kernel showed it in sysfs. */
interface CapturedDevice {
  readonly bdf: string
  readonly devpath: string
  readonly resources: readonly string[]
  readonly virtfns?: readonly string[]
  readonly config_len: number
  readonly [attribute: string]: unknown
}

const capturedDevices = (name: string): readonly CapturedDevice[] =>
  JSON.parse(gunzipSync(readFileSync(join(CAPTURES, name, 'functions.json.gz'))).toString('utf8'))

/** Files whose contents do not depend on what the kernel happens to be doing. */
const ATTRIBUTES = [
  'vendor',
  'device',
  'subsystem_vendor',
  'subsystem_device',
  'class',
  'revision',
  'modalias',
  'numa_node',
  'local_cpulist',
  'ari_enabled',
  'current_link_speed',
  'current_link_width',
  'max_link_speed',
  'max_link_width',
  'secondary_bus_number',
  'subordinate_bus_number',
  'sriov_totalvfs',
  'sriov_numvfs',
  'sriov_offset',
  'sriov_stride',
  'sriov_vf_device',
] as const

/** The driver of conventional hot-plug controllers is not modelled. */
const NO_DRIVER_HERE = ['0000:20:03.0/driver: shpchp became undefined']
const LINKS = ['driver', 'physfn'] as const
const NO_RESOURCE = '0x0000000000000000 0x0000000000000000 0x0000000000000000'

describe('The sysfs tree of a captured machine', () => {
  it.each(captureNames())(
    '%s has every function where the captured kernel had it, with what it showed of it',
    name => {
      const files = new Map(exportMachine('sysfs', bootedCapture(name)).map(file => [file.path, file]))
      const different: string[] = []
      const compare = (what: string, captured: unknown, ours: unknown): void => {
        if (JSON.stringify(captured) !== JSON.stringify(ours))
          different.push(`${what}: ${captured} became ${ours}`)
      }
      for (const device of capturedDevices(name)) {
        const folder = `sys/devices/${device.devpath}`
        const text = (file: string): string | undefined => {
          const found = files.get(`${folder}/${file}`)
          return found !== undefined && 'text' in found ? found.text.trimEnd() : undefined
        }
        const link = (file: string): string | undefined => {
          const found = files.get(`${folder}/${file}`)
          return found !== undefined && 'link' in found ? found.link.split('/').at(-1) : undefined
        }
        for (const attribute of ATTRIBUTES) {
          const captured = device[attribute]
          compare(
            `${device.bdf}/${attribute}`,
            captured === undefined ? undefined : String(captured),
            text(attribute),
          )
        }
        for (const attribute of LINKS)
          compare(`${device.bdf}/${attribute}`, device[attribute], link(attribute))
        const virtual = (device.virtfns ?? []).map((_, i) => link(`virtfn${i}`))
        compare(`${device.bdf}/virtfn`, device.virtfns ?? [], virtual)
        const resources = (text('resource') ?? '').split('\n')
        while (resources.at(-1) === NO_RESOURCE) resources.pop()
        compare(`${device.bdf}/resource`, device.resources, resources)
        const config = files.get(`${folder}/config`)
        compare(
          `${device.bdf}/config`,
          device.config_len,
          config && 'bytes' in config ? config.bytes.length : undefined,
        )
      }
      expect(different.filter(line => !NO_DRIVER_HERE.includes(line))).toEqual([])
    },
  )
})

describe('The sysfs tree on disk', () => {
  it('leads from the bus to the device, and from there to driver, group, unit and virtual functions', () => {
    const sys = join(treeOf('acs-switch'), 'sys')
    const device = join(sys, 'bus/pci/devices/0000:05:00.0')
    expect(readlinkSync(device)).toBe(
      '../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:02.0/0000:05:00.0',
    )
    expect(readlinkSync(join(device, 'virtfn1'))).toBe('../0000:05:10.2')
    expect(readlinkSync(join(device, 'virtfn1/physfn'))).toBe('../0000:05:00.0')
    for (const link of [
      'driver',
      'iommu_group/devices/0000:05:00.0',
      'iommu/intel-iommu',
      'subsystem/devices',
    ]) {
      expect(existsSync(join(device, link)), link).toBe(true)
    }
    expect(
      readdirSync(join(device, 'msi_irqs')).map(irq => readFileSync(join(device, 'msi_irqs', irq), 'latin1')),
    ).toEqual(['msix\n', 'msix\n', 'msix\n'])
    expect(existsSync(join(sys, 'class/net/eth1/device/vendor'))).toBe(true)
    expect(readFileSync(join(sys, 'class/iommu/dmar0/intel-iommu/address'), 'latin1')).toBe('fed90000\n')
  })

  it('has the reserved regions and the type of each group', () => {
    const group = (name: string, address: string, file: string) =>
      readFileSync(join(treeOf(name), 'sys/bus/pci/devices', address, 'iommu_group', file), 'latin1')
    expect(group('rmrr', '0000:00:05.0', 'reserved_regions')).toBe(
      '0x000000001e000000 0x000000001e00ffff direct\n0x00000000fee00000 0x00000000feefffff msi\n',
    )
    expect(group('rmrr', '0000:01:00.0', 'reserved_regions')).toContain(
      '0x000000001e010000 0x000000001e011fff direct',
    )
    expect(group('rmrr', '0000:00:1f.0', 'reserved_regions')).toMatch(
      /^0x0{16} 0x0{10}ffffff direct-relaxable/,
    )
    expect(group('rmrr', '0000:00:1f.0', 'type')).toBe('DMA-FQ\n')
    expect(group('strict', '0000:00:1f.0', 'type')).toBe('DMA\n')
    expect(group('passthrough', '0000:00:1f.0', 'type')).toBe('identity\n')
  })

  it('is imported as the machine that it shows', () => {
    const machine = bootedCapture('pxb-numa')
    const again = boot(importMachineFrom([treeOf('pxb-numa')]).topology)
    const shown = (one: typeof machine) =>
      one.host.functions().map(fn => [fn.address, fn.kind, fn.driver, fn.numaNode, fn.group, fn.bars])
    expect(shown(again)).toEqual(shown(machine))
  })
})

describeWith('lspci', 'lspci, looking at the tree as at its own /sys', () => {
  it('sees every function with driver and group', () => {
    const sys = join(treeOf('acs-switch'), 'sys/bus/pci')
    const { stdout, status } = run('lspci', ['-A', 'linux-sysfs', '-O', `sysfs.path=${sys}`, '-D', '-nvv'])
    expect(status).toBe(0)
    for (const fn of bootedCapture('acs-switch').host.functions())
      expect(stdout).toContain(`\n${fn.address} `.trimStart())
    expect(stdout).toMatch(
      /0000:05:00\.0 0200: 8086:10c9[\s\S]*?IOMMU group: 9[\s\S]*?Kernel driver in use: igb/,
    )
  })
})

describeWith('lstopo', 'hwloc, looking at the tree as at its own /sys', () => {
  it('finds the functions and the network interfaces', () => {
    const environment = { HWLOC_FSROOT: treeOf('acs-switch') }
    const { stdout } = run('lstopo', ['--filter', 'io:all', '--of', 'console', '-v'], environment)
    for (const { address, kind } of bootedCapture('acs-switch').host.functions()) {
      if (kind === 'endpoint' || kind === 'PF') expect(stdout).toContain(address)
    }
    expect(stdout).toContain('eth1')
  })
})
