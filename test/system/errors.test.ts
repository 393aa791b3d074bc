/** Errors that devices report while everything runs: the kernel reads, tells and clears them, and recovers what it can. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Software } from '../../src/engine/index.ts'
import { reportCorrectable, reportUncorrectable, TARGET, UNCORRECTABLE } from '../../src/pcie/index.ts'
import { parseTopology, type TopologyDocument } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import { image } from '../platform/documents.ts'

const shipped = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../topologies/hot-plug.json'), 'utf8'),
) as TopologyDocument

/** Below a port that contains errors, and below a switch whose ports do not. */
const CONTAINED_PORT = '0000:00:01.0'
const CONTAINED = '0000:01:00.0'
const ROOT_PORT = '0000:00:03.0'
const PLAIN = '0000:07:00.0'

class World {
  readonly platform: SimulatedPlatform
  readonly told: string[] = []

  constructor(commandLine = 'intel_iommu=on', machine: TopologyDocument = shipped) {
    const document = { ...machine, host: { commandLine } }
    this.platform = this.run(SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }))
    this.platform.engine.trace.follow(({ message }) => {
      this.told.push(message)
    })
  }

  run<Result>(software: Software<Result>): Result {
    for (;;) {
      const step = software.next()
      if (step.done) return step.value
      while (step.value !== undefined && !step.value()) expect(this.platform.engine.advance()).toBe(true)
    }
  }

  uncorrectable(address: string, error: keyof typeof UNCORRECTABLE): void {
    this.run(
      this.platform.stimulate(address, fn => {
        reportUncorrectable(fn, UNCORRECTABLE[error], undefined, false)
        return undefined
      }),
    )
  }

  correctable(address: string, error: number): void {
    this.run(
      this.platform.stimulate(address, fn => {
        reportCorrectable(fn, error)
        return undefined
      }),
    )
  }

  /** A dword of an extended capability. */
  read(address: string, capability: number, offset: number): number {
    const fn = this.platform.functionAt(address)
    return fn.readConfig(fn.layout.findExtended(capability) + offset) >>> 0
  }

  /** Registers that a reset loses: BARs, Command, and for bridges numbers and windows. */
  header(address: string): number[] {
    const fn = this.platform.functionAt(address)
    return [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24]
      .map(at => fn.readConfig(at) >>> 0)
      .concat(fn.readConfig(4) & 0xffff)
  }
}

const AER = 1
const DPC = 0x1d

describe('an error that a root port is told of', () => {
  it('is told with its function and its name, and cleared everywhere: correctable', () => {
    const world = new World()
    world.correctable(PLAIN, 6)
    expect(world.told).toContain(`${PLAIN}: correctable error: Bad TLP`)
    expect([world.read(PLAIN, AER, 0x10), world.read(ROOT_PORT, AER, 0x30) & 0x7f]).toEqual([0, 0])
  })

  it('is cleared without a reset if it is non-fatal', () => {
    const world = new World()
    const before = world.header(PLAIN)
    world.uncorrectable(PLAIN, 'completionTimeout')
    expect(world.told.filter(line => line.includes('non-fatal error: Completion Timeout'))).toHaveLength(1)
    expect([world.read(PLAIN, AER, 0x04), world.read(ROOT_PORT, AER, 0x30) & 0x7f]).toEqual([0, 0])
    expect(world.header(PLAIN)).toEqual(before)
    expect(world.told.some(line => line.includes('recovered'))).toBe(false)
  })

  it('resets the bus of the function if it is fatal; configuration and driver are as before, and DMA works', () => {
    const world = new World()
    const before = world.header(PLAIN)
    world.uncorrectable(PLAIN, 'malformedTlp')
    expect(
      world.told.some(line => line.startsWith(`${PLAIN}: fatal error: Malformed TLP; first Malformed TLP`)),
    ).toBe(true)
    expect(world.told).toContain('0000:06:00.0: recovered: 1 functions below were reset and put back')
    expect(world.header(PLAIN)).toEqual(before)
    expect(world.read(PLAIN, AER, 0x04)).toBe(0)
    expect(world.platform.host.find(PLAIN).driver).toBe('e1000e')
    const [sent] = world.platform.hardware
      .engineOf(world.platform.functionAt(PLAIN))
      .dma(true, 5, 0, new Uint8Array(4))
    expect(sent!.status).not.toBe(6)
  })

  it('resets everything below a port that reports a fatal error itself: switches get their numbers and windows back', () => {
    const world = new World()
    const addresses = ['0000:05:00.0', '0000:06:00.0', '0000:06:01.0', PLAIN, '0000:08:00.0']
    const before = addresses.map(address => world.header(address))
    world.uncorrectable(ROOT_PORT, 'dataLinkProtocol')
    expect(world.told).toContain(`${ROOT_PORT}: recovered: 5 functions below were reset and put back`)
    expect(addresses.map(address => world.header(address))).toEqual(before)
  })

  it('leaves a function with its virtual machine, which is told: of the error, or of the reset if it is fatal', () => {
    const world = new World()
    const { hypervisor, host } = world.platform
    world.run(hypervisor.createVm({ name: 'a', vcpus: 1, memoryMiB: 4 }))
    world.run(hypervisor.attach('a', PLAIN))
    world.uncorrectable(PLAIN, 'completionTimeout')
    expect(world.told).toContain(`${PLAIN}: virtual machine "a" is told of the error`)
    expect(hypervisor.vm('a').devices).toHaveLength(1)
    world.uncorrectable(PLAIN, 'malformedTlp')
    expect(world.told).toContain(`${PLAIN}: virtual machine "a" is told of the reset`)
    expect(hypervisor.vm('a').devices).toHaveLength(1)
    expect(host.find(PLAIN).driver).toBe('vfio-pci')
  })

  it('stays where it is with pci=noaer', () => {
    const world = new World('intel_iommu=on pci=noaer')
    world.uncorrectable(PLAIN, 'malformedTlp')
    expect(world.read(PLAIN, AER, 0x04)).toBe(1 << 18)
    expect(world.told.some(line => line.includes('error'))).toBe(false)
  })
})

/** An event collector at 00:04.0 that serves device 5, and a function of the root complex there, with FLR. */
const collectorMachine: TopologyDocument = {
  name: 'collector',
  iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
  hostBridges: [
    {
      devices: [
        {
          at: '04.0',
          imported: {
            name: 'event collector',
            kind: 'endpoint',
            configSizeBytes: 4096,
            image: image({
              0: [4, 0x1235_8086],
              6: [2, 0x10],
              8: [4, 0x0807_0000],
              52: [1, 0x40],
              64: [4, 0x00a2_5010],
              80: [4, 0x0080_0005],
              256: [4, 0x1401_0001],
              320: [4, 0x0001_0007],
              324: [4, 1 << 5],
            }),
          },
        },
        {
          at: '05.0',
          imported: {
            name: 'integrated function',
            kind: 'endpoint',
            configSizeBytes: 4096,
            image: image({
              0: [4, 0x10d3_8086],
              6: [2, 0x10],
              8: [4, 0x0200_0000],
              52: [1, 0x40],
              64: [4, 0x0092_0010],
              68: [4, 0x1000_8000],
              256: [4, 0x0001_0001],
              // Severities: malformed packets are fatal.
              268: [4, 0x0046_2030],
            }),
            bars: [{ index: 0, kind: 'memory32', sizeBytes: 0x1000 }],
          },
        },
      ],
    },
  ],
}

describe('an error of a function of the root complex', () => {
  it('comes by its event collector, and a fatal one resets the function alone', () => {
    const world = new World('intel_iommu=on', collectorMachine)
    const [collector, fn] = ['0000:00:04.0', '0000:00:05.0']
    expect(world.platform.host.find(collector).driver).toBe('pcieport')
    const before = world.header(fn)
    world.uncorrectable(fn, 'completionTimeout')
    expect(world.told).toContain(
      `${fn}: non-fatal error: Completion Timeout; first Completion Timeout, header ${Array(4).fill('0x00000000').join(' ')}`,
    )
    world.uncorrectable(fn, 'malformedTlp')
    expect(world.told).toContain(`${fn}: recovered by flr`)
    expect([world.read(fn, AER, 0x04), world.read(collector, AER, 0x30) & 0x7f]).toEqual([0, 0])
    expect(world.header(fn)).toEqual(before)
  })
})

describe('an error that a port contains', () => {
  it('takes the link down until the kernel lets go; what is below is put back, VFs too, and no card was removed', () => {
    const world = new World()
    const { host } = world.platform
    world.run(host.setNumVfs(CONTAINED, 3))
    const before = world.header(CONTAINED)
    const group = host.find(CONTAINED).group
    world.uncorrectable(CONTAINED, 'malformedTlp')
    expect(world.told).toContain(
      `${CONTAINED_PORT}: contains an error: ERR_FATAL received, source ${CONTAINED}`,
    )
    expect(world.told.some(line => line.startsWith(`${CONTAINED}: fatal error: Malformed TLP`))).toBe(true)
    expect(world.told).toContain(`${CONTAINED_PORT}: recovered: 4 functions below were reset and put back`)
    expect(world.told.some(line => line.includes('is removed'))).toBe(false)
    expect(world.read(CONTAINED_PORT, DPC, 8) & 9).toBe(0)
    expect(world.platform.functionAt(CONTAINED_PORT).port!.linkUp).toBe(true)
    expect(world.header(CONTAINED)).toEqual(before)
    expect([host.find(CONTAINED).driver, host.find(CONTAINED).group]).toEqual(['igb', group])
    expect(world.platform.functionAt(CONTAINED).virtualFunctions).toHaveLength(3)
  })

  it('leaves VFs with their machines, which find them reset, and can be followed by another', () => {
    const world = new World()
    const { host, hypervisor } = world.platform
    world.run(host.setNumVfs(CONTAINED, 2))
    const [vf] = host.find(CONTAINED).virtualFunctions
    world.run(hypervisor.createVm({ name: 'a', vcpus: 1, memoryMiB: 4 }))
    world.run(hypervisor.attach('a', vf!))
    const dma = () => world.run(world.platform.dma(vf!, true, 0x10, 0, new Uint8Array(4))).parts[0]!
    expect(dma().target).toBe(TARGET.memory)
    world.uncorrectable(CONTAINED, 'flowControlProtocol')
    expect(world.told).toContain(`${vf}: virtual machine "a" is told of the reset`)
    expect(hypervisor.vm('a').devices).toHaveLength(1)
    expect(host.find(vf!).owner).toEqual({ kind: 'vm', name: 'a' })
    expect(dma().target).toBe(TARGET.memory)
    world.uncorrectable(CONTAINED, 'malformedTlp')
    expect(world.told.filter(line => line.includes('recovered'))).toHaveLength(2)
  })

  it('leaves to the hot-plug driver a card that is really pulled', () => {
    const world = new World()
    world.run(
      world.platform.stimulate(CONTAINED_PORT, fn => {
        world.platform.hardware.cards.pull(fn)
        return undefined
      }),
    )
    expect(world.told.some(line => line.includes(`${CONTAINED} is removed`))).toBe(true)
  })
})
