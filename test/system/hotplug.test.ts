/** Cards that come and go while everything runs: hardware tells, the kernel follows, virtual machines lose their device. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bytesToHex } from '../../src/core/index.ts'
import type { Software } from '../../src/engine/index.ts'
import { parseTopology, type TopologyDocument } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import { hotplugPort } from '../pcie/port-parts.ts'

const PORT = '0000:00:01.0'
const CARD = '0000:01:00.0'

/** A machine with a hot-plug slot at 00:01.0, an 82574L in it, and another function on the root bus. */
const machine = (occupied: boolean, nativeHotplug = true): TopologyDocument => ({
  name: 'hot-plug',
  iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
  hostBridges: [
    {
      nativeHotplug,
      devices: [
        {
          at: '01.0',
          imported: {
            name: 'slot',
            kind: 'rootPort',
            image: bytesToHex(hotplugPort().image),
            configSizeBytes: 4096,
          },
          reservedBuses: 1,
          ...(occupied && { devices: [{ at: '00.0', model: 'intel-82574l' }] }),
        },
        { at: '03.0', model: 'intel-82574l' },
      ],
    },
  ],
})

class World {
  readonly platform: SimulatedPlatform

  constructor(document: TopologyDocument) {
    this.platform = this.run(SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }))
  }

  run<Result>(software: Software<Result>): Result {
    for (;;) {
      const step = software.next()
      if (step.done) return step.value
      while (step.value !== undefined && !step.value()) expect(this.platform.engine.advance()).toBe(true)
    }
  }

  get addresses(): string[] {
    return this.platform.host.functions().map(({ address }) => address)
  }

  get port() {
    return this.platform.functionAt(PORT)
  }

  insert(card?: unknown): void {
    this.run(this.platform.stimulate(PORT, fn => this.platform.hardware.cards.insert(fn, card)))
  }

  happen(what: () => void): void {
    this.run(
      this.platform.stimulate(PORT, () => {
        what()
        return undefined
      }),
    )
  }

  pull(): void {
    this.happen(() => this.platform.hardware.cards.pull(this.port))
  }

  button(): void {
    this.happen(() => this.port.port!.pressAttentionButton())
  }
}

describe('a card that is put into a slot', () => {
  it('is found, placed, given to a group and to its driver; its DMA is translated', () => {
    const world = new World(machine(false))
    expect(world.addresses).not.toContain(CARD)
    world.insert([{ at: '00.0', model: 'intel-82574l' }])
    // Whoever has a button is not told of presence alone.
    expect(world.addresses).not.toContain(CARD)
    world.button()
    expect(world.addresses).toContain(CARD)
    const card = world.platform.host.find(CARD)
    expect([card.driver, card.group !== null, card.remappingUnit]).toEqual(['e1000e', true, 'dmar0'])
    expect(card.bars.filter(({ kind }) => kind !== 'io').every(({ address }) => address > 0)).toBe(true)
    const { parts } = world.run(world.platform.dma(CARD, true, 0x5000, 0, new Uint8Array(4)))
    expect(parts[0]!.faultReason).not.toBe(0)
  })

  it('finds room for its BARs and those of its VFs in the windows that firmware kept open for it', () => {
    const document = JSON.parse(
      readFileSync(join(import.meta.dirname, '../../topologies/hot-plug.json'), 'utf8'),
    ) as TopologyDocument
    const world = new World(document)
    const slot = '0000:00:02.0'
    const [card, { rid, segment }] = ['0000:03:00.0', world.platform.host.find(slot)]
    const window = (): number =>
      world.platform.hardware.fabric.functionAt(segment, rid)!.readConfig(0x20) >>> 0
    const before = window()
    const [base, limit] = [((before & 0xfff0) << 16) >>> 0, (before | 0xf_ffff) >>> 0]
    expect(limit + 1 - base).toBe(8 * 2 ** 20)
    world.run(
      world.platform.stimulate(slot, fn =>
        world.platform.hardware.cards.insert(fn, [{ at: '00.0', model: 'intel-82576' }]),
      ),
    )
    world.run(
      world.platform.stimulate(slot, fn => {
        fn.port!.pressAttentionButton()
        return undefined
      }),
    )
    world.run(world.platform.host.setNumVfs(card, 7))
    const { bars, virtualFunctions } = world.platform.host.find(card)
    const all = [card, ...virtualFunctions].flatMap(address => world.platform.host.find(address).bars)
    expect([bars.length > 0, virtualFunctions.length]).toEqual([true, 7])
    for (const { kind, address, size } of all) {
      if (kind !== 'io') expect([address >= base, address + size - 1 <= limit]).toEqual([true, true])
    }
    expect(window()).toBe(before)
  })

  it('must keep the rules of a topology, and changes nothing if it does not', () => {
    const world = new World(machine(false))
    const before = world.platform.stateHash()
    expect(() => world.insert([{ at: '00.0', model: 'no-such-part' }])).toThrow(/no data sheet/)
    expect(() => world.insert([{ at: '01.0', model: 'intel-82574l' }])).toThrow(/one device on a link/)
    expect(() => world.pull()).toThrow(/slot is empty/)
    expect(world.platform.stateHash()).toBe(before)
  })
})

describe('a card that is pulled out', () => {
  it('takes its group and its driver with it, and its DMA stops', () => {
    const world = new World(machine(true))
    const { group } = world.platform.host.find(CARD)
    const fn = world.platform.functionAt(CARD)
    world.pull()
    expect(world.addresses).not.toContain(CARD)
    expect(world.platform.host.groups().map(({ id }) => id)).not.toContain(group)
    const [sent] = world.platform.hardware.engineOf(fn).dma(true, 0x5000, 0, new Uint8Array(4))
    expect(sent!.status).toBe(6)
  })

  it('can be put back: it is found again', () => {
    const world = new World(machine(true))
    world.pull()
    world.insert()
    world.button()
    expect(world.addresses).toContain(CARD)
    expect(world.platform.host.find(CARD).driver).toBe('e1000e')
  })

  it('leaves the virtual machine that had it, and others keep theirs', () => {
    const world = new World(machine(true))
    const { hypervisor } = world.platform
    for (const [name, address] of [
      ['a', CARD],
      ['b', '0000:00:03.0'],
    ] as const) {
      world.run(hypervisor.createVm({ name, vcpus: 1, memoryMiB: 4 }))
      world.run(hypervisor.attach(name, address))
    }
    expect(hypervisor.vm('a').devices).toHaveLength(1)
    world.pull()
    expect(hypervisor.vm('a').devices).toHaveLength(0)
    expect(hypervisor.vm('b').devices).toHaveLength(1)
    expect(world.addresses).not.toContain(CARD)
  })

  it('is not missed by a kernel that the firmware gave no say', () => {
    const world = new World(machine(true, false))
    world.pull()
    expect(world.addresses).toContain(CARD)
  })
})

describe('the attention button', () => {
  it('asks for the card: after five seconds it is let go and its slot switched off', () => {
    const world = new World(machine(true))
    const before = world.platform.engine.now
    world.button()
    expect(world.platform.engine.now - before).toBeGreaterThanOrEqual(5_000_000_000)
    expect(world.addresses).not.toContain(CARD)
    expect([world.port.port!.slot!.powered, world.port.port!.linkUp, world.port.port!.occupied]).toEqual([
      false,
      false,
      true,
    ])
  })
})

describe('what is in the slots', () => {
  it('is state of the hardware: it survives saving and loading', () => {
    const world = new World(machine(false))
    world.insert([{ at: '00.0', model: 'intel-82576' }])
    world.button()
    const saved = world.platform.hardware.save()
    const other = new World(machine(false))
    other.platform.hardware.load(saved)
    expect(other.platform.functionAt(CARD).definition.model).toBe('intel-82576')
    expect(other.platform.hardware.save()).toEqual(saved)
  })
})
