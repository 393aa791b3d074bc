/** A device that does nothing but DMA: transfers to random places of a window, as pcie-bench makes them. */
import type { DmaWorkload } from '../configuration.ts'
import { type AddressSpace, PAGES_OF } from '../remapping/remapping.ts'
import type { Path, Step } from '../resources/journeys.ts'
import { Delay, Do, merged, Serve } from '../resources/steps.ts'
import type { Simulation } from '../simulation.ts'
import { Root } from './root.ts'

/** Transfers that the benchmark keeps under way, more than any engine has tags. */
const UNDER_WAY = 128
const LINE = 64
const PAGE = 4096

export function buildDma(simulation: Simulation, workload: DmaWorkload): void {
  const { costs, journeys, random, remapping, configuration } = simulation
  const { bytes, windowBytes, operation, measure, cache, remote } = workload
  const requester = simulation.addFunction()
  const root = new Root(simulation, 'device')
  if (remapping !== undefined) {
    const passThrough = configuration.iommu.mode === 'passThrough'
    const space = passThrough ? undefined : remapping.createSpace(configuration.iommu.pageSize)
    remapping.attach(requester, space)
    if (space !== undefined) mapWindow(simulation, space, windowBytes + bytes)
  }
  const transfer = { requester, remote, cold: cache === 'cold' }
  const half = costs.deviceLatency / 2
  const engine = (kind: 'read' | 'write'): Step => {
    const issue = kind === 'read' ? costs.deviceReadIssue : costs.deviceWriteIssue
    const chunk = kind === 'read' ? costs.deviceReadChunk : costs.deviceWriteChunk
    const further = kind === 'read' ? costs.deviceReadChunkIssue : costs.deviceWriteChunkIssue
    const server = simulation.addServer(`device ${kind} engine`)
    return new Serve(simulation, server, 'issue', size => issue + further * (Math.ceil(size / chunk) - 1))
  }
  const fixed = (): Step => new Delay(simulation, 'device', 'engine latency', () => half)

  const slots = Math.max(1, Math.floor(windowBytes / (Math.ceil(bytes / LINE) * LINE)))
  const stride = Math.ceil(bytes / LINE) * LINE
  const begin = (path: Path): void => {
    const address = random.integer(0, slots - 1) * stride
    journeys.begin(path, bytes, 0, Math.floor(address / PAGE))
  }
  const closed = (steps: readonly Step[]): Path => {
    const path: Path = { steps: merged(steps), measured: true, end: () => begin(path) }
    return path
  }
  const reads = (): Path => closed([engine('read'), fixed(), ...root.read(transfer), fixed()])
  const writes = (): Path => closed([engine('write'), fixed(), ...root.write(transfer), fixed()])
  // The read follows its write on the link, and may not pass it.
  const writeThenRead = (): Path =>
    closed([
      engine('write'),
      fixed(),
      ...root.write(transfer),
      new Delay(simulation, 'root complex', 'write made visible', () => costs.writeCommit),
      ...root.read(transfer),
      fixed(),
      new Do(() => simulation.count('read back')),
    ])
  const paths =
    operation === 'read'
      ? [reads()]
      : operation === 'write'
        ? [writes()]
        : operation === 'readWrite'
          ? [reads(), writes()]
          : [writeThenRead()]
  const underWay = measure === 'latency' ? 1 : UNDER_WAY
  for (let i = 0; i < underWay; i++) for (const path of paths) begin(path)
}

/** The buffer consists of whole pages of the size that may be used. */
function mapWindow({ remapping, configuration }: Simulation, space: AddressSpace, bytes: number): void {
  const unit = PAGES_OF[configuration.iommu.pageSize]
  remapping!.map(space, 0, Math.ceil(bytes / PAGE / unit) * unit)
}
