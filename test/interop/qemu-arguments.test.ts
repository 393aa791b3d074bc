import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { localCall } from '../../src/cli/actions/local-call.ts'
import { drive, Engine } from '../../src/engine/index.ts'
import { parseLspci, readCapture } from '../../src/interop/index.ts'
import { parseCommandLine } from '../../src/interop/qemu/command-line.ts'
import { deviceSheets, importQemu, MachineBuilder, qemuArguments } from '../../src/interop/qemu/index.ts'
import { installation } from '../../src/operations/index.ts'
import {
  Platform,
  parseTopology,
  type TopologyDocument,
  type TopologyNodeDocument,
} from '../../src/platform/index.ts'

const CAPTURES = fileURLToPath(new URL('../data/captures', import.meta.url))
const NAMES = readdirSync(CAPTURES).filter(name => !name.endsWith('.md'))

function machineOf(...args: readonly string[]): { topology: TopologyDocument; notes: readonly string[] } {
  const builder = new MachineBuilder(parseCommandLine(['-machine q35 -nodefaults', ...args].join('\n')))
  builder.build()
  return builder.topology('machine', '', '6.1')
}

function build(document: TopologyDocument): Platform {
  return drive(Platform.build(parseTopology(document), new Engine()), () => false)
}

const nodes = (document: TopologyDocument, hostBridge = 0): readonly TopologyNodeDocument[] =>
  document.hostBridges[hostBridge]!.devices ?? []
/** Places and models of the functions on a bus, without q35's own. */
const placesOn = (list: readonly TopologyNodeDocument[]): string[] =>
  list
    .map(({ at, imported }) => `${at} ${imported!.name}`)
    .filter(text => !/ (?:mch|ICH9-LPC|ich9-ahci|ICH9-SMB)$/.test(text))
const image = (node: TopologyNodeDocument): Uint8Array =>
  new Uint8Array(Buffer.from(node.imported!.image, 'hex'))
const rootNode = (document: TopologyDocument, at: string): TopologyNodeDocument =>
  nodes(document).find(node => node.at === at)!

describe('QEMU arguments of the captures', () => {
  it.each(NAMES)('%s: at power-on every read-only bit is as Linux found it', name => {
    const { topology } = importQemu(join(CAPTURES, name))
    const found = readCapture(join(CAPTURES, name))
    const differences: string[] = []
    const platform = build(topology)
    for (const [i, hostBridge] of found.hostBridges.entries()) {
      const bus = platform.fabric.hostBridges[i]!.rootBus
      compareBus(hostBridge.devices ?? [], bus, differences)
    }
    const expected = EXPLAINED[name.replace(/-k72$/, '')] ?? []
    expect(differences.filter(line => !EVERYWHERE.some(pattern => pattern.test(line)))).toEqual(expected)
  })

  it.each(NAMES)('%s: export and import again give the same machine', name => {
    const { topology } = importQemu(join(CAPTURES, name, 'topology.args'))
    const checked = parseTopology(topology)
    const text = qemuArguments({
      name,
      topology: checked,
      hardware: build(topology),
      host: undefined as never,
    })
    const builder = new MachineBuilder(parseCommandLine(text))
    builder.build()
    const again = builder.topology(topology.name, topology.description!, '6.1').topology
    expect({ ...again, host: 0 }).toEqual({ ...topology, host: 0 })
  })

  // Boots: those whose shapes differ most.
  it.each([
    'acs-nested',
    'acs-redir-off',
    'conv-behind-pcie',
    'ioh-vs-rp',
    'large-mix',
    'mf-endpoints',
    'mf-root-ports',
    'nested-switch',
    'pci-bridge-chain',
    'pxb-bypass',
    'switch-basic-k72',
    'virtio-sriov',
  ])('%s: the firmware finds the same functions and the host makes the same groups', async name => {
    const call = localCall(installation())
    const { topology } = importQemu(join(CAPTURES, name))
    const { id } = await call('createPlatform', { topology: topology as never })
    const groups = await call('groups', { platform: id })
    const { partition } = JSON.parse(readFileSync(join(CAPTURES, name, 'iommu-groups.json'), 'utf8'))
    const virtual = virtualFunctionsOf(name)
    const expected = (partition as string[][])
      .map(group => group.filter(address => !virtual.has(address)))
      .filter(group => group.length > 0)
    const sorted = (list: readonly (readonly string[])[]): string[] =>
      list.map(one => [...one].sort().join(' ')).sort()
    expect(sorted(groups.map(({ functions }) => functions))).toEqual(sorted(expected))
  })
})

/** QEMU's ioh3420 names the second MSI vector for errors as soon as Linux enables two. */
const IOH = /^ioh3420 0x130: 0x8000000$/
/** Bits that stand for what happened since power-on: INTx lines, and the hot-plug controllers' windows. */
const EVERYWHERE = [/ 0x4: 0x80000$/, /^(?:pci-bridge|pcie-pci-bridge) 0x44: /, IOH]
const EXPLAINED: Readonly<Record<string, readonly string[]>> = {
  // The monitor plugged one device and unplugged another.
  hotplug: ['pcie-root-port 0x64: 0x2150000', 'igb is not there', 'pcie-root-port 0x64: 0x2150000'],
}

function compareBus(
  found: readonly TopologyNodeDocument[],
  bus: Platform['fabric']['hostBridges'][number]['rootBus'],
  differences: string[],
): void {
  for (const node of found) {
    const [device, fn] = node.at.split('.')
    const here = bus.at(Number.parseInt(device!, 16) * 8 + Number(fn))
    if (here === undefined) {
      differences.push(`${/82576/.test(node.imported!.name) ? 'igb' : node.imported!.name} is not there`)
      continue
    }
    const bytes = new Uint8Array(node.imported!.configSizeBytes)
    bytes.set(image(node))
    if (here.layout.size !== bytes.length)
      differences.push(`${here.definition.model}: ${here.layout.size} bytes`)
    const view = new DataView(bytes.buffer)
    for (let at = 0; at < here.layout.size / 4; at++) {
      const fixed = ~(here.layout.writable(at) | here.layout.clearable(at))
      const different = ((view.getUint32(4 * at, true) ^ here.words[at]!) & fixed) >>> 0
      if (different !== 0) {
        differences.push(`${here.definition.model} 0x${(4 * at).toString(16)}: 0x${different.toString(16)}`)
      }
    }
    if (node.devices !== undefined) compareBus(node.devices, here.secondary!, differences)
  }
}

/** Addresses that virtual functions had: the arguments do not say how many were enabled. */
function virtualFunctionsOf(name: string): Set<string> {
  const dump = gunzipSync(readFileSync(join(CAPTURES, name, 'lspci-xxxx.txt.gz'))).toString()
  const virtual = parseLspci(dump).filter(({ config }) => config[0] === 0xff && config[1] === 0xff)
  return new Set(virtual.map(({ address }) => address))
}

describe('the place of a device', () => {
  it('is the first free slot of the root bus, in the order of the arguments', () => {
    const { topology } = machineOf(
      '-device e1000',
      '-device nvme,serial=a,addr=2',
      '-device edu',
      '-device igb',
    )
    expect(placesOn(nodes(topology))).toEqual(['01.0 e1000', '02.0 nvme', '03.0 edu', '04.0 igb'])
  })

  it('is slot 0 behind a port, and slot 0 on behind a bridge', () => {
    const { topology } = machineOf(
      '-device pcie-root-port,id=rp,chassis=1',
      '-device pcie-pci-bridge,id=b,bus=rp',
      '-device e1000,bus=b',
      '-device rtl8139,bus=b',
    )
    const [bridge] = rootNode(topology, '01.0').devices!
    expect(bridge!.at).toBe('00.0')
    expect(placesOn(bridge!.devices!)).toEqual(['00.0 e1000', '01.0 rtl8139'])
  })

  it.each([
    ['1e.0', '1e.0'],
    ['0x5', '05.0'],
    ['05', '05.0'],
    ['0x1d.0x0', '1d.0'],
  ])('addr=%s is %s', (addr, at) => {
    const { topology } = machineOf(`-device edu,addr=${addr}`)
    expect(placesOn(nodes(topology))).toEqual([`${at} edu`])
  })

  it.each([
    ['a taken one', ['-device edu,addr=5', '-device e1000,addr=5.0'], 'where edu is'],
    [
      'a second device on a link',
      ['-device pcie-root-port,id=r', '-device edu,bus=r', '-device edu,bus=r'],
      'no free slot on bus r',
    ],
    ['slot 1 behind a port', ['-device pcie-root-port,id=r', '-device edu,bus=r,addr=1'], 'slot 0 only'],
    ['an unknown bus', ['-device edu,bus=nowhere'], 'names no bus: bus=nowhere'],
    [
      'an express device on a conventional bus',
      ['-device pci-bridge,id=b,chassis_nr=1', '-device nvme,serial=x,bus=b,addr=2'],
      'needs a PCI Express bus',
    ],
    ['a downstream port on the root bus', ['-device xio3130-downstream,id=d'], 'behind an upstream port'],
    [
      'an id twice',
      ['-device pcie-root-port,id=r', '-device pcie-root-port,id=r'],
      'two devices have the id r',
    ],
  ])('cannot be %s', (_, args, message) => {
    expect(() => machineOf(...args)).toThrow(message)
  })
})

describe('what a property changes', () => {
  it('of ports: slot number, port number, hot-plug', () => {
    const { topology } = machineOf(
      '-device pcie-root-port,id=r,chassis=3,slot=9,port=5,hotplug=off,multifunction=on',
    )
    const bytes = image(rootNode(topology, '01.0'))
    expect(bytes[0x0e]).toBe(0x81)
    expect((bytes[0x54 + 0x16]! << 16) | (bytes[0x54 + 0x17]! << 24)).toBe((9 << 19) | 0x20000)
    expect(bytes[0x54 + 0x14]! & 0x60).toBe(0)
    expect(bytes[0x54 + 0x0f]).toBe(5)
  })

  it('of a network card: the serial number is made of the address', () => {
    const { topology } = machineOf('-device e1000e,mac=aa:bb:cc:dd:ee:ff')
    expect(Buffer.from(image(rootNode(topology, '01.0')).subarray(0x144, 0x14c)).toString('hex')).toBe(
      'ffeeddffffccbbaa',
    )
  })

  it('of NVMe: vectors and queues size the BAR, sriov_max_vfs makes an SR-IOV capability', () => {
    const { topology } = machineOf(
      '-device nvme-subsys,id=s',
      '-device nvme,serial=a,subsys=s,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=12,msix_qsize=8',
    )
    const { imported } = rootNode(topology, '01.0')
    expect(imported!.sriov).toMatchObject({ nonAri: { offset: 1, stride: 1 }, enableTimeNs: 0 })
    const bytes = image(rootNode(topology, '01.0'))
    expect([bytes[0x120], bytes[0x12c], bytes[0x12e]]).toEqual([0x10, 4, 4])
    expect(bytes[0x42]).toBe(3)
  })

  it.each([
    ['on the root bus', '', 256, 0x1000, true],
    ['behind a port', 'bus=r', 4096, 0x1041, false],
    ['behind a port, legacy asked for', 'bus=r,disable-legacy=off', 4096, 0x1000, true],
    ['on the root bus, modern only', 'disable-legacy=on', 256, 0x1041, false],
  ])('of virtio: transitional or modern %s', (_, more, size, id, hasPorts) => {
    const { topology } = machineOf('-device pcie-root-port,id=r,addr=8', `-device virtio-net-pci,${more}`)
    const node = more.startsWith('bus') ? rootNode(topology, '08.0').devices![0]! : rootNode(topology, '01.0')
    expect(node.imported!.configSizeBytes).toBe(size)
    expect(image(node)[2]! | (image(node)[3]! << 8)).toBe(id)
    expect(node.imported!.bars!.some(({ kind }) => kind === 'io')).toBe(hasPorts)
  })

  it('of virtio: sriov-pf makes virtual functions of devices', () => {
    const { topology } = machineOf(
      '-device pcie-root-port,id=r',
      '-device virtio-net-pci,bus=r,addr=0.2,sriov-pf=f,iommu_platform=on',
      '-device virtio-net-pci,bus=r,addr=0.4,sriov-pf=f,iommu_platform=on',
      '-device virtio-net-pci,bus=r,addr=0.0,id=f,iommu_platform=on',
    )
    const below = rootNode(topology, '01.0').devices!
    expect(below).toHaveLength(1)
    expect(below[0]!.imported!.sriov!.nonAri).toEqual({ offset: 2, stride: 2 })
  })

  it('that is not known is noted, not refused', () => {
    expect(machineOf('-device edu,dma_mask=0xfff').notes).toEqual([
      '-device edu: dma_mask is taken to have no effect on configuration space',
    ])
  })
})

describe('the machine', () => {
  it('has a display adapter and a network card unless it is told not to', () => {
    const builder = new MachineBuilder(parseCommandLine('qemu-system-x86_64 -M q35 -m 1G -smp 4'))
    builder.build()
    const { topology } = builder.topology('machine', '', '6.1')
    expect(placesOn(nodes(topology))).toEqual(['01.0 VGA', '02.0 e1000e'])
    const said = new MachineBuilder(parseCommandLine('-M q35 -vga none -nic user,model=rtl8139 -device edu'))
    said.build()
    expect(placesOn(nodes(said.topology('machine', '', '6.1').topology))).toEqual([
      '01.0 rtl8139',
      '02.0 edu',
    ])
    expect(topology.memory).toEqual([{ sizeMiB: 1024 }])
    expect(topology.processors).toEqual([{ numaNode: -1, logicalProcessors: 4 }])
  })

  it('has the root buses of its expander bridges, with their proximity domains', () => {
    const { topology } = machineOf(
      '-m 512M -smp 2',
      '-object memory-backend-ram,id=m0,size=256M -object memory-backend-ram,id=m1,size=256M',
      '-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1',
      '-device intel-iommu,intremap=on',
      '-device pxb-pcie,id=p,bus_nr=64,numa_node=1,addr=10',
      '-device pxb-pcie,id=q,bus=pcie.0,bus_nr=128,addr=11,bypass_iommu=on',
    )
    expect(
      topology.hostBridges.map(({ bus, numaNode, remappingUnit }) => [bus, numaNode, remappingUnit]),
    ).toEqual([
      [0, undefined, 'dmar0'],
      [64, 1, 'dmar0'],
      [128, undefined, null],
    ])
    expect(topology.memory).toEqual([
      { numaNode: 0, sizeMiB: 256 },
      { numaNode: 1, sizeMiB: 256 },
    ])
  })

  it.each([
    ['-M pc', 'machine "pc" is not known: q35 is'],
    ['-M q35 -frobnicate x', 'option -frobnicate is not known'],
    ['-M q35 -device', '-device has no value'],
    ['-M q35 -device igb2', 'device model "igb2" is not known'],
    ['-M q35 -append "x', 'a quotation mark " is not closed'],
    ['-M q35 -device {"driver":"edu"', 'is not JSON'],
    ['-M q35 -device nvme,serial=a,max_ioqpairs=many', 'max_ioqpairs=many is no whole number'],
    ['-M q35 -device virtio-net-pci,disable-legacy=perhaps', 'disable-legacy=perhaps is neither on nor off'],
  ])('%s is refused: %s', (text, message) => {
    const all = (): void => {
      const builder = new MachineBuilder(parseCommandLine(text))
      builder.build()
      builder.topology('machine', '', '6.1')
    }
    expect(all).toThrow(message)
  })

  it('is read from a shell line with quotes, JSON devices and comments', () => {
    const line = parseCommandLine(`qemu-system-x86_64 -machine type=q35,smm=off \\
      -device '{"driver":"igb","addr":"5.0","multifunction":true}' # the card
      -append 'console=ttyS0 a="b c"' -m size=2G,slots=4 -smp sockets=2,cores=3`)
    expect(line.devices).toEqual([
      {
        driver: 'igb',
        properties: new Map([
          ['addr', '5.0'],
          ['multifunction', 'on'],
        ]),
      },
    ])
    expect([line.append, line.memoryMiB, line.processors]).toEqual(['console=ttyS0 a="b c"', 2048, 6])
  })
})

describe('every device sheet', () => {
  const sheets = [...new Set(deviceSheets().values())]

  it.each(sheets.map(sheet => [sheet.model, sheet] as const))(
    '%s makes a function that powers on',
    (model, sheet) => {
      if (['mch', 'ICH9-LPC', 'ICH9-SMB'].includes(model)) return
      const place: Readonly<Record<string, string[]>> = {
        upstreamPort: ['-device pcie-root-port,id=r', `-device ${model},bus=r`],
        downstreamPort: [
          '-device pcie-root-port,id=r',
          '-device x3130-upstream,id=u,bus=r',
          `-device ${model},bus=u`,
        ],
      }
      const bus = model.startsWith('pxb') ? ',bus_nr=32' : ''
      const { topology } = machineOf(...(place[sheet.kind] ?? [`-device ${model}${bus}`]))
      const platform = build(topology)
      platform.powerOn()
      const fn = platform.fabric.functions().find(one => one.definition.model === model)!
      expect(fn.words[0]! & 0xffff).toBe(Number(sheet.header.vendorId))
      for (const entry of sheet.capabilities.filter(({ only }) => only !== 'express')) {
        expect(fn.layout.capabilities.some(({ id, extended }) => !extended && id === Number(entry.id))).toBe(
          true,
        )
      }
    },
  )
})
