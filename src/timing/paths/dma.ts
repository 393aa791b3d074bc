/** A device that does nothing but DMA: transfers to random places of a window, as pcie-bench makes them. */
import type { DmaWorkload } from '../configuration.ts'
import { type AddressSpace, PAGES_OF } from '../remapping/remapping.ts'
import { Path, type Step } from '../resources/journeys.ts'
import { Delay, merged, Serve } from '../resources/steps.ts'
import type { Simulation } from '../simulation.ts'
import { Root, type Transfer } from './root.ts'

/** Transfers that the benchmark keeps under way, more than any engine has tags. */
const UNDER_WAY = 128
const LINE = 64
const PAGE = 4096

export function buildDma(simulation: Simulation, workload: DmaWorkload): void {
  const { costs, random, remapping, configuration } = simulation
  const { bytes, windowBytes, operation, measure, cache, remote } = workload
  const requester = simulation.addFunction()
  const root = new Root(simulation, 'device')
  if (remapping !== undefined) {
    const passThrough = configuration.iommu.mode === 'passThrough'
    const space = passThrough ? undefined : remapping.createSpace(configuration.iommu.pageSize)
    remapping.attach(requester, space)
    if (space !== undefined) mapWindow(simulation, space, windowBytes + bytes)
  }
  const alone = measure === 'latency'
  const coldFrom = cache === 'cold' ? 0 : (costs.inputOutputCacheMiB * 2 ** 20) / PAGE
  const transfer: Transfer = { requester, remote, alone, coldFrom }
  const half = costs.deviceLatency / 2
  const readEngine = simulation.addServer('device read engine')
  const writeEngine = simulation.addServer('device write engine')
  const pieces = (size: number, piece: number): number => Math.ceil(size / piece) - 1
  const issueRead = new Serve(
    simulation,
    readEngine,
    'issue',
    size => costs.deviceReadIssue + costs.deviceReadChunkIssue * pieces(size, costs.deviceReadChunk),
  )
  const issueWrite = new Serve(
    simulation,
    writeEngine,
    'issue',
    size => costs.deviceWriteIssue + costs.deviceWriteChunkIssue * pieces(size, costs.deviceWriteChunk),
  )
  const fixed = new Delay(simulation, 'device', 'engine latency', half)
  const read = [issueRead, fixed, ...root.read(transfer), fixed]
  const write = [issueWrite, fixed, ...root.write(transfer), fixed]
  // The read follows its write on the link, and may not pass it.
  const commit = new Delay(simulation, 'root complex', 'write made visible', costs.writeCommit)
  const readBack = [
    issueWrite,
    fixed,
    ...root.write(transfer),
    commit,
    issueRead,
    ...root.read(transfer),
    fixed,
  ]

  const stride = Math.ceil(bytes / LINE) * LINE
  const slots = Math.max(1, Math.floor(windowBytes / stride))
  const loops = { read: [read], write: [write], readWrite: [read, write], writeThenRead: [readBack] }
  const underWay = alone ? 1 : UNDER_WAY
  for (let i = 0; i < underWay; i++) {
    new Loop(simulation, loops[operation], bytes, () =>
      Math.floor((random.integer(0, slots - 1) * stride) / PAGE),
    ).begin()
  }
}

/** Transfers that begin together, again and again: the next ones when all of them have ended. */
class Loop {
  readonly #simulation: Simulation
  readonly #paths: readonly Path[]
  readonly #bytes: number
  readonly #page: () => number
  #left = 0

  constructor(simulation: Simulation, ways: readonly (readonly Step[])[], bytes: number, page: () => number) {
    this.#simulation = simulation
    this.#bytes = bytes
    this.#page = page
    const end = (): void => {
      if (--this.#left === 0) this.begin()
    }
    this.#paths = ways.map(steps => new Path(merged(steps), true, end))
  }

  begin(): void {
    this.#left = this.#paths.length
    for (const path of this.#paths) this.#simulation.journeys.begin(path, this.#bytes, 0, this.#page())
  }
}

/** The buffer consists of whole pages of the size that may be used. */
function mapWindow({ remapping, configuration }: Simulation, space: AddressSpace, bytes: number): void {
  const unit = PAGES_OF[configuration.iommu.pageSize]
  remapping!.map(space, 0, Math.ceil(bytes / PAGE / unit) * unit)
}
