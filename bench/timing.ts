/**
 * Timed simulations: events and packets of simulation for a second of real time, by model, by machines, in long runs.
 * Processor time is measured. Run by `npm run bench -- timing`.
 */
import {
  type ConfigurationInput,
  type NetworkModel,
  parseConfiguration,
  type Result,
  simulate,
} from '../src/timing/index.ts'
import { EventQueue } from '../src/timing/resources/event-queue.ts'
import { type Contestant, measure, processorClock, report } from './measure.ts'

const MILLISECOND = 1e6

/** Events that schedule one another, so many pending. */
function events(pending: number): Contestant {
  return {
    name: `events, ${pending} pending`,
    count: 1_000_000,
    run: count => {
      const queue = new EventQueue()
      let chance = 12_345
      const kind: number = queue.handle(subject => {
        chance = (Math.imul(chance, 1_103_515_245) + 12_345) >>> 0
        queue.schedule(queue.now + (chance & 1023), kind, subject)
      })
      for (let i = 0; i < pending; i++) queue.schedule(i, kind, i)
      while (queue.served < count) queue.run(queue.now + 1024)
    },
  }
}

const run = (
  workload: ConfigurationInput['workload'],
  milliseconds: number,
  more: Omit<ConfigurationInput, 'workload'> = {},
): Result =>
  simulate(
    parseConfiguration({
      warmUp: MILLISECOND,
      duration: milliseconds * MILLISECOND,
      iommu: { mode: 'strict', pageSize: '2MiB', buffers: 'pool' },
      machine: { cores: 64 },
      ...more,
      workload,
    }),
  )

/** Simulated time of a round: it takes a tenth of a second or more, of which building the machine is little. */
const ROUND = 200

/** Packets of a stream at 10 Gb/s, as many as a simulation of so long has. */
function packets(name: string, model: NetworkModel, vms: number): Contestant {
  const workload = { kind: 'network', model, vms } as const
  const { counts, events } = run(workload, ROUND)
  const count = counts['operations']!
  return {
    name: `${name}, ${(events / count).toFixed(2)} events each`,
    count,
    run: () => {
      run(workload, ROUND)
    },
  }
}

console.log('events of the queue alone')
report(measure([16, 256, 4096].map(events), 5, processorClock))

console.log('\npackets received at 10 Gb/s, by model')
const models = ['sriov', 'direct', 'native', 'vmdq', 'paravirtual', 'emulated'] as const
report(
  measure(
    models.map(model => packets(model, model, 1)),
    5,
    processorClock,
  ),
)

console.log('\nthe same by virtual functions, by machines')
report(
  measure(
    [1, 4, 16, 64].map(vms => packets(`${vms} machines`, 'sriov', vms)),
    5,
    processorClock,
  ),
)

console.log('\na map and unmap with strict invalidation, by cores')
report(
  measure(
    [1, 16, 64].map((cores): Contestant => {
      const simulated = (): Result => run({ kind: 'mapping', cores }, 1)
      return {
        name: `${cores} cores`,
        count: simulated().counts['operations']!,
        run: () => {
          simulated()
        },
      }
    }),
    3,
    processorClock,
  ),
)

console.log('\nheap kept and events by length of a run of virtual functions')
for (const milliseconds of [10, 100, 1000]) {
  const before = process.memoryUsage().heapUsed
  const result = run({ kind: 'network', model: 'sriov' }, milliseconds)
  const kept = (process.memoryUsage().heapUsed - before) / 2 ** 20
  const { operations } = result.counts
  console.log(
    `${String(milliseconds).padStart(5)} ms: ${String(operations).padStart(7)} packets, ` +
      `${(result.events / operations!).toFixed(2)} events each, ${kept.toFixed(1)} MiB`,
  )
}
