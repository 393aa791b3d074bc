/** Network controllers of imported machines: QEMU's igb is an 82576, and works as one. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { openAdapter } from '../../src/host/index.ts'
import { importCapture } from '../../src/interop/index.ts'
import { importQemu } from '../../src/interop/qemu/index.ts'
import { parseTopology, type TopologyDocument, type TopologyNodeDocument } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import { CAPTURES, captureNames } from '../host/capture-functions.ts'
import { frameOf, OTHER } from '../host/net/adapter-rig.ts'

const IGB = 'intel-82576'
const importers = {
  'what Linux saw': (name: string) => importCapture(join(CAPTURES, name)).topology,
  'QEMU’s arguments': (name: string) => importQemu(join(CAPTURES, name, 'topology.args')).topology,
} as const

function* functionsOf(nodes: readonly TopologyNodeDocument[] = []): Generator<TopologyNodeDocument> {
  for (const node of nodes) {
    yield node
    yield* functionsOf(node.devices)
  }
}

const modelled = ({ hostBridges }: TopologyDocument): TopologyNodeDocument[] =>
  hostBridges.flatMap(({ devices }) =>
    [...functionsOf(devices)].filter(({ imported }) => imported?.registerModel === IGB),
  )

/** The machine with the drivers that our kernel has, whatever was bound when it was captured. */
function boot({ host, ...topology }: TopologyDocument): SimulatedPlatform {
  const { drivers: _, ...kept } = host!
  const document = parseTopology({ ...topology, host: kept } as TopologyDocument)
  return new Engine().run(SimulatedPlatform.create(document, { id: 'p', name: 'p' }))
}

describe.each(Object.entries(importers))('imported from %s', (_what, topologyOf) => {
  it('functions of 8086:10c9 are an 82576, in every capture', () => {
    for (const name of captureNames()) {
      const document = topologyOf(name)
      const expected = document.hostBridges.flatMap(({ devices }) =>
        [...functionsOf(devices)].filter(({ imported }) => imported?.image.startsWith('8680c910')),
      )
      expect([name, modelled(document)]).toEqual([name, expected])
    }
  })

  it.each([
    ['rp-igb-vfs', 2],
    ['mf-igb-vfs', 2],
    ['nested-switch', 1],
  ])('%s: igb probes and opens them, and frames come and go', (name, ports) => {
    const platform = boot(topologyOf(name))
    expect(platform.hardware.network.ports.length).toBe(ports)
    const macs = platform.hardware.network.ports.map(plugged => {
      const { function: fn, partner } = plugged
      const address = platform.host.functions().find(({ rid }) => rid === fn.rid)!.address
      const adapter = platform.engine.run(openAdapter(platform.host.device(address), platform.engine))
      const inward: number[] = []
      const outward: number[] = []
      adapter.receiver = frame => inward.push(frame.length)
      partner.listener = frame => outward.push(frame.length)
      partner.send(frameOf(adapter.mac, OTHER, 100))
      expect(adapter.send(frameOf(OTHER, adapter.mac, 200))).toBe(true)
      platform.engine.run(platform.hypervisor.settle())
      expect([adapter.driver, inward, outward]).toEqual(['igb', [100], [200]])
      return adapter.mac.join()
    })
    expect(new Set(macs).size).toBe(ports)
  })
})

describe('an imported function that names a model', () => {
  const named = (registerModel: string, sizeBytes: number): TopologyDocument => {
    const document = structuredClone(importers['what Linux saw']('nested-switch'))
    const [node] = modelled(document)
    const imported = node!.imported as { registerModel: string; bars: { index: number; sizeBytes: number }[] }
    imported.registerModel = registerModel
    imported.bars.find(({ index }) => index === 0)!.sizeBytes = sizeBytes
    return document
  }

  it.each([
    ['one that there is not', 'intel-0815', 0x2_0000, 'names no device model: there are intel-82576'],
    ['one without room for it', IGB, 0x1_0000, 'needs 131072 bytes of memory behind BAR 0'],
  ])('is refused with %s', (_what, model, size, message) => {
    let issues: unknown
    try {
      parseTopology(named(model, size))
    } catch (error) {
      issues = (error as { details?: unknown }).details
    }
    expect(JSON.stringify(issues)).toContain(message)
  })
})
