/** Functions of running virtual machines: asked for, kept, taken, reset under their guests, and reset by them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { drive, type Software, within } from '../../src/engine/index.ts'
import { GuestKernel } from '../../src/guest/index.ts'
import { TARGET } from '../../src/pcie/index.ts'
import { parseTopology, type TopologyDocument } from '../../src/platform/index.ts'
import { leaksSince, SimulatedPlatform, strayResources, takeStock } from '../../src/system/index.ts'

const shipped = (name: string): TopologyDocument =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../../topologies', `${name}.json`), 'utf8'))

/** In topologies/hot-plug.json: a slot with an 82576, and a switch with two 82574L below. */
const SLOT = '0000:00:01.0'
const CARD = '0000:01:00.0'
const PLAIN = '0000:07:00.0'
const SECOND = 1_000_000_000

class World {
  readonly platform: SimulatedPlatform
  readonly told: string[] = []

  constructor(document = shipped('hot-plug')) {
    this.platform = drive(
      SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }),
      () => false,
    )
    this.platform.engine.trace.follow(({ message }) => this.told.push(message))
    this.run(this.platform.hypervisor.createVm({ name: 'a', vcpus: 1, memoryMiB: 4 }))
  }

  run<Result>(software: Software<Result>): Result {
    return drive(within(this.platform.engine, software), () => false)
  }

  get hypervisor() {
    return this.platform.hypervisor
  }

  get host() {
    return this.platform.host
  }

  attach(address: string): number {
    const { guestAddress } = this.run(this.hypervisor.attach('a', address))
    return Number.parseInt(guestAddress.slice(8, 10), 16)
  }

  ask(address: string, seconds = 0) {
    return this.run(this.hypervisor.devices.requestRemoval('a', address, seconds * SECOND))
  }

  kernel<Result>(look: (kernel: GuestKernel) => Result): Result {
    return this.hypervisor.lookAtGuest('a', 0, software => {
      if (software instanceof GuestKernel) return look(software)
      throw new Error('the machine runs the guest kernel')
    })
  }

  /** A dword of configuration space as the guest reads it. */
  guestConfig(slot: number, offset: number, value?: number): number {
    const address = (0x8000_0000 | (slot << 11) | offset) >>> 0
    const select = { op: 'out', port: 0xcf8, width: 4, value: address } as const
    const access =
      value === undefined
        ? ({ op: 'in', port: 0xcfc, width: 4 } as const)
        : ({ op: 'out', port: 0xcfc, width: 4, value } as const)
    return this.run(this.hypervisor.runVcpu('a', 0, [select, access])).results[1]!.low
  }

  get devices(): string[] {
    return this.hypervisor.vm('a').devices.map(({ address }) => address)
  }

  /** Where a write of the function to a page of its guest's memory goes. */
  reaches(address: string, page = 0x10): number {
    return this.run(this.platform.dma(address, true, page, 0, new Uint8Array(4))).parts[0]!.target
  }

  happen(address: string, what: (fn: ReturnType<SimulatedPlatform['functionAt']>) => void): void {
    this.run(
      this.platform.stimulate(address, fn => {
        what(fn)
        return undefined
      }),
    )
  }
}

describe('a guest that is asked for a function', () => {
  it('stops it, ejects it, and the host has it back: nothing is left behind', () => {
    const world = new World()
    const before = takeStock(world.platform)
    world.attach(PLAIN)
    expect(world.ask(PLAIN)).toEqual({ answer: 'ejected' })
    expect([world.devices, world.host.find(PLAIN).driver]).toEqual([[], 'e1000e'])
    expect(world.told.some(line => line.includes('not ejected'))).toBe(false)
    expect([leaksSince(before, world.platform), strayResources(world.platform)]).toEqual([[], []])
  })

  it('may keep it while a program has it open, and says so', () => {
    const world = new World()
    const slot = world.attach(PLAIN)
    world.kernel(kernel => kernel.hold(slot, true))
    expect(world.ask(PLAIN, 5)).toEqual({ answer: 'refused', reason: 'inUse' })
    expect(world.reaches(PLAIN)).toBe(TARGET.memory)
    world.kernel(kernel => kernel.hold(slot, false))
    expect(world.ask(PLAIN)).toEqual({ answer: 'ejected' })
  })

  it('may not listen: after the time given it is still asked, and the function goes when it does listen', () => {
    const world = new World()
    world.attach(PLAIN)
    world.run(world.hypervisor.runVcpu('a', 0, [{ op: 'cli' }, { op: 'hlt' }]))
    const before = world.platform.engine.now
    expect(world.ask(PLAIN, 5)).toEqual({ answer: 'pending' })
    expect(world.platform.engine.now - before).toBe(5 * SECOND)
    expect(world.reaches(PLAIN)).toBe(TARGET.memory)
    expect(() => world.ask(PLAIN)).toThrow(/has been asked for .* already/)
    world.run(world.hypervisor.runVcpu('a', 0, [{ op: 'sti' }, { op: 'nop' }]))
    expect([world.devices, world.host.find(PLAIN).driver]).toEqual([[], 'e1000e'])
  })

  it('is asked still after a restore, and keeps what was open', () => {
    const world = new World()
    const slot = world.attach(PLAIN)
    world.kernel(kernel => kernel.hold(slot, true))
    world.run(world.hypervisor.runVcpu('a', 0, [{ op: 'cli' }, { op: 'hlt' }]))
    world.ask(PLAIN)
    world.platform.load(world.platform.save())
    world.run(world.hypervisor.runVcpu('a', 0, [{ op: 'sti' }, { op: 'nop' }]))
    expect(world.devices).toEqual([PLAIN])
    world.kernel(kernel => kernel.hold(slot, false))
    expect(world.ask(PLAIN)).toEqual({ answer: 'ejected' })
  })

  it('loses it all the same when it is detached', () => {
    const world = new World()
    const slot = world.attach(PLAIN)
    world.kernel(kernel => kernel.hold(slot, true))
    world.run(world.hypervisor.detach('a', PLAIN))
    expect(world.devices).toEqual([])
    expect(world.told.some(line => line.includes('not ejected by the guest'))).toBe(true)
    expect(world.kernel(kernel => kernel.devices)).toEqual([])
    expect(world.guestConfig(slot, 0)).toBe(0xffff_ffff)
  })

  it('of a function that it does not have, is not asked', () => {
    const world = new World()
    const before = world.platform.stateHash()
    expect(() => world.ask(PLAIN)).toThrow(/is not attached to a/)
    expect(world.platform.stateHash()).toBe(before)
  })
})

describe('the attention button of a slot whose card a virtual machine has', () => {
  const button = (world: World) => world.happen(SLOT, fn => fn.port!.pressAttentionButton())

  it('has the guest let go first', () => {
    const world = new World()
    world.attach(CARD)
    button(world)
    expect(world.told).toContain(`a: ${CARD} leaves 0000:00:01.0`)
    expect(() => world.host.find(CARD)).toThrow()
  })

  it('takes the card from a guest that has not let go ten seconds later', () => {
    const world = new World()
    const slot = world.attach(CARD)
    world.run(world.hypervisor.runVcpu('a', 0, [{ op: 'cli' }, { op: 'hlt' }]))
    const before = world.platform.engine.now
    button(world)
    expect(world.platform.engine.now - before).toBeGreaterThanOrEqual(15 * SECOND)
    expect(world.told).toContain(`a: ${CARD} leaves 0000:00:01.0, not ejected by the guest`)
    world.run(world.hypervisor.runVcpu('a', 0, [{ op: 'sti' }]))
    expect(world.kernel(kernel => kernel.devices.find(device => device.slot === slot))).toBeUndefined()
  })
})

describe('a card that is pulled out under a running guest', () => {
  it('answers all ones, then its slot is empty; nothing leaks, nobody else notices', () => {
    const world = new World()
    const before = takeStock(world.platform)
    const slot = world.attach(CARD)
    world.run(world.hypervisor.createVm({ name: 'b', vcpus: 1, memoryMiB: 4 }))
    world.run(world.hypervisor.attach('b', PLAIN))
    const card = world.platform.functionAt(CARD)
    world.happen(SLOT, fn => world.platform.hardware.cards.pull(fn))
    expect(world.devices).toEqual([])
    expect(world.guestConfig(slot, 0)).toBe(0xffff_ffff)
    const [sent] = world.platform.hardware.engineOf(card).dma(true, 0x10, 0, new Uint8Array(4))
    expect(sent!.target).not.toBe(TARGET.memory)
    expect(world.reaches(PLAIN)).toBe(TARGET.memory)
    expect(strayResources(world.platform)).toEqual([])
    world.run(world.hypervisor.deleteVm('b'))
    const gone = ['functions on bus 0000:01', 'IOMMU groups', 'translation domains']
    const left = leaksSince(before, world.platform).filter(({ after, before: was }) => after > was)
    expect(left).toEqual([])
    expect(leaksSince(before, world.platform).map(({ resource }) => resource)).toEqual(
      expect.arrayContaining(gone),
    )
  })
})

describe('a function level reset that the guest initiates', () => {
  const EXPRESS_CONTROL = 0xa8
  /** The VF of an 82576, whose PCI Express capability is at A0h. */
  const withVf = () => {
    const world = new World(shipped('one-socket-82576'))
    const pf = world.host.functions().find(({ kind }) => kind === 'PF')!
    world.run(world.host.setNumVfs(pf.address, 1))
    const [vf] = pf.virtualFunctions
    return { world, vf: vf!, slot: world.attach(vf!) }
  }

  it('leaves it as after power-on in the guest, and what is the host’s of it as it was', () => {
    const { world, vf, slot } = withVf()
    const { bars } = world.host.find(vf)
    expect(world.guestConfig(slot, 0x10)).not.toBe(0)
    const control = world.guestConfig(slot, EXPRESS_CONTROL)
    world.guestConfig(slot, EXPRESS_CONTROL, (control | 0x8000) >>> 0)
    expect(world.told).toContain(`${vf} was reset (flr)`)
    expect([world.guestConfig(slot, 0x10) & ~0xf, world.guestConfig(slot, 4) & 7]).toEqual([0, 0])
    expect(world.host.find(vf).bars).toEqual(bars)
    const [device] = world.hypervisor.vm('a').devices
    expect(device!.vectors.every(({ masked }) => masked)).toBe(true)
    expect(device!.bars.every(({ guestAddress }) => guestAddress === null)).toBe(true)
    expect(strayResources(world.platform)).toEqual([])
  })

  it('ends its DMA until the guest makes it bus master again', () => {
    const { world, vf, slot } = withVf()
    expect(world.reaches(vf)).toBe(TARGET.memory)
    world.guestConfig(slot, EXPRESS_CONTROL, 0x8000)
    expect(world.reaches(vf)).not.toBe(TARGET.memory)
    world.guestConfig(slot, 4, 6)
    expect(world.reaches(vf)).toBe(TARGET.memory)
  })
})

describe('a fatal error of a function that a guest runs', () => {
  it('resets it; its guest starts it anew, and its interrupts arrive as before', () => {
    const world = new World()
    world.attach(PLAIN)
    const fire = () => world.run(world.platform.fire(PLAIN, 0))
    expect(fire().route).toMatchObject({ vm: 'a', guestVector: 0x40 })
    const count = () => world.hypervisor.vm('a').devices[0]!.vectors[0]!.delivered
    const before = count()
    world.run(world.platform.inject({ kind: 'detectedError', function: PLAIN, error: 'malformedTlp' }))
    expect(world.told).toContain(`${PLAIN}: virtual machine "a" is told of the reset`)
    expect(fire().signal).toBe('sent')
    expect(count()).toBe(before + 1)
    expect(world.reaches(PLAIN)).toBe(TARGET.memory)
  })
})
