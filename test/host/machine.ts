/** Real platforms for tests of the host kernel: built, powered on, firmware run, kernel booted. */
import { digest } from '../../src/core/index.ts'
import { Engine, type Software } from '../../src/engine/index.ts'
import { runFirmware } from '../../src/firmware/index.ts'
import { HostKernel, type HostOptions } from '../../src/host/index.ts'
import { STATUS, TARGET } from '../../src/pcie/index.ts'
import { Platform, parseTopology, type TopologyDocument } from '../../src/platform/index.ts'
import { bootVfs } from '../../src/system/boot-vfs.ts'

export interface Booted {
  readonly platform: Platform
  readonly host: HostKernel
  readonly engine: Engine
  run<Result>(software: Software<Result>): Result
  /** Digest of hardware, kernel and time. */
  hash(): string
  /** One DMA of four bytes by a function's engine: how it ended, and where. */
  dma(address: string, write: boolean, page: number, bytes?: readonly number[]): DmaEnd
}

export interface DmaEnd {
  readonly ended: 'memory' | 'fault' | 'notIssued' | 'other'
  readonly page: number
  readonly reason: number
  readonly data: readonly number[]
}

export function boot(document: TopologyDocument, options: Partial<HostOptions> = {}): Booted {
  const engine = new Engine()
  const topology = parseTopology(document)
  const platform = engine.run(Platform.build(topology, engine))
  platform.powerOn()
  engine.run(runFirmware(platform.port))
  const { commandLine, kernel } = topology.host
  const vfs = bootVfs(platform)
  const host = new HostKernel(platform.port, { engine, commandLine, kernel, bootVfs: vfs, ...options })
  engine.run(host.boot())
  return {
    platform,
    host,
    engine,
    run: software => engine.run(software),
    hash: () => digest({ hardware: platform.save(), host: host.save(), engine: engine.save() }),
    dma(address, write, page, bytes = [1, 2, 3, 4]) {
      const { segment, rid } = host.find(address)
      const data = Uint8Array.from(bytes)
      const [part] = platform.engineOf(platform.fabric.functionAt(segment, rid)!).dma(write, page, 0, data)
      const { status, target, physicalPage, faultReason } = part!
      const ended =
        status === STATUS.remappingFault
          ? 'fault'
          : status === STATUS.notIssued
            ? 'notIssued'
            : status === STATUS.successful && target === TARGET.memory
              ? 'memory'
              : 'other'
      return { ended, page: physicalPage, reason: faultReason, data: [...data] }
    },
  }
}

type Unit = NonNullable<
  Extract<TopologyDocument['iommu'], { kind: 'intel-vtd' }>['units'][number]['capabilities']
>

/** An 82576 behind a root port, a multifunction pair without ACS, and a second NIC behind a switch without ACS. */
export const machine = (capabilities: Unit = {}, more: Partial<TopologyDocument> = {}): TopologyDocument => ({
  name: 'host-test',
  memory: [{ sizeMiB: 256 }],
  iommu: { kind: 'intel-vtd', units: [{ id: 'unit', includeAll: true, capabilities }] },
  hostBridges: [
    {
      devices: [
        { at: '00.0', model: 'host-bridge' },
        { at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'intel-82576' }] },
        {
          at: '02.0',
          model: 'root-port',
          acs: [],
          devices: [
            {
              at: '00.0',
              model: 'switch-upstream-port',
              devices: [
                {
                  at: '00.0',
                  model: 'switch-downstream-port',
                  devices: [{ at: '00.0', model: 'intel-82574l' }],
                },
                {
                  at: '01.0',
                  model: 'switch-downstream-port',
                  devices: [{ at: '00.0', model: 'nvme-sriov' }],
                },
              ],
            },
          ],
        },
        {
          at: '03.0',
          model: 'root-port',
          devices: [
            { at: '00.0', model: 'pcie-pci-bridge', devices: [{ at: '01.0', model: 'intel-82540em' }] },
          ],
        },
        { at: '1f.0', model: 'intel-ich9-lpc' },
        { at: '1f.2', model: 'intel-ich9-sata' },
        { at: '1f.3', model: 'intel-ich9-smbus' },
      ],
    },
  ],
  ...more,
})
