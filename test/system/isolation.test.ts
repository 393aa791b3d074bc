import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError, parseFunctionAddress } from '../../src/core/index.ts'
import type { Software } from '../../src/engine/index.ts'
import type { AssignedFunction } from '../../src/host/index.ts'
import { STATUS, TARGET } from '../../src/pcie/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import { type ModelUnit, translate } from '../vtd/reference-model.ts'

/**
 * The invariant of the whole product: whatever is assigned, detached, mapped, unmapped, switched on or off, a function
 * reaches its owner's memory and no other. Two oracles know nothing of the code under test: a walker in bigint that
 * reads the tables as they stand in memory, and a mark that every owner left in each of its own pages.
 */

/** Random sequences per topology; `npm run hunt` takes many more. */
const RUNS = Number(process.env['RUNS'] ?? 6)

const TOPOLOGIES = ['one-socket-82576', 'switch-without-acs', 'legacy-bridge', 'imported/nested-switch']

/** Bytes at the start of a page that name its owner; DMA is aimed behind them. */
const MARK = 16
const PAGE = 4096
/** Guests are marked, and aimed at, at every so many pages. */
const STEP = 8

class World {
  readonly platform: SimulatedPlatform
  /** Pages of user-space owners, and what each has mapped: I/O virtual page to host page. */
  readonly users = new Map<
    string,
    { device: AssignedFunction; pages: number[]; mapped: Map<number, number> }
  >()

  constructor(topology: string) {
    const document = JSON.parse(readFileSync(`topologies/${topology}.json`, 'utf8'))
    this.platform = this.run(SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }))
  }

  run<Result>(software: Software<Result>): Result {
    for (;;) {
      const step = software.next()
      if (step.done) return step.value
      while (step.value !== undefined && !step.value()) expect(this.platform.engine.advance()).toBe(true)
    }
  }

  get functions(): string[] {
    return this.platform.host.functions().map(fn => fn.address)
  }

  get vms(): string[] {
    return this.platform.hypervisor.vms().map(vm => vm.name)
  }

  mark(owner: string, page: number): Uint8Array {
    return Uint8Array.from(Buffer.from(`${owner}/${page}`.padEnd(MARK, '.'), 'latin1'))
  }

  createVm(name: string): void {
    this.run(this.platform.hypervisor.createVm({ name, vcpus: 1, memoryMiB: 2 }))
    for (let page = 0; page < 512; page += STEP) {
      this.platform.hypervisor.writeGuest(name, page * PAGE, this.mark(name, page))
    }
  }

  /** A user-space driver takes a function, as DPDK would, with four pages of its own. */
  takeFunction(owner: string, address: string): void {
    const { host, hardware } = this.platform
    const device = this.run(host.vfio.attach(address, owner))
    const first = host.memory.allocate(4, 1)
    const pages = [0, 1, 2, 3].map(i => first + i)
    for (const page of pages) hardware.port.writeBytes(page * PAGE, this.mark(owner, page))
    device.writeConfig(4, 2, 6)
    this.users.set(owner, { device, pages, mapped: new Map() })
  }

  giveBack(owner: string): void {
    const { device, pages, mapped } = this.users.get(owner)!
    for (const iova of mapped.keys()) this.run(device.unmap(iova * PAGE, 1))
    this.run(device.release())
    for (const page of pages) this.platform.hardware.port.writeBytes(page * PAGE, new Uint8Array(PAGE))
    this.platform.host.memory.free(pages[0]!, 4)
    this.users.delete(owner)
  }

  /** The unit as the model sees it: register values and memory, nothing else. */
  modelAnswer(unitIndex: number, sourceId: number, address: bigint, write: boolean) {
    const { memory, units } = this.platform.hardware
    const unit = units[unitIndex]!
    const wide = (offset: number) =>
      (BigInt(unit.readDword(offset + 4) >>> 0) << 32n) | BigInt(unit.readDword(offset) >>> 0)
    const capability = wide(0x08)
    const extended = wide(0x10)
    const bit = (value: bigint, n: bigint) => ((value >> n) & 1n) === 1n
    const model: ModelUnit = {
      root: wide(0x20) & ~0xfffn,
      hostAddressWidth: BigInt(this.platform.topology.hostAddressWidth),
      guestAddressWidth: ((capability >> 16n) & 0x3fn) + 1n,
      domainBits: 4n + 2n * (capability & 7n),
      widths: [1n, 2n, 3n].filter(width => bit(capability, 8n + width)),
      passThrough: bit(extended, 6n),
      snoopControl: bit(extended, 7n),
      pages2M: bit(capability, 34n),
      pages1G: bit(capability, 35n),
    }
    const read = (at: bigint) => {
      const low = memory.readDword(Number(at))
      const high = memory.readDword(Number(at) + 4)
      return low === undefined || high === undefined ? undefined : (BigInt(high) << 32n) | BigInt(low)
    }
    return translate(model, { sourceId: BigInt(sourceId), address, write }, read)
  }

  /** Sends a DMA and checks its outcome against both oracles. */
  dma(address: string, write: boolean, page: number): void {
    const { host, hardware } = this.platform
    const data = new Uint8Array(8).fill(0x5a)
    const before = host.find(address).owner
    if (before.kind === 'vm' && this.vms.includes(before.name) && page < 512) {
      this.platform.hypervisor.writeGuest(before.name, page * PAGE, this.mark(before.name, page))
    }
    const { parts } = this.run(this.platform.dma(address, write, page, MARK, data))
    const [part] = parts
    if (part === undefined) throw new Error('a DMA has at least one part')
    if (part.status === STATUS.notIssued || part.status === STATUS.bridgeBusMasterDisabled) return
    // Peers below one switch are a matter of access control services, not of the remapping unit: it never saw this.
    if (part.target === TARGET.peer && part.unit < 0) return
    if (part.unit >= 0) {
      const answer = this.modelAnswer(part.unit, part.requesterId, BigInt(page) * 4096n + BigInt(MARK), write)
      if ('reason' in answer) {
        expect(part.status).toBe(STATUS.remappingFault)
        expect(part.faultReason).toBe(answer.reason)
        return
      }
      expect(part.status === STATUS.remappingFault).toBe(false)
      if (part.status !== STATUS.successful) return
      expect(BigInt(part.physicalPage)).toBe(answer.address / 4096n)
    }
    if (part.status !== STATUS.successful) return
    // It reached memory: then that page is the owner's, and the one that this address means to the owner.
    const found = new Uint8Array(MARK)
    hardware.memory.read(part.physicalPage * PAGE, found)
    if (before.kind !== 'vm') {
      // Some functions of the host have identity mappings (reserved regions, the ISA bridge's first 16 MiB): of host memory.
      expect(Buffer.from(found).toString()).not.toMatch(/^(vm|user)/)
      return
    }
    const user = this.users.get(before.name)
    const expected = user === undefined ? page : user.mapped.get(page)
    expect(Buffer.from(found).toString()).toBe(Buffer.from(this.mark(before.name, expected!)).toString())
  }

  /** Pages worth aiming at: inside and just outside guests, and numbers that mean something to somebody else. */
  target(choice: number): number {
    const { host, hardware } = this.platform
    const bars = host.functions().flatMap(fn => fn.bars.filter(bar => bar.kind !== 'io' && bar.address > 0))
    const pages = [
      (choice % 64) * STEP,
      512 + (choice % 8),
      ...[...this.users.values()].flatMap(user => [...user.mapped.keys(), ...user.pages]),
      bars.length === 0 ? 0 : Math.floor(bars[choice % bars.length]!.address / PAGE),
      0x100000 + (choice % 512),
      2 ** 36 - 1,
      2 ** 36,
      2 ** 52 - 1 - (choice % 2),
      Math.floor(hardware.units.length === 0 ? 0 : (hardware.units[0]!.readDword(0x20) >>> 0) / PAGE),
    ]
    return pages[choice % pages.length]!
  }
}

const COMMANDS = [
  'createVm',
  'deleteVm',
  'attach',
  'detach',
  'sriov',
  'take',
  'give',
  'map',
  'unmap',
  'dma',
  'reset',
] as const

/** Names of commands, DMA and assignment more often than the rest. */
const command = fc.record({
  name: fc.oneof(
    { weight: 6, arbitrary: fc.constant('dma' as const) },
    { weight: 3, arbitrary: fc.constantFrom('attach' as const, 'take' as const, 'map' as const) },
    { weight: 3, arbitrary: fc.constantFrom(...COMMANDS) },
  ),
  a: fc.nat(),
  b: fc.nat(),
})

function execute(
  world: World,
  { name, a, b }: { name: (typeof COMMANDS)[number]; a: number; b: number },
): unknown {
  const { host, hypervisor } = world.platform
  const pick = <Item>(items: readonly Item[], n: number): Item | undefined =>
    items[n % Math.max(items.length, 1)]
  const fn = pick(world.functions, a)!
  const users = [...world.users.keys()]
  switch (name) {
    case 'createVm':
      return world.createVm(`vm${b % 4}`)
    case 'deleteVm':
      return world.run(hypervisor.deleteVm(`vm${b % 4}`))
    case 'attach':
      return world.run(hypervisor.attach(`vm${b % 4}`, fn))
    case 'detach': {
      const owned = hypervisor
        .vms()
        .flatMap(vm => vm.devices.map(device => [vm.name, device.address] as const))
      const [vm, address] = pick(owned, a) ?? ['vm0', fn]
      return world.run(hypervisor.detach(vm, address))
    }
    case 'sriov': {
      const pf =
        pick(
          host.functions().filter(({ kind }) => kind === 'PF'),
          a,
        )?.address ?? fn
      return world.run(host.setNumVfs(pf, b % 10))
    }
    case 'take':
      return world.users.has(`user${b % 3}`) ? undefined : world.takeFunction(`user${b % 3}`, fn)
    case 'give':
      return users.length === 0 ? undefined : world.giveBack(pick(users, b)!)
    case 'map': {
      const user = world.users.get(pick(users, a) ?? '')
      const iova = [0, 1, 512, 0x100000, 2 ** 35][b % 5]!
      if (user === undefined || user.mapped.has(iova)) return
      const page = user.pages[b % 4]!
      world.run(user.device.map(iova * PAGE, page, 1, { read: true, write: true }))
      return user.mapped.set(iova, page)
    }
    case 'unmap': {
      const user = world.users.get(pick(users, a) ?? '')
      const iova = pick([...(user?.mapped.keys() ?? [])], b)
      if (user === undefined || iova === undefined) return
      world.run(user.device.unmap(iova * PAGE, 1))
      return user.mapped.delete(iova)
    }
    case 'reset':
      return world.run(host.reset(fn))
    case 'dma': {
      const owned = world.functions.filter(address => host.find(address).owner.kind === 'vm')
      // Mostly those who have an owner; sometimes anybody.
      const source = a % 4 === 0 ? fn : (pick(owned, a >>> 2) ?? fn)
      return world.dma(source, b % 2 === 0, world.target(b >>> 1))
    }
  }
}

describe('isolation', () => {
  it.each(TOPOLOGIES)('holds under random assignment, SR-IOV, map, unmap and DMA on %s', topology => {
    let reached = 0
    let refused = 0
    fc.assert(
      fc.property(fc.array(command, { minLength: 20, maxLength: 45 }), commands => {
        const world = new World(topology)
        world.createVm('vm0')
        world.createVm('vm1')
        for (const one of commands) {
          const before = one.name === 'dma' ? '' : world.platform.stateHash()
          try {
            execute(world, one)
            reached++
          } catch (error) {
            if (!(error instanceof NorthbridgeError)) throw error
            refused++
            // Refused means: as if it had never been asked for.
            expect(world.platform.stateHash()).toBe(before)
          }
        }
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
    // A run that reached nothing, or in which nothing was ever refused, would have shown nothing.
    expect(reached).toBeGreaterThan(50)
    expect(refused).toBeGreaterThan(10)
  })

  it('would be found broken by these oracles: a mapping to a foreign page is noticed', () => {
    const world = new World('one-socket-82576')
    world.createVm('vm0')
    const pf = '0000:01:00.0'
    world.run(world.platform.host.setNumVfs(pf, 1))
    const vf = world.platform.host.find(pf).virtualFunctions[0]!
    world.takeFunction('user0', vf)
    const user = world.users.get('user0')!
    // The planted defect: a page of the virtual machine mapped for the user-space driver.
    const { segment, rid } = parseFunctionAddress(vf)
    expect([segment, rid]).toEqual([0, 0x180])
    const foreign = [...world.platform.hardware.memory.contents()].find(([, page]) =>
      Buffer.from(page.bytes.subarray(0, MARK)).toString().startsWith('vm0/8.'),
    )![0]
    world.run(user.device.map(0, foreign, 1, { read: true, write: true }))
    user.mapped.set(0, user.pages[0]!)
    expect(() => world.dma(vf, true, 0)).toThrow('vm0/8.')
  })
})
