/** A machine whose remapping units take their time: the software on it really waits. */
import { expect, test } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'

const LATENCY = 500

function boot(completionLatencyNs?: number): SimulatedPlatform {
  const topology = parseTopology({
    name: 'slow',
    iommu: {
      kind: 'intel-vtd',
      units: [{ id: 'dmar0', includeAll: true, ...(completionLatencyNs && { completionLatencyNs }) }],
    },
    hostBridges: [
      { devices: [{ at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'intel-82576' }] }] },
    ],
  })
  return new Engine().run(SimulatedPlatform.create(topology, { id: 'p', name: 'p' }))
}

test('a kernel boots on units that need time for every command and descriptor, and time passes', () => {
  const [fast, slow] = [boot(), boot(LATENCY)]
  expect(fast.engine.now).toBe(0)
  expect(slow.engine.now).toBeGreaterThan(5 * LATENCY)
  expect(slow.engine.now % LATENCY).toBe(0)
  expect(slow.engine.pending).toBe(0)
  const status = (p: SimulatedPlatform) =>
    p.hardware.units[0]!.registers().find(({ name }) => name === 'GSTS')
  expect(status(slow)).toEqual(status(fast))
})
