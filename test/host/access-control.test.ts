/** What the kernel writes into ACS control, and what takes its place where chipsets have something else. */
import { describe, expect, it } from 'vitest'
import type { KernelVersion } from '../../src/host/index.ts'
import type { TopologyNodeDocument } from '../../src/platform/index.ts'
import { image } from '../platform/documents.ts'
import { type Booted, boot } from './machine.ts'

type Node = TopologyNodeDocument

function start(devices: Node[], pci = '', kernel: KernelVersion = '7.2', iommu = 'intel_iommu=on'): Booted {
  return boot({
    name: 'access-control',
    memory: [{ sizeMiB: 64 }],
    iommu: { kind: 'intel-vtd', units: [{ id: 'unit', includeAll: true }] },
    hostBridges: [{ devices }],
    host: { commandLine: `${iommu} ${pci === '' ? '' : `pci=${pci}`}`, kernel },
  })
}

const card: Node = { at: '00.0', model: 'intel-82574l' }
const port: Node = { at: '01.0', model: 'root-port', devices: [card] }

/** ACS capability and control of the root port of devices/root-port.json, which offers SV, TB, RR, CR and UF. */
const acsOf = ({ platform }: Booted): number => platform.fabric.readConfig(0, 0, 0x08, 0x148 + 4)
const groupsOf = ({ host }: Booted): string[][] => host.groups().map(({ functions }) => [...functions])

describe('ACS control', () => {
  it('gets SV, RR, CR and UF as offered, if an IOMMU is used', () => {
    expect(acsOf(start([port]))).toBe(0x001d_001f)
    expect(acsOf(start([port], '', '7.2', 'intel_iommu=off'))).toBe(0x0000_001f)
  })

  it('gets TB too where device-TLBs are forbidden', () => {
    expect(acsOf(start([port], 'noats'))).toBe(0x001f_001f)
  })

  it('loses redirection where the command line says so; 7.2 then drops what the kernel had chosen', () => {
    expect(acsOf(start([port], 'disable_acs_redir=00:01.0', '6.1'))).toBe(0x0011_001f)
    expect(acsOf(start([port], 'disable_acs_redir=00:01.0'))).toBe(0x0000_001f)
    expect(acsOf(start([port], 'disable_acs_redir=pci:8086:2030'))).toBe(0x0000_001f)
    expect(acsOf(start([port], 'disable_acs_redir=pci:8086:2031'))).toBe(0x001d_001f)
  })

  it('is what config_acs sets and clears, from 6.11 on, for the first setting that names the port', () => {
    expect(acsOf(start([port], 'config_acs=xx10x1@00:01.0'))).toBe(0x0009_001f)
    expect(acsOf(start([port], 'config_acs=1@pci:0:0;0@00:01.0'))).toBe(0x0001_001f)
    expect(acsOf(start([port], 'disable_acs_redir=00:01.0,config_acs=xx111x1@00:01.0'))).toBe(0x001d_001f)
    expect(acsOf(start([port], 'config_acs=0000000@00:01.0', '6.1'))).toBe(0x001d_001f)
  })

  it('is named by the way to a port, too', () => {
    const nested: Node = {
      at: '01.0',
      model: 'root-port',
      devices: [
        {
          at: '00.0',
          model: 'switch-upstream-port',
          devices: [{ at: '02.0', model: 'switch-downstream-port-acs', devices: [card] }],
        },
      ],
    }
    const booted = start([nested], 'disable_acs_redir=00:01.0/00.0/02.0')
    expect(booted.host.find('0000:03:00.0').group).toBe(booted.host.find('0000:02:02.0').group)
    expect(acsOf(booted)).toBe(0x001d_001f)
  })
})

/** A root port by ids, with what else its config space holds. */
const chipsetPort = (
  device: number,
  values: Parameters<typeof image>[0] = {},
  more: Partial<NonNullable<Node['imported']>> = {},
): Node => ({
  at: '1c.0',
  imported: {
    name: 'chipset port',
    kind: 'rootPort',
    configSizeBytes: 4096,
    image: image({
      0: [4, device * 0x1_0000 + 0x8086],
      6: [2, 0x10],
      14: [1, 1],
      52: [1, 0x40],
      64: [4, 0x0042_0010],
      ...values,
    }),
    ...more,
  },
  devices: [card],
})

/** The LPC bridge with its "Root Complex Base Address". */
const lpc = (rootComplexBase: number): Node => ({
  at: '1f.0',
  imported: {
    name: 'LPC',
    kind: 'endpoint',
    configSizeBytes: 256,
    image: image({ 0: [4, 0x1c54_8086], 8: [4, 0x0601_0000], 240: [4, rootComplexBase] }).slice(0, 512),
  },
})

describe('root ports of a PCH without an ACS capability', () => {
  it('isolate once peer decodes are off, which needs the root complex registers of the LPC bridge', () => {
    expect(groupsOf(start([chipsetPort(0x1c10), lpc(0xfed1_c001)]))).toContainEqual(['0000:00:1c.0'])
    for (const devices of [[chipsetPort(0x1c10), lpc(0xfed1_c000)], [chipsetPort(0x1c10)]]) {
      expect(groupsOf(start(devices))).toContainEqual(['0000:00:1c.0', '0000:01:00.0'])
    }
  })

  it('do not isolate if they are not among the ports that can be told to', () => {
    expect(groupsOf(start([chipsetPort(0x2942), lpc(0xfed1_c001)]))).toContainEqual([
      '0000:00:1c.0',
      '0000:01:00.0',
    ])
  })
})

describe('root ports of 100 and 200 series PCHs', () => {
  it('have ACS control in a doubleword of its own, which the kernel sets and asks', () => {
    const sunrisePoint = chipsetPort(
      0xa110,
      { 256: [4, 0x0001_000d], 260: [4, 0x0000_000f] },
      { overrides: [{ offset: '0x108', readWrite: '0x0000007f' }] },
    )
    const booted = start([sunrisePoint])
    expect(booted.platform.fabric.readConfig(0, 0, 0xe0, 0x108)).toBe(0x0d)
    expect(groupsOf(booted)).toContainEqual(['0000:00:1c.0'])
    expect(groupsOf(start([sunrisePoint], 'disable_acs_redir=00:1c.0'))).toContainEqual([
      '0000:00:1c.0',
      '0000:01:00.0',
    ])
  })
})
