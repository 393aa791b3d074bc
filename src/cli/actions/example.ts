/**
 * What a first look begins with: a machine to try things on, and one for the tour of the console that runs already, with two
 * tenants, a fault to explain and a hole in the wall between them, and two experiments to compare. All of it is made by
 * operations that a user has too.
 */
import type { Call } from '../client.ts'

/** Topology and name of the platform that is on in a first look. */
export const EXAMPLE = { topology: 'one-socket-82576', name: 'example' } as const
/** The one that the tour leads through. */
export const TOUR = { topology: 'one-socket-82576', name: 'tour' } as const

const here = { platform: TOUR.name } as const
const PORT = '0000:01:00.0'
const TENANTS = [
  { name: 'web', function: '0000:01:10.0' },
  { name: 'database', function: '0000:01:10.2' },
] as const
const MEMORY_MIB = 64
/** Tenants' memories lie side by side: this bit of a physical address leads from one into the other. */
const NEIGHBOUR_BIT = Math.log2(MEMORY_MIB * 2 ** 20)

export async function makeTour(call: Call): Promise<void> {
  await call('createPlatform', TOUR)
  await call('setNumVfs', { ...here, function: PORT, numVfs: 6 })
  for (const { name, function: address } of TENANTS) {
    await call('createVm', { ...here, name, vcpus: 2, memoryMiB: MEMORY_MIB })
    await call('attach', { ...here, vm: name, function: address })
  }
  const [web, database] = TENANTS
  const write = { ...here, direction: 'write', data: 'cafebabe' } as const
  await call('dma', { ...write, function: web.function, address: '0x1000' })
  await call('dma', { ...write, function: database.function, address: '0x2000' })
  await call('interrupt', { ...here, function: database.function, vector: 0 })
  // Beyond what the machine has: the remapping unit blocks it, and records why.
  await call('dma', { ...write, function: web.function, address: '0x9000000' })
  // A page that nothing has asked for yet, so no cache hides what its entry says now.
  const fault = {
    kind: 'tableBit',
    function: web.function,
    table: 'secondStage',
    address: '0x400000',
    bit: NEIGHBOUR_BIT,
  } as const
  await call('injectFault', { ...here, fault })
  for (const model of ['sriov', 'emulated']) {
    await call('createExperiment', {
      document: {
        title: `Throughput of ${model} by virtual machines`,
        configuration: { workload: { kind: 'network', model } },
        axes: [{ field: '/workload/vms', values: [1, 2, 4, 8] }],
      },
    })
  }
}
