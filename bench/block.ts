/**
 * Blocks: commands of an NVMe controller in one process, and one read of 4 KiB by a guest under each model of input and
 * output, with what it costs besides time: exits, requests of the controller, copies. Then the heap after many commands.
 */
import { encodeCommand, NVM, SQE } from '../src/devices/formats/nvme/index.ts'
import type { NvmeSubsystem } from '../src/devices/nvme/index.ts'
import { drive, type Software } from '../src/engine/index.ts'
import type { GuestKernel } from '../src/guest/index.ts'
import type { BlockDriver } from '../src/guest/storage/block-driver.ts'
import { NvmeDriver } from '../src/host/index.ts'
import { AhciController, NvmeBackend, VirtioBlock } from '../src/hypervisor/storage/index.ts'
import { VirtioDevice } from '../src/hypervisor/virtio/index.ts'
import { SimulatedPlatform } from '../src/system/index.ts'
import { heapOf } from './heap.ts'
import { loadTopology } from './machines.ts'
import { measure, report } from './measure.ts'

const PF = '0000:01:00.0'
const OTHER_PF = '0000:02:00.0'
const BLOCKS = 8
const ENTRIES = 64

class Bench {
  readonly platform: SimulatedPlatform

  constructor() {
    this.platform = drive(
      SimulatedPlatform.create(loadTopology('nvme-sriov'), { id: 'bench', name: 'bench' }),
      () => false,
    )
    this.run(this.platform.hypervisor.createVm({ name: 'guest', vcpus: 1, memoryMiB: 16 }))
    this.platform.engine.trace.enabled = false
  }

  run<Result>(software: Software<Result>): Result {
    return this.platform.engine.run(software)
  }

  start(): NvmeDriver {
    return this.run(NvmeDriver.start(this.platform.host.device(PF)))
  }

  backend(): NvmeBackend {
    const driver = this.start()
    return this.run(NvmeBackend.open(driver, driver.namespaces[0]!))
  }

  open(slot: number): BlockDriver {
    return this.guest(kernel => kernel.open(slot)).result as BlockDriver
  }

  guest<Result>(code: (kernel: GuestKernel) => Software<Result>) {
    return this.run(
      this.platform.hypervisor.runGuest('guest', 0, software => code(software as unknown as GuestKernel)),
    )
  }

  attach(address: string): BlockDriver {
    const { guestAddress } = this.run(this.platform.hypervisor.attach('guest', address))
    return this.open(Number.parseInt(guestAddress.slice(8, 10), 16))
  }

  requests(): number {
    return [PF, OTHER_PF]
      .flatMap(address => {
        const model = this.platform.functionAt(address).modelMade as NvmeSubsystem | undefined
        return model?.view() ?? []
      })
      .reduce((sum, { counters }) => sum + counters.reads + counters.writes, 0)
  }
}

const MODELS: Record<string, (bench: Bench) => BlockDriver> = {
  'emulation (AHCI)': bench => {
    const device = new AhciController(bench.backend())
    return bench.open(bench.run(bench.platform.hypervisor.plug('guest', device)))
  },
  'paravirtual (virtio-blk)': bench => {
    const device = new VirtioDevice(new VirtioBlock(bench.backend()))
    return bench.open(bench.run(bench.platform.hypervisor.plug('guest', device)))
  },
  'SR-IOV virtual function': bench => {
    bench.run(bench.start().bringOnline(1, 2, 2))
    return bench.attach(bench.platform.host.find(PF).virtualFunctions[0]!)
  },
  'direct assignment': bench => {
    bench.run(bench.platform.host.setNumVfs(OTHER_PF, 0))
    return bench.attach(OTHER_PF)
  },
}

/** A controller under a hand that does nothing but ring: commands of one ring, again and again. */
function bare(blocks: number, batch: number): (count: number) => void {
  const bench = new Bench()
  const { hardware, host } = bench.platform
  const driver = bench.start()
  const buffer = bench.run(driver.allocate(blocks * 512))
  bench.run(driver.transfer(true, driver.namespaces[0]!, 0, blocks, buffer))
  const subsystem = bench.platform.functionAt(PF).model as NvmeSubsystem
  const buffers = host.buffers(PF)
  const { port } = hardware
  const { submissionQueues } = subsystem.view()[0]!
  let tail = submissionQueues[1]!.tail
  const bar = host.find(PF).bars[0]!.address
  const words = new Uint32Array(16)
  encodeCommand(words, 0, NVM.read, 1, 1, buffer.address % 2 ** 32, 0, 0, 0)
  words[SQE.cdw12] = blocks - 1
  // The queue's memory: 64 entries of 64 bytes are one page, read by the controller alone.
  const queues = buffers.filter(({ pages, write }) => pages === 1 && !write)
  for (const { hostPage } of queues.slice(-1)) {
    for (let i = 0; i < ENTRIES; i++) port.writeBytes(hostPage * 4096 + i * 64, new Uint8Array(words.buffer))
  }
  let head = tail
  return count => {
    for (let done = 0; done < count; done += batch) {
      tail = (tail + batch) % ENTRIES
      port.writeDword(bar + 0x1008, tail)
      head = (head + batch) % ENTRIES
      port.writeDword(bar + 0x100c, head)
    }
  }
}

const one = bare(1, 1)
const four = bare(BLOCKS, 1)
const batch = bare(BLOCKS, 32)
console.log('NVMe controller, reads')
report(
  measure([
    { name: '512 bytes, a doorbell each', count: 50_000, run: one },
    { name: '4 KiB, a doorbell each', count: 50_000, run: four },
    { name: '4 KiB, a doorbell for 32', count: 64_000, run: batch },
  ]),
)

console.log('\none read of 4 KiB by a guest')
const contestants = Object.entries(MODELS).map(([name, open]) => {
  const bench = new Bench()
  const driver = open(bench)
  const read = () => bench.guest(() => driver.transfer(false, 0, BLOCKS))
  read()
  const before = bench.requests()
  const { exits } = read()
  const registers = exits.filter(({ handledBy }) => handledBy === 'ahci' || handledBy === 'virtio-blk').length
  console.log(
    `${name.padEnd(26)} ${exits.length} exits, ${registers} of them for registers; ${bench.requests() - before} requests of the controller`,
  )
  return {
    name,
    count: 300,
    run: (count: number) => {
      for (let i = 0; i < count; i++) read()
    },
  }
})
report(measure(contestants, 5))

console.log('\nheap')
for (const [name, run] of [
  ['512 bytes', one],
  ['4 KiB', four],
] as const) {
  console.log(`${name}: ${heapOf(run, 20_000).allocated.toFixed(2)} bytes a command`)
}
