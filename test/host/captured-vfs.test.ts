/**
 * Virtual functions that a real Linux enabled, enabled here: on machines imported from what that Linux showed afterwards,
 * and from what it showed before, when there were none.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseFunctionAddress } from '../../src/core/index.ts'
import { type CaptureFiles, readCaptureFiles } from '../../src/interop/capture-files.ts'
import { importFiles } from '../../src/interop/linux-capture.ts'
import type { TopologyDocument, TopologyNodeDocument } from '../../src/platform/index.ts'
import { CAPTURES, readDump } from './capture-functions.ts'
import { type Booted, boot } from './machine.ts'

interface VirtualFacts {
  readonly address: string
  readonly vendor: string
  readonly device: string
  readonly subsystemVendor: string
  readonly subsystemDevice: string
  readonly class: string
  readonly revision: string
  /** "start end flags", by BAR. */
  readonly resources: Readonly<Record<string, string>>
}

interface PhysicalFacts {
  readonly address: string
  readonly totalVfs: number
  readonly numVfs: number
  readonly offset: number
  readonly stride: number
  readonly vfDevice: string
  readonly virtualFunctions: readonly VirtualFacts[]
}

const FACTS: Readonly<Record<string, readonly PhysicalFacts[]>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../data/sriov/enabled-vfs.json'), 'utf8'),
)
const names = Object.keys(FACTS)

/** The capture as it was taken, with virtual functions on; they are not enabled at boot here. */
function after(name: string): TopologyDocument {
  return withoutBootVfs(importFiles(readCaptureFiles(join(CAPTURES, name))).topology)
}

/** The capture as it would have been taken before: without the virtual functions, and with SR-IOV Control clear. */
function before(name: string): TopologyDocument {
  const files = readCaptureFiles(join(CAPTURES, name))
  const gone = new Set(FACTS[name]!.flatMap(pf => pf.virtualFunctions.map(({ address }) => address)))
  const blocks = (text: string): string[] =>
    text.split('\n\n').filter(block => !gone.has(block.trimStart().split(' ')[0]!))
  const dump = blocks(files.dump).map(block => {
    const pf = FACTS[name]!.find(({ address }) => block.trimStart().startsWith(address))
    return pf === undefined ? block : switchedOff(block)
  })
  const details = files.details === undefined ? undefined : blocks(files.details).join('\n\n')
  return withoutBootVfs(
    importFiles({ ...files, dump: dump.join('\n\n'), details } satisfies CaptureFiles).topology,
  )
}

/** Clears SR-IOV Control and NumVFs in the dump of a physical function. */
function switchedOff(block: string): string {
  const byte = (at: number): number => {
    const row = new RegExp(`^${(at & ~15).toString(16).padStart(2, '0')}: (.*)$`, 'm').exec(block)![1]!
    return Number.parseInt(row.split(' ')[at & 15]!, 16)
  }
  let at = 0x100
  while ((byte(at) | (byte(at + 1) << 8)) !== 0x10) at = (byte(at + 3) << 4) | (byte(at + 2) >>> 4)
  const cleared = new Set([at + 0x08, at + 0x10, at + 0x11])
  return block.replace(/^([0-9a-f]{2,3}): (.*)$/gm, (_line, offset: string, row: string) => {
    const bytes = row
      .split(' ')
      .map((text, i) => (cleared.has(Number.parseInt(offset, 16) + i) ? '00' : text))
    return `${offset}: ${bytes.join(' ')}`
  })
}

function withoutBootVfs(topology: TopologyDocument): TopologyDocument {
  const strip = ({ numVfs: _, devices, ...node }: TopologyNodeDocument): TopologyNodeDocument => ({
    ...node,
    ...(devices && { devices: devices.map(strip) }),
  })
  return {
    ...topology,
    hostBridges: topology.hostBridges.map(({ devices = [], ...bridge }) => ({
      ...bridge,
      devices: devices.map(strip),
    })),
  }
}

/** Enables the virtual functions in the order that Linux did. */
function enableAll({ host, run }: Booted, name: string): void {
  for (const { address, numVfs } of FACTS[name]!) run(host.setNumVfs(address, numVfs))
}

/** What sysfs says of a function, said of ours. */
function sysfsOf({ host }: Booted, address: string): Omit<VirtualFacts, 'address'> {
  const fn = host.find(address)
  const text = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`
  return {
    vendor: text(fn.vendorId, 4),
    device: text(fn.deviceId, 4),
    subsystemVendor: text(fn.subsystemVendorId, 4),
    subsystemDevice: text(fn.subsystemId, 4),
    class: text(fn.classCode, 6),
    revision: text(fn.revision, 2),
    resources: Object.fromEntries(
      fn.bars.map(bar => {
        // IORESOURCE_MEM, SIZEALIGN; then what the type bits of the register say.
        const flags = 0x4_0200 + (bar.kind === 'memory64' ? 0x10_0004 : 0) + (bar.prefetchable ? 0x2008 : 0)
        return [bar.index, [bar.address, bar.address + bar.size - 1, flags].map(n => text(n, 16)).join(' ')]
      }),
    ),
  }
}

/** Dwords of config space as a processor reads them. */
function configOf({ platform }: Booted, address: string): (offset: number) => number {
  const { segment, rid } = parseFunctionAddress(address)
  return offset => platform.fabric.readConfig(segment, rid >>> 8, rid & 0xff, offset) >>> 0
}

describe.each([
  ['after', after],
  ['before', before],
] as const)('virtual functions enabled on a machine captured %s it', (_when, topologyOf) => {
  it.each(names)('%s: answer where Linux found them, with the same ids and base addresses', name => {
    const booted = boot(topologyOf(name), { driversAutoprobe: false })
    enableAll(booted, name)
    for (const pf of FACTS[name]!) {
      const { sriov, virtualFunctions } = booted.host.find(pf.address)
      expect(virtualFunctions).toEqual(pf.virtualFunctions.map(({ address }) => address))
      expect(sriov).toMatchObject({
        driverLimit: pf.totalVfs,
        numVfs: pf.numVfs,
        offset: pf.offset,
        stride: pf.stride,
        vfDeviceId: Number.parseInt(pf.vfDevice, 16),
      })
      for (const { address, ...facts } of pf.virtualFunctions) {
        expect({ address, ...sysfsOf(booted, address) }).toEqual({ address, ...facts })
      }
    }
    const dump = readDump(name)
    for (const { address } of FACTS[name]!.flatMap(pf => pf.virtualFunctions)) {
      const bytes = new DataView(dump.find(one => one.address === address)!.bytes.buffer)
      const read = configOf(booted, address)
      // Vendor and Device ID, class and revision, header type, BARs, subsystem.
      for (const offset of [0x00, 0x08, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x2c]) {
        expect([offset, read(offset)]).toEqual([offset, bytes.getUint32(offset, true)])
      }
      expect(read(0x0c) & 0xff_0000).toBe(bytes.getUint32(0x0c, true) & 0xff_0000)
    }
  })
})

describe('sriov_numvfs on captured machines', () => {
  const errnoOf = ({ host, run }: Booted, address: string, count: number): unknown => {
    try {
      run(host.setNumVfs(address, count))
      return undefined
    } catch (error) {
      return (error as { details: { errno: string } }).details.errno
    }
  }

  // The machines of the 7.2 captures are the same.
  it.each(names.filter(name => !name.endsWith('-k72')))(
    '%s: ends as Linux ends it, and a refused write changes nothing',
    name => {
      const booted = boot(after(name), { driversAutoprobe: false })
      for (const { address, totalVfs, numVfs } of FACTS[name]!) {
        const hash = booted.hash()
        expect(errnoOf(booted, address, totalVfs + 1)).toBe('ERANGE')
        expect(booted.hash()).toBe(hash)
        expect(errnoOf(booted, address, numVfs)).toBeUndefined()
        const enabled = booted.hash()
        const other = numVfs === 1 ? 2 : numVfs - 1
        expect(errnoOf(booted, address, other)).toBe('EBUSY')
        expect(errnoOf(booted, address, totalVfs + 1)).toBe('ERANGE')
        expect(booted.hash()).toBe(enabled)
        expect(errnoOf(booted, address, numVfs)).toBeUndefined()
        expect(errnoOf(booted, address, 0)).toBeUndefined()
        booted.run(booted.host.bind(address, null))
        expect(errnoOf(booted, address, 1)).toBe('ENOENT')
        expect(booted.host.find(address).virtualFunctions).toEqual([])
      }
    },
  )
})
