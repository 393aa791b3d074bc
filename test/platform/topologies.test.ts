import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { Platform, parseTopology, placedNodes } from '../../src/platform/index.ts'

const FOLDER = new URL('../../topologies/', import.meta.url)
const files = readdirSync(FOLDER).filter(file => file.endsWith('.json'))
const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'))

test('at least six topologies ship', () => expect(files.length).toBeGreaterThanOrEqual(6))

describe.each(files)('%s', file => {
  test('keeps every rule, has the name of its file and says what it shows', () => {
    const topology = parseTopology(read(file))
    expect(`${topology.name}.json`).toBe(file)
    expect(topology.description.length).toBeGreaterThan(80)
  })

  test('builds, and powered on every function answers configuration reads on its root bus', () => {
    const engine = new Engine()
    const topology = parseTopology(read(file))
    const platform = engine.run(Platform.build(topology, engine))
    platform.powerOn()
    for (const [i, hostBridge] of topology.hostBridges.entries()) {
      for (const { parent, slot, node } of placedNodes(hostBridge, i)) {
        if (parent !== undefined) continue
        const address = 0x8000_0000 + hostBridge.bus * 2 ** 20 + (slot.device * 8 + slot.fn) * 4096
        expect(platform.port.readDword(address) & 0xffff, node.at).toBe(0x8086)
      }
    }
  })
})

test('dense-8-nic has 128 virtual functions to enable on 16 physical ones', () => {
  const topology = parseTopology(read('dense-8-nic.json'))
  const nodes = topology.hostBridges.flatMap((bridge, i) => [...placedNodes(bridge, i)])
  expect(nodes.filter(({ node }) => node.model === 'intel-82599')).toHaveLength(16)
  expect(nodes.reduce((sum, { node }) => sum + (node.numVfs ?? 0), 0)).toBe(128)
})
