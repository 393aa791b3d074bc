import { globSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { operationsOf } from '../../src/cli/actions/experiments.ts'
import { NorthbridgeError } from '../../src/core/index.ts'
import { drive, type Software } from '../../src/engine/index.ts'
import { parseExperiment, runExperiment } from '../../src/experiments/index.ts'
import { execute, installation, readDocument } from '../../src/operations/index.ts'
import { ADDRESS_TYPE, MemoryRequest, STATUS } from '../../src/pcie/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { DEFECTS, type DefectKind, DmaSanitizer, SimulatedPlatform } from '../../src/system/index.ts'
import { tableEntries } from '../../src/vtd/index.ts'
import { FaultyDriver } from './faulty-driver.ts'

const CARD = '0000:01:00.0'
const OTHER = '0000:02:00.0'

const machine = (commandLine: string) => ({
  name: 'watched',
  iommu: {
    kind: 'intel-vtd',
    units: [{ id: 'dmar0', includeAll: true, capabilities: { DT: 1 } }],
    atsPorts: [{ functions: ['00:02.0'] }],
  },
  hostBridges: [
    {
      devices: [
        { at: '00.0', model: 'host-bridge' },
        { at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'intel-82576' }] },
        { at: '02.0', model: 'root-port', devices: [{ at: '00.0', model: 'ats-accelerator' }] },
      ],
    },
  ],
  host: { commandLine },
})

class World {
  readonly platform: SimulatedPlatform
  readonly sanitizer: DmaSanitizer

  constructor(document: unknown = machine('intel_iommu=on iommu.strict=1')) {
    this.platform = this.run(SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }))
    this.sanitizer = new DmaSanitizer(this.platform)
  }

  run<Result>(software: Software<Result>): Result {
    for (;;) {
      const step = software.next()
      if (step.done) return step.value
      while (step.value !== undefined && !step.value()) expect(this.platform.engine.advance()).toBe(true)
    }
  }

  driver(): FaultyDriver {
    return new FaultyDriver(this.platform, CARD)
  }

  dma(page: number, write = true): number {
    const engine = this.platform.hardware.engineOf(this.platform.functionAt(CARD))
    return engine.dma(write, page, 0, new Uint8Array(4))[0]!.status
  }

  get kinds(): DefectKind[] {
    return this.sanitizer.findings.map(({ kind }) => kind)
  }
}

/** Each defect as a driver would have it; the same driver without it is the honest one. */
const PLANTED: Readonly<Record<DefectKind, (world: World, honest: boolean) => void>> = {
  staleTranslation(world, honest) {
    const driver = world.driver()
    driver.map(5, driver.allocate())
    expect(world.dma(5)).toBe(STATUS.successful)
    driver.unmap(5)
    if (honest) driver.invalidatePage(5)
    expect(world.dma(5)).toBe(honest ? STATUS.remappingFault : STATUS.successful)
  },
  staleContext(world, honest) {
    const driver = world.driver()
    driver.map(5, driver.allocate())
    expect(world.dma(5)).toBe(STATUS.successful)
    // Other tables, with nothing in them: the IOTLB is told, the context cache is not.
    driver.writeContext(driver.allocate())
    if (honest) driver.invalidateContext()
    driver.invalidateDomain()
    expect(world.dma(5)).toBe(honest ? STATUS.remappingFault : STATUS.successful)
  },
  staleInterruptEntry(world, honest) {
    const driver = world.driver()
    const { hardware } = world.platform
    const vector = (): unknown => hardware.engineOf(world.platform.functionAt(CARD)).fire(0).signal
    expect(vector()).toBe('sent')
    const { irteIndex } = hardware.engineOf(world.platform.functionAt(CARD)).fire(0).request.interrupt
    const at = hardware.units[0]!.interruptTable.table * 4096 + irteIndex * 16
    hardware.port.writeDword(at, (hardware.port.readDword(at) ^ 0x10_0000) >>> 0)
    if (honest) driver.invalidateInterruptEntries()
    vector()
  },
  staleDeviceTlb(world, honest) {
    const { host, hardware } = world.platform
    const buffer = world.run(host.allocateBuffer(OTHER, 1, { read: true, write: true }))
    const engine = hardware.engineOf(world.platform.functionAt(OTHER))
    const use = () => engine.dma(true, buffer.address / 4096, 0, new Uint8Array(4), { useAts: true })[0]!
    expect(use()).toMatchObject({ status: STATUS.successful, addressType: ADDRESS_TYPE.translated })
    if (honest) world.run(host.freeBuffer(OTHER, buffer.address))
    else {
      // Somebody clears the entry and invalidates the IOTLB, and does not think of the device.
      const entry = leafOf(world, OTHER, buffer.address)
      hardware.port.writeDword(entry, 0)
      world.driver().invalidateEverything()
    }
    use()
  },
  freedWhileMapped(world, honest) {
    const driver = world.driver()
    const page = driver.allocate()
    driver.map(5, page)
    if (honest) {
      driver.unmap(5)
      driver.invalidatePage(5)
    }
    driver.free(page)
  },
  freedBeforeInvalidation(world, honest) {
    const driver = world.driver()
    const page = driver.allocate()
    driver.map(5, page)
    world.dma(5)
    driver.unmap(5)
    if (honest) driver.invalidatePage(5)
    driver.free(page)
  },
  remappedBeforeInvalidation(world, honest) {
    const driver = world.driver()
    driver.map(5, driver.allocate())
    world.dma(5)
    driver.unmap(5)
    if (honest) driver.invalidatePage(5)
    driver.map(5, driver.allocate())
    driver.invalidatePage(5)
  },
  doubleMapping(world, honest) {
    const { host } = world.platform
    const buffer = world.run(host.allocateBuffer(OTHER, 1, { read: true, write: true }))
    const driver = world.driver()
    driver.map(5, honest ? driver.allocate() : buffer.hostPage)
    world.dma(5)
  },
  tableFreed(world, honest) {
    const driver = world.driver()
    driver.map(5, driver.allocate())
    const old = driver.replaceTable()
    if (honest) driver.invalidateDomain()
    driver.free(old)
  },
  untrustedTranslated(world, honest) {
    const fn = world.platform.functionAt(CARD)
    const request = new MemoryRequest()
    const addressType = honest ? ADDRESS_TYPE.untranslated : ADDRESS_TYPE.translated
    Object.assign(request, { page: 0x1234, length: 4, write: true, data: new Uint8Array(4), addressType })
    fn.issue(request)
  },
  foreignInterrupt(world, honest) {
    const { hardware } = world.platform
    const own = hardware.engineOf(world.platform.functionAt(honest ? CARD : OTHER)).fire(0)
    expect(own.signal).toBe('sent')
    const low = 0x10 | ((own.request.interrupt.irteIndex & 0x7fff) << 5)
    hardware.engineOf(world.platform.functionAt(CARD)).dma(true, 0xfee00, low, new Uint8Array(4))
  },
}

/** Physical address of the entry that maps an address of a function. */
function leafOf(world: World, address: string, input: number): number {
  const { hardware, host } = world.platform
  const query = {
    ...hardware.units[0]!.rootTable,
    sourceId: Number(host.find(address).rid),
    fromPage: input / 4096,
  }
  for (const { level, address: at } of tableEntries(hardware.memory, query))
    if (level === 1) return Number(at)
  throw new Error('the buffer is mapped')
}

describe('the DMA sanitizer', () => {
  it('knows at least ten kinds of defects', () => {
    expect(Object.keys(DEFECTS).length).toBeGreaterThanOrEqual(10)
  })

  it.each(Object.entries(PLANTED))('finds %s, with the step that is missing', (kind, plant) => {
    const world = new World()
    plant(world, false)
    expect(world.kinds).toEqual([kind])
    const [finding] = world.sanitizer.findings
    expect(finding!.missing).toBe(DEFECTS[kind as DefectKind])
  })

  it.each(Object.entries(PLANTED))('finds nothing in the driver that takes the step: %s', (_kind, plant) => {
    const world = new World()
    plant(world, true)
    expect(world.sanitizer.findings).toEqual([])
  })
})

/** What hosts and users do all day; none of it may be found fault with. */
const STEPS = [
  'createVm',
  'deleteVm',
  'attach',
  'detach',
  'allocate',
  'free',
  'flush',
  'sriov',
  'reset',
  'dma',
  'dma',
  'dma',
  'signal',
] as const
const step = fc.record({ what: fc.constantFrom(...STEPS), a: fc.nat(), b: fc.nat() })

function take(world: World, { what, a, b }: { what: (typeof STEPS)[number]; a: number; b: number }): void {
  const { host, hypervisor, hardware } = world.platform
  const functions = host.functions()
  const fn = functions[a % functions.length]!
  const vm = `vm${b % 3}`
  switch (what) {
    case 'createVm':
      world.run(hypervisor.createVm({ name: vm, vcpus: 1, memoryMiB: 2 }))
      return
    case 'deleteVm':
      world.run(hypervisor.deleteVm(vm))
      return
    case 'attach':
      world.run(hypervisor.attach(vm, fn.address))
      return
    case 'detach': {
      const device = hypervisor.vm(vm).devices[0]
      if (device !== undefined) world.run(hypervisor.detach(vm, device.address))
      return
    }
    case 'allocate':
      world.run(host.allocateBuffer(fn.address, 1 + (b % 3), { read: true, write: true }))
      return
    case 'free': {
      const buffer = host.buffers(fn.address)[0]
      if (buffer !== undefined) world.run(host.freeBuffer(fn.address, buffer.address))
      return
    }
    case 'flush':
      world.run(host.flushDeferred())
      return
    case 'sriov':
      world.run(host.setNumVfs(fn.address, b % 4))
      return
    case 'reset':
      world.run(host.reset(fn.address))
      return
    case 'dma': {
      const own = host.buffers(fn.address).map(({ address }) => address / 4096)
      const page = own[b % Math.max(own.length, 1)] ?? b % 600
      const useAts = b % 2 === 0
      hardware
        .engineOf(world.platform.functionAt(fn.address))
        .dma(a % 2 === 0, page, 0, new Uint8Array(4), { useAts })
      return
    }
    case 'signal':
      hardware.engineOf(world.platform.functionAt(fn.address)).fire(b % 2)
  }
}

/**
 * Two stories show what is worth a finding: a function that uses its neighbour's handle, and is stopped; and a guest whose
 * tables the host's unit walks, and whose driver unmaps without a word to its unit.
 */
const SHOWN: Readonly<Record<string, readonly DefectKind[]>> = {
  'experiments/nested-viommu.yaml': ['staleTranslation'],
  'experiments/two-vms-one-nic.yaml': ['foreignInterrupt'],
}

describe('an honest host', () => {
  it.each(['intel_iommu=on', 'intel_iommu=on iommu.strict=1', 'intel_iommu=on iommu=pt'])(
    'is not blamed for anything that a random workload does: %s',
    commandLine => {
      let done = 0
      fc.assert(
        fc.property(fc.array(step, { minLength: 30, maxLength: 60 }), steps => {
          const world = new World(machine(commandLine))
          for (const one of steps) {
            try {
              take(world, one)
              done++
            } catch (error) {
              if (!(error instanceof NorthbridgeError)) throw error
            }
          }
          expect(world.sanitizer.findings).toEqual([])
        }),
        { numRuns: Number(process.env['RUNS'] ?? 5) },
      )
      expect(done).toBeGreaterThan(30)
    },
  )

  it.each(globSync('experiments/*.yaml').sort())('is not blamed for the steps of %s', file => {
    const context = installation()
    const operations = operationsOf(context)
    const experiment = parseExperiment(readDocument(file), operations)
    const { id } = createdIn(context, experiment.topology as string)
    const platform = context.platforms.get(id).running
    platform.sanitize(true)
    const { sanitizer } = platform
    const report = drive(
      runExperiment(experiment, id, operations, () => undefined),
      () => false,
    )
    expect(report.passed).toBe(true)
    expect(sanitizer!.findings.map(({ kind }) => kind)).toEqual(SHOWN[file] ?? [])
  })
})

const createdIn = (context: ReturnType<typeof installation>, topology: string) =>
  drive(execute(context, 'createPlatform', { topology, name: 'experiment' }), () => false)
