import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Saved } from '../../src/core/index.ts'
import type { Software } from '../../src/engine/index.ts'
import { ACS_BIT, EXTENDED_CAPABILITY, PASID } from '../../src/pcie/formats/index.ts'
import { STATUS, TARGET } from '../../src/pcie/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { compareIsolation, type IsolationReport, judgeIsolation } from '../../src/policy/isolation/index.ts'
import { isolationFacts, SimulatedPlatform } from '../../src/system/index.ts'
import { tableEntries } from '../../src/vtd/index.ts'

/**
 * The report says what tables and access control let functions do. The oracle does it: every function sends requests to
 * sampled pages of every virtual machine and of the host, to every peer, and to every entry of the interrupt table.
 */

const RUNS = Number(process.env['RUNS'] ?? 12)
const PAGE = 4096

const CARDS = ['intel-82576', 'intel-82574l', 'nvme-sriov', 'ats-accelerator']

/** Root ports with a card, a switch whose ports have access control or not, or a bridge to PCI. */
const branch = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...CARDS).map(model => [{ at: '00.0', model }]) },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.record({ acs: fc.boolean(), model: fc.constantFrom(...CARDS) }), {
        minLength: 2,
        maxLength: 3,
      })
      .map(ports => [
        {
          at: '00.0',
          model: 'switch-upstream-port',
          devices: ports.map(({ acs, model }, i) => ({
            at: `0${i}.0`,
            model: acs ? 'switch-downstream-port-acs' : 'switch-downstream-port',
            devices: [{ at: '00.0', model }],
          })),
        },
      ]),
  },
  {
    weight: 1,
    arbitrary: fc.constant([
      {
        at: '00.0',
        model: 'pcie-pci-bridge',
        devices: [1, 2].map(slot => ({ at: `0${slot}.0`, model: 'intel-82540em' })),
      },
    ]),
  },
)

/** What a unit needs for scalable mode, and for process address spaces. */
const SCALABLE = { SMTS: 1, SSTS: 1, SMPWCS: 1, SSADS: 1, PASID: 1, PSS: 19 } as const

const topology = fc
  .record({
    branches: fc.array(branch, { minLength: 2, maxLength: 4 }),
    commandLine: fc.oneof(
      {
        weight: 6,
        arbitrary: fc.constantFrom('intel_iommu=on', 'intel_iommu=on,sm_on', 'intel_iommu=on,sm_on'),
      },
      { weight: 1, arbitrary: fc.constantFrom('intel_iommu=on iommu=pt', 'intel_iommu=off') },
    ),
    acsOverride: fc.boolean(),
    scalable: fc.boolean(),
  })
  .map(({ branches, commandLine, acsOverride, scalable }) => ({
    name: 'random',
    iommu: {
      kind: 'intel-vtd',
      units: [{ id: 'dmar0', includeAll: true, ...(scalable && { capabilities: SCALABLE }) }],
    },
    hostBridges: [
      {
        devices: [
          { at: '00.0', model: 'host-bridge' },
          ...branches.map((devices, i) => ({ at: `0${i + 1}.0`, model: 'root-port', devices })),
        ],
      },
    ],
    host: {
      commandLine: acsOverride ? `${commandLine} pcie_acs_override=downstream,multifunction` : commandLine,
    },
  }))

const PLANTS = [
  'leaf',
  'leaf',
  'table',
  'context',
  'acs',
  'acs',
  'vector',
  'busMaster',
  'pasid',
  'pasid',
] as const

const plant = fc.record({ what: fc.constantFrom(...PLANTS), a: fc.nat(), b: fc.nat(), c: fc.nat() })
type Plant = { what: (typeof PLANTS)[number]; a: number; b: number; c: number }

/** Process address spaces that are planted and used: 1 to this number. PASIDE of a context entry. */
const PASIDS = 4
const PASID_ENABLE = 8

const pick = <Item>(items: readonly Item[], n: number): Item => items[n % items.length]!

class World {
  readonly platform: SimulatedPlatform
  readonly #pristine: Saved[]

  constructor(document: unknown) {
    this.platform = this.run(SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }))
    this.#pristine = this.platform.hardware.units.map(unit => unit.save())
  }

  run<Result>(software: Software<Result>): Result {
    for (;;) {
      const step = software.next()
      if (step.done) return step.value
      while (step.value !== undefined && !step.value()) expect(this.platform.engine.advance()).toBe(true)
    }
  }

  report(): IsolationReport {
    return judgeIsolation(this.run(isolationFacts(this.platform)))
  }

  /** Whatever was cached: the report is about tables. */
  emptyCaches(): void {
    for (const [index, unit] of this.platform.hardware.units.entries()) {
      const { translations, interruptEntryCache } = this.#pristine[index] as Record<string, Saved>
      unit.load({ ...(unit.save() as object), translations, interruptEntryCache } as Saved)
    }
  }

  assign(order: readonly number[]): void {
    const { host, hypervisor } = this.platform
    for (const fn of host.functions().filter(({ kind }) => kind === 'PF')) {
      try {
        this.run(host.setNumVfs(fn.address, 2))
      } catch {}
    }
    for (const name of ['vm0', 'vm1', 'vm2']) this.run(hypervisor.createVm({ name, vcpus: 1, memoryMiB: 2 }))
    const functions = host.functions().map(({ address }) => address)
    for (const [at, n] of order.entries()) {
      try {
        this.run(hypervisor.attach(`vm${at % 3}`, pick(functions, n)))
      } catch {}
    }
    for (const fn of host
      .functions()
      .filter(({ owner }) => owner.kind === 'driver')
      .slice(0, 3)) {
      try {
        this.run(host.allocateBuffer(fn.address, 2, { read: true, write: at(fn.rid) }))
      } catch {}
    }
  }

  /** Pages of memory that matter to somebody, and of registers. */
  landmarks(n: number): number[] {
    const { host, hypervisor } = this.platform
    const guests = hypervisor
      .vms()
      .flatMap(({ name }) => hypervisor.hostMemoryOf(name).map(run => run.hostPage + (n % run.pages)))
    const bars = host
      .functions()
      .flatMap(fn => fn.bars.filter(bar => bar.kind !== 'io' && bar.address > 0))
      .map(bar => Math.floor(bar.address / PAGE))
    const { root } = this.platform.hardware.units[0]!.rootTable
    return [...guests, ...bars, root, 1]
  }

  /** One wrong bit, word or register. */
  plant({ what, a, b, c }: Plant): void {
    const { host, hardware } = this.platform
    const fn = pick(host.functions(), a)
    const unit = hardware.units[0]!
    const rid = Number(fn.rid)
    const entries = [
      ...tableEntries(hardware.memory, { ...unit.rootTable, sourceId: rid, fromPage: 0 }),
    ].filter(({ present }) => present)
    const change = (address: number, alter: (words: Uint32Array, at: number) => void): void => {
      const page = hardware.memory.pageForWrite(Math.floor(address / PAGE))
      if (page !== undefined) alter(page.words, (address % PAGE) / 4)
    }
    switch (what) {
      case 'leaf': {
        const leaves = entries.filter(({ level, fields }) => level === 1 || fields['PS'] === 1)
        if (leaves.length === 0) return
        const { address, level } = pick(leaves, b)
        const frame = pick(this.landmarks(c), c >>> 3)
        const aligned = level === 1 ? frame : frame - (frame % 512)
        change(Number(address), (words, at) => {
          const low = words[at]! & 0xfff
          if (c % 5 === 0) words[at]! &= ~2
          else if (c % 5 === 1) words[at + 1]! |= 0x8_0000
          else {
            words[at] = ((aligned << 12) | low) >>> 0
            words[at + 1] = Math.floor(aligned / 0x10_0000)
          }
        })
        return
      }
      case 'table': {
        const tables = entries.filter(
          ({ level, fields }) => level !== undefined && level > 1 && fields['PS'] !== 1,
        )
        if (tables.length === 0) return
        change(Number(pick(tables, b).address), (words, at) => {
          words[at]! ^= [1, 2, 0x80, 0x1000][c % 4]!
        })
        return
      }
      case 'context': {
        const own = entries.find(({ table }) => table === 'context')
        const other = [
          ...tableEntries(hardware.memory, {
            ...unit.rootTable,
            sourceId: Number(pick(host.functions(), b).rid),
            fromPage: 0,
          }),
        ].find(({ table }) => table === 'context')
        if (own === undefined || other === undefined) return
        const size = unit.rootTable.scalable ? 8 : 4
        const from = Number(other.address)
        const words = hardware.memory.page(Math.floor(from / PAGE))!.words.slice((from % PAGE) / 4)
        change(Number(own.address), (target, at) => target.set(words.subarray(0, size), at))
        return
      }
      case 'acs': {
        const ports = host
          .functions()
          .map(({ address }) => this.platform.functionAt(address))
          .filter(({ layout }) => layout.acs > 0)
        if (ports.length === 0) return
        const port = pick(ports, b)
        const at = port.layout.acs + 4
        port.writeConfig(at, (port.readConfig(at) ^ ([4, 8, 0x10, 4][c % 4]! << 16)) >>> 0, 0xffff_ffff)
        return
      }
      case 'vector': {
        const { table } = unit.interruptTable
        change(table * PAGE + (b % 32) * 16, (words, at) => {
          if ((words[at]! & 1) === 0) return
          if (c % 2 === 0) words[at + 2]! &= ~0xc_0000
          else words[at + 2]! = (words[at + 2]! & ~0xffff) | rid
        })
        return
      }
      case 'pasid': {
        // A process address space that uses the tables of another function: PASIDs enabled on both sides.
        const own = entries.find(({ table }) => table === 'pasid')
        const context = entries.find(({ table }) => table === 'context')
        const silicon = this.platform.functionAt(fn.address)
        const pf = silicon.physicalFunction ?? silicon
        const at = pf.layout.findExtended(EXTENDED_CAPABILITY.PASID)
        const other = [
          ...tableEntries(hardware.memory, {
            ...unit.rootTable,
            sourceId: Number(pick(host.functions(), b).rid),
            fromPage: 0,
          }),
        ].find(({ table }) => table === 'pasid')
        if (own === undefined || context === undefined || other === undefined || at === 0) return
        const control = at + PASID.CONTROL.offset
        pf.writeConfig(control, pf.readConfig(control) | PASID.CONTROL.f.ENABLE.mask, 0xffff_ffff)
        change(Number(context.address), (words, word) => {
          words[word]! |= PASID_ENABLE
        })
        const from = Number(other.address)
        const copied = hardware.memory.page(Math.floor(from / PAGE))!.words.slice((from % PAGE) / 4)
        change(Number(own.address) + (1 + (c % PASIDS)) * 64, (words, word) =>
          words.set(copied.subarray(0, 16), word),
        )
        return
      }
      case 'busMaster': {
        const silicon = this.platform.functionAt(fn.address)
        silicon.writeConfig(4, silicon.readConfig(4) ^ (c % 3 === 0 ? 4 : 0), 0xffff)
      }
    }
  }
}

const at = (rid: number): boolean => rid % 2 === 0

/** What a request came to. */
type Landing = 'nowhere' | `memory ${number}` | `registers ${string}`

class Oracle {
  readonly #world: World
  readonly #report: IsolationReport
  readonly #before: Map<number, Uint8Array>
  reached = 0
  refused = 0

  constructor(world: World) {
    this.#world = world
    this.#report = world.report()
    const { memory } = world.platform.hardware
    this.#before = new Map([...memory.contents()].map(([page, { bytes }]) => [page, bytes.slice()]))
  }

  /** Sends a request, puts back what it wrote, and says where it landed. */
  #land(address: string, write: boolean, page: number, offset: number, pasid?: number): Landing {
    const { hardware } = this.#world.platform
    const data = new Uint8Array(4)
    const claimed = hardware.fabric.functionDecoding(page * PAGE + offset)
    if (claimed !== undefined) {
      const value = hardware.port.readDword(page * PAGE + offset)
      new DataView(data.buffer).setUint32(0, value, true)
    }
    const silicon = this.#world.platform.functionAt(address)
    const how = pasid === undefined ? undefined : { pasid }
    const [part] = hardware.engineOf(silicon).dma(write, page, offset, data, how)
    if (part!.status !== STATUS.successful) return 'nowhere'
    if (part!.target === TARGET.peer) {
      return `registers ${hex(part!.physicalPage * PAGE)}`
    }
    if (part!.target !== TARGET.memory) return 'nowhere'
    if (write) {
      const kept = this.#before.get(part!.physicalPage)?.subarray(offset, offset + 4) ?? new Uint8Array(4)
      hardware.port.writeBytes(part!.physicalPage * PAGE + offset, kept)
    }
    return `memory ${part!.physicalPage}`
  }

  #expected(address: string, write: boolean, page: number, offset: number, pasid?: number): Landing {
    const { memory, peers } = this.#report.functions.find(fn => fn.function === address)!
    const right = write ? 'write' : 'read'
    const target = this.#world.platform.hardware.fabric.functionDecoding(page * PAGE + offset)
    // Whether a peer claims it does not depend on the address space, but on PASIDs being sent at all.
    const peer = peers.find(one => one[right] && this.#world.platform.functionAt(one.function) === target)
    if (peer !== undefined) return `registers ${hex(page * PAGE)}`
    const range = memory.find(
      one => one.pasid === pasid && one[right] && page >= one.input && page < one.input + one.pages,
    )
    if (range === undefined) return 'nowhere'
    const frame = range.frame + page - range.input
    return range.owner.kind === 'function' ? `registers ${hex(frame * PAGE)}` : `memory ${frame}`
  }

  /** The same in process address spaces, for functions that may send requests with one. Returns how many arrived. */
  checkPasids(inputs: readonly { page: number; offset: number }[]): number {
    let arrived = 0
    for (const { function: address } of this.#report.functions) {
      const silicon = this.#world.platform.functionAt(address)
      if (silicon.translation?.permitsPasid(false, false) !== true) continue
      for (let pasid = 1; pasid <= PASIDS; pasid++) {
        for (const { page, offset } of inputs) {
          for (const write of [false, true]) {
            const expected = this.#expected(address, write, page, offset, pasid)
            const label = `${address} ${write ? 'writes' : 'reads'} page ${hex(page)}+${offset} of PASID ${pasid}`
            expect(this.#land(address, write, page, offset, pasid), label).toBe(expected)
            if (expected !== 'nowhere') arrived++
          }
        }
      }
    }
    return arrived
  }

  check(inputs: readonly { page: number; offset: number }[]): void {
    for (const { function: address } of this.#report.functions) {
      for (const { page, offset } of inputs) {
        for (const write of [false, true]) {
          const expected = this.#expected(address, write, page, offset)
          const label = `${address} ${write ? 'writes' : 'reads'} page ${hex(page)}+${offset}`
          expect(this.#land(address, write, page, offset), label).toBe(expected)
          if (expected === 'nowhere') this.refused++
          else this.reached++
        }
      }
    }
  }

  /** A message to every entry that is present, and one that uses none. */
  checkInterrupts(): void {
    const { hardware } = this.#world.platform
    const all = new Set(this.#report.functions.flatMap(fn => fn.vectors.map(({ index }) => index)))
    for (const { function: address, vectors, anyVector, closed } of this.#report.functions) {
      const engine = hardware.engineOf(this.#world.platform.functionAt(address))
      const accepted = (low: number): boolean => {
        const [part] = engine.dma(true, 0xfee00, low, new Uint8Array([0x41, 0, 0, 0]))
        return part!.status === STATUS.successful && part!.target === TARGET.interrupt
      }
      for (const index of anyVector ? [] : all) {
        expect(accepted(0x10 | (index << 5)), `${address} raises ${index}`).toBe(
          vectors.some(vector => vector.index === index),
        )
      }
      expect(accepted(0), `${address} in compatibility format`).toBe(anyVector && closed === undefined)
    }
  }

  /** What makes each range begin and end, and what lies behind other people's addresses. */
  inputs(n: number): { page: number; offset: number }[] {
    const { host } = this.#world.platform
    const edges = this.#report.functions.flatMap(({ memory }) =>
      memory.flatMap(({ input, pages }) => [input - 1, input, input + (n % pages), input + pages]),
    )
    const bars = host
      .functions()
      .flatMap(fn => fn.bars.filter(bar => bar.kind !== 'io' && bar.address > 0))
      .map(bar => ({ page: Math.floor(bar.address / PAGE), offset: bar.address % PAGE }))
    const guest = Array.from({ length: 16 }, (_, i) => (i * 37 + n) % 520)
    const pages = [...new Set([...edges, ...guest, ...this.#world.landmarks(n), 2 ** 36, 2 ** 45])]
    return [
      ...bars,
      ...pages
        .filter(page => page >= 0 && (page < 0xfee00 || page > 0xfeeff))
        .filter(page => !bars.some(bar => bar.page === page))
        .slice(0, 120)
        .map(page => ({ page, offset: 0x20 })),
    ]
  }
}

const hex = (value: number): `0x${string}` => `0x${value.toString(16)}`

/** The same machines with cards that have PASIDs, on a unit in scalable mode. */
const spacious = topology.map(document => ({
  ...(JSON.parse(
    JSON.stringify(document).replaceAll(/"(intel-82576|intel-82574l|nvme-sriov)"/g, '"ats-accelerator"'),
  ) as typeof document),
  iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true, capabilities: SCALABLE }] },
  host: { commandLine: 'intel_iommu=on,sm_on' },
}))

/** Assigns, breaks, and compares report and reality. */
function judge(document: unknown, order: readonly number[], plants: readonly Plant[], n: number) {
  const world = new World(document)
  world.assign(order)
  for (const one of plants) world.plant(one)
  world.emptyCaches()
  const oracle = new Oracle(world)
  oracle.check(oracle.inputs(n))
  const spaces = oracle.checkPasids(oracle.inputs(n).slice(0, 60))
  oracle.checkInterrupts()
  return { reached: oracle.reached, refused: oracle.refused, spaces }
}

const order = fc.array(fc.nat(), { minLength: 4, maxLength: 8 })
const plants = fc.array(plant, { maxLength: 6 })
const pasidPlants = fc
  .tuple(fc.array(plant, { maxLength: 3 }), fc.nat(), fc.nat())
  .map(([some, a, b]) => [
    ...some,
    ...[0, 1, 2, 3].map((i): Plant => ({ what: 'pasid', a: a + i, b: b + i, c: i })),
  ])

describe('the isolation report', () => {
  it('agrees with what functions can really do, on random machines with random wrong bits', () => {
    let reached = 0
    let refused = 0
    fc.assert(
      fc.property(topology, order, plants, fc.nat(), (...world) => {
        const found = judge(...world)
        reached += found.reached
        refused += found.refused
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
    // A run in which nothing, or everything, was reached would have shown nothing.
    expect(reached).toBeGreaterThan(RUNS * 20)
    expect(refused).toBeGreaterThan(RUNS * 200)
  })

  it('agrees with it in process address spaces too', () => {
    const numRuns = Math.ceil(RUNS / 2)
    let spaces = 0
    fc.assert(
      fc.property(spacious, order, pasidPlants, fc.nat(), (...world) => {
        spaces += judge(...world).spaces
      }),
      { numRuns, endOnFailure: true },
    )
    expect(spaces).toBeGreaterThan(numRuns)
  })
})

/** Two virtual machines with a VF of one card each. */
function twoTenants(): { world: World; vfs: readonly string[] } {
  const world = new World({
    name: 'two-tenants',
    iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
    hostBridges: [
      {
        devices: [
          { at: '00.0', model: 'host-bridge' },
          { at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'intel-82576', numVfs: 2 }] },
        ],
      },
    ],
  })
  const { host, hypervisor } = world.platform
  const vfs = host.find('0000:01:00.0').virtualFunctions.slice(0, 2)
  for (const [at, vf] of vfs.entries()) {
    world.run(hypervisor.createVm({ name: `vm${at}`, vcpus: 1, memoryMiB: 2 }))
    world.run(hypervisor.attach(`vm${at}`, vf))
  }
  return { world, vfs }
}

const pagingEntriesOf = (world: World, vf: string) =>
  [
    ...tableEntries(world.platform.hardware.memory, {
      ...world.platform.hardware.units[0]!.rootTable,
      sourceId: Number(world.platform.host.find(vf).rid),
      fromPage: 0,
    }),
  ].filter(({ level }) => level !== undefined)

const leafOf = (world: World, vf: string) =>
  pagingEntriesOf(world, vf).find(({ level, fields }) => level === 1 || fields['PS'] === 1)!

/** Writes an entry of a table behind the host's back. */
function overwrite(world: World, address: number, raw: string): void {
  const { words } = world.platform.hardware.memory.pageForWrite(Math.floor(address / PAGE))!
  words[(address % PAGE) / 4] = Number(BigInt(raw) & 0xffff_ffffn)
  words[(address % PAGE) / 4 + 1] = Number(BigInt(raw) >> 32n)
}

describe('a verdict', () => {
  it('is "isolated" for two tenants whose tables are right, each reaching its own memory only', () => {
    const { world, vfs } = twoTenants()
    const { functions, pairs } = world.report()
    expect(pairs).toEqual([{ vms: ['vm0', 'vm1'], isolated: true, breaches: [], conditions: [] }])
    for (const [at, vf] of vfs.entries()) {
      const { memory } = functions.find(fn => fn.function === vf)!
      expect(memory.map(({ owner, pages }) => [owner, pages])).toEqual([
        [{ kind: 'vm', name: `vm${at}` }, 512],
      ])
    }
  })

  it('names the wrong table entry by address, level and value, and its repair ends the breach', () => {
    const { world, vfs } = twoTenants()
    const before = world.report()
    const { address, level } = leafOf(world, vfs[0]!)
    const victim = world.platform.hypervisor.hostMemoryOf('vm1')[0]!.hostPage
    const page = world.platform.hardware.memory.pageForWrite(Math.floor(Number(address) / PAGE))!
    const word = (Number(address) % PAGE) / 4
    page.words[word] = ((victim << 12) | (page.words[word]! & 0xfff)) >>> 0
    const after = world.report()
    const [{ isolated, breaches }] = after.pairs as [IsolationReport['pairs'][number]]
    expect(isolated).toBe(false)
    expect(breaches).toHaveLength(1)
    expect(breaches[0]).toMatchObject({
      kind: 'memory',
      function: vfs[0],
      from: 'vm0',
      to: 'vm1',
      entry: { table: 'secondStage', address, level, raw: leafOf(world, vfs[0]!).raw },
      repair: { cost: 1 },
    })
    const { changes, verdicts } = compareIsolation(before, after)
    expect(verdicts).toEqual([{ vms: ['vm0', 'vm1'], before: true, after: false }])
    expect(changes.map(({ change, what, owner }) => [change, what, owner])).toEqual([
      ['gained', 'read', { kind: 'vm', name: 'vm1' }],
      ['gained', 'write', { kind: 'vm', name: 'vm1' }],
      ['lost', 'read', { kind: 'vm', name: 'vm0' }],
      ['lost', 'write', { kind: 'vm', name: 'vm0' }],
    ])
    expect(breaches[0]!.repair.text).toContain(address)
    page.words[word] = 0
    expect(world.report().pairs[0]!.isolated).toBe(true)
  })

  it('says what the host would write in the place of a wrong entry: the leaf of its mapping, or nothing', () => {
    const { world, vfs } = twoTenants()
    const right = leafOf(world, vfs[0]!)
    const foreign = leafOf(world, vfs[1]!).raw
    const mapped = Number(right.address)
    const unmapped = mapped + 512 * 8 - (mapped % PAGE) - 8
    for (const [address, does] of [
      [mapped, 'anew as the host has mapped it'],
      [unmapped, 'where the host has mapped nothing'],
    ] as const) {
      overwrite(world, address, foreign)
      const [{ breaches }] = world.report().pairs as [IsolationReport['pairs'][number]]
      expect(breaches).toHaveLength(1)
      const { text, defect } = breaches[0]!.repair
      expect(text).toContain(does)
      expect(Number(defect!.entry)).toBe(address)
      world.run(world.platform.host.mend({ kind: 'translation', function: vfs[0]!, entry: address }))
      expect(world.report().pairs[0]!.isolated).toBe(true)
      expect(leafOf(world, vfs[0]!).raw).toBe(right.raw)
    }
  })

  it('offers no repair by the host where tables that it did not make for the function decide', () => {
    const { world, vfs } = twoTenants()
    const [own, other] = vfs.map(vf => pagingEntriesOf(world, vf)[0]!)
    overwrite(world, Number(own!.address), other!.raw)
    const [{ breaches }] = world.report().pairs as [IsolationReport['pairs'][number]]
    expect(breaches[0]!.entry!.address).toBe(leafOf(world, vfs[1]!).address)
    expect(breaches[0]!.repair).toEqual({
      cost: 1,
      text: expect.stringContaining('which the host did not make'),
    })
    const entry = Number(breaches[0]!.entry!.address)
    expect(() =>
      world.run(world.platform.host.mend({ kind: 'translation', function: vfs[0]!, entry })),
    ).toThrow('did not make')
  })

  it('names an interrupt remapping table entry that accepts anybody', () => {
    const { world, vfs } = twoTenants()
    const [first] = world.report().functions.find(fn => fn.function === vfs[1])!.vectors
    const address = Number(first!.entry.address)
    const page = world.platform.hardware.memory.pageForWrite(Math.floor(address / PAGE))!
    page.words[(address % PAGE) / 4 + 2]! &= ~0xc_0000
    const { breaches } = world.report().pairs[0]!
    expect(breaches).toHaveLength(1)
    expect(breaches[0]).toMatchObject({
      kind: 'interrupt',
      from: 'vm0',
      to: 'vm1',
      entry: { table: 'interrupt' },
    })
    expect(breaches[0]!.entry!.address).toBe(first!.entry.address)
  })

  it('names the ACS bit that is clear, and setting it ends the breach', () => {
    const world = new World({
      name: 'switch',
      iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
      hostBridges: [
        {
          devices: [
            { at: '00.0', model: 'host-bridge' },
            {
              at: '01.0',
              model: 'root-port',
              devices: [
                {
                  at: '00.0',
                  model: 'switch-upstream-port',
                  devices: ['00.0', '01.0'].map(at => ({
                    at,
                    model: 'switch-downstream-port-acs',
                    devices: [{ at: '00.0', model: 'intel-82574l' }],
                  })),
                },
              ],
            },
          ],
        },
      ],
    })
    const { host, hypervisor } = world.platform
    const cards = host.functions().filter(({ deviceId }) => deviceId === 0x10d3)
    for (const [at, { address }] of cards.entries()) {
      world.run(hypervisor.createVm({ name: `vm${at}`, vcpus: 1, memoryMiB: 2 }))
      world.run(hypervisor.attach(`vm${at}`, address))
    }
    expect(world.report().pairs[0]!.isolated).toBe(true)
    const port = world.platform.functionAt(cards[0]!.parent!)
    const control = port.layout.acs + 4
    const right = port.readConfig(control)
    port.writeConfig(control, (right & ~(ACS_BIT.RR << 16)) >>> 0, 0xffff_ffff)
    const { isolated, breaches } = world.report().pairs[0]!
    expect(isolated).toBe(false)
    expect(breaches).toHaveLength(1)
    expect(breaches[0]).toMatchObject({
      kind: 'registers',
      from: 'vm0',
      acs: { function: cards[0]!.parent, bit: 'RR', offered: true },
      repair: { cost: 1 },
    })
    port.writeConfig(control, right, 0xffff_ffff)
    expect(world.report().pairs[0]!.isolated).toBe(true)
  })

  it('changes nothing by being asked for', () => {
    const { world } = twoTenants()
    const before = world.platform.stateHash()
    world.report()
    expect(world.platform.stateHash()).toBe(before)
  })
})
