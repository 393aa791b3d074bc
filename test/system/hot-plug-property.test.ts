/**
 * Functions come to virtual machines and leave them in every way there is, with DMA under way at every step of it. A
 * reference model holds what every machine's memory must be. At every moment a write of a function lands in the memory
 * of the machine that has it, or nowhere; and whatever is taken is held by somebody.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { drive, type Software, within } from '../../src/engine/index.ts'
import { GuestKernel } from '../../src/guest/index.ts'
import { STATUS, TARGET } from '../../src/pcie/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { leaksSince, SimulatedPlatform, strayResources, takeStock } from '../../src/system/index.ts'

/** Random sequences; `npm run hunt` takes many more. */
const RUNS = Number(process.env['RUNS'] ?? 12)
const PAGE = 4096
const SLOT = '0000:00:01.0'
const CARD = '0000:01:00.0'
const MACHINES = ['a', 'b'] as const
const MEMORY_PAGES = 512
/** Guest pages that DMA is aimed at; the last one lies beyond the machine's memory. */
const TARGETS = [0x40, 0x123, 0x1ff, 0x200]

const topology = parseTopology(
  JSON.parse(readFileSync(join(import.meta.dirname, '../../topologies/hot-plug.json'), 'utf8')),
)

type Step = { readonly kind: (typeof KINDS)[number]; readonly a: number; readonly b: number }
const KINDS = [
  'create',
  'create',
  'delete',
  'attach',
  'attach',
  'attach',
  'attach',
  'detach',
  'request',
  'hold',
  'deafen',
  'listen',
  'pull',
  'insert',
  'button',
  'resetByHost',
  'resetByGuest',
  'fatal',
  'numVfs',
  'save',
] as const

class World {
  readonly platform: SimulatedPlatform
  /** What was written to pages of machines last: by machine, by guest page. */
  readonly model = new Map<string, Map<number, number>>()
  #serial = 0
  /** Writes that landed in a machine's memory. */
  landed = 0

  constructor() {
    this.platform = drive(SimulatedPlatform.create(topology, { id: 'p', name: 'p' }), () => false)
  }

  /** Drives software; at each of its waits and pauses, every function that can does DMA. */
  run(software: Software<unknown>): void {
    const inFlight = function* (world: World): Software {
      for (let step = software.next(); !step.done; step = software.next()) {
        world.everybodyWrites()
        yield step.value
        world.everybodyWrites()
      }
    }
    try {
      drive(within(this.platform.engine, inFlight(this)), () => false)
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
    }
  }

  get endpoints(): string[] {
    return this.platform.host
      .functions()
      .filter(({ kind }) => kind === 'PF' || kind === 'VF' || kind === 'endpoint')
      .map(({ address }) => address)
  }

  /** Who has a function: both of its sides must say so before and while it does DMA. */
  ownerOf(address: string): string | undefined {
    const { owner } = this.platform.host.find(address)
    return owner.kind === 'vm' ? owner.name : undefined
  }

  everybodyWrites(): void {
    for (const address of this.endpoints) this.write(address, TARGETS[this.#serial % TARGETS.length]!)
  }

  write(address: string, page: number): void {
    const { hardware, hypervisor } = this.platform
    const { segment, rid } = this.platform.host.find(address)
    const fn = hardware.fabric.functionAt(segment, rid)
    if (fn === undefined) return
    const mark = ++this.#serial
    const data = new Uint8Array(4)
    new DataView(data.buffer).setUint32(0, mark, true)
    const [part] = hardware.engineOf(fn).dma(true, page, 0, data)
    if (part!.status !== STATUS.successful || part!.target !== TARGET.memory) return
    const owner = this.ownerOf(address)
    expect(owner, `${address} is the host's and wrote to memory`).toBeDefined()
    const run = hypervisor
      .hostMemoryOf(owner!)
      .find(({ hostPage, pages }) => part!.physicalPage >= hostPage && part!.physicalPage < hostPage + pages)
    expect(run, `${address} of ${owner} wrote outside of its machine's memory`).toBeDefined()
    expect(run!.guestPage + part!.physicalPage - run!.hostPage).toBe(page)
    this.model.get(owner!)!.set(page, mark)
    this.landed++
  }

  check(): void {
    for (const _ of TARGETS) this.everybodyWrites()
    expect(strayResources(this.platform)).toEqual([])
    for (const [vm, pages] of this.model) {
      for (const page of TARGETS) {
        if (page >= MEMORY_PAGES) continue
        const bytes = this.platform.hypervisor.readGuest(vm, page * PAGE, 4)
        expect(new DataView(bytes.buffer).getUint32(0, true), `page ${page} of ${vm}`).toBe(
          pages.get(page) ?? 0,
        )
      }
    }
  }

  do({ kind, a, b }: Step): void {
    const { platform } = this
    const { hypervisor, host, hardware } = platform
    const vm = MACHINES[a % MACHINES.length]!
    const endpoint = this.endpoints[b % this.endpoints.length]!
    const assigned = hypervisor.vms().find(({ name }) => name === vm)?.devices
    const device = assigned?.[b % (assigned.length || 1)]
    const happen = (what: (fn: ReturnType<SimulatedPlatform['functionAt']>) => Software | undefined): void =>
      this.run(platform.stimulate(SLOT, what))
    switch (kind) {
      case 'create':
        if (this.model.has(vm)) return
        this.model.set(vm, new Map())
        this.run(hypervisor.createVm({ name: vm, vcpus: 1, memoryMiB: 2 }))
        break
      case 'delete':
        if (!this.model.has(vm)) return
        this.run(hypervisor.deleteVm(vm))
        this.model.delete(vm)
        break
      case 'attach':
        this.run(hypervisor.attach(vm, endpoint))
        break
      case 'detach':
        this.run(hypervisor.detach(vm, device?.address ?? endpoint))
        break
      case 'request':
        this.run(hypervisor.devices.requestRemoval(vm, device?.address ?? endpoint, 1000 * (a % 3)))
        break
      case 'hold': {
        if (device === undefined) return
        const slot = Number.parseInt(device.guestAddress.slice(-4, -2), 16)
        hypervisor.lookAtGuest(vm, 0, kernel => {
          const known = kernel instanceof GuestKernel && kernel.devices.some(one => one.slot === slot)
          if (known) kernel.hold(slot, b % 2 === 0)
        })
        break
      }
      case 'deafen':
        this.run(hypervisor.runVcpu(vm, 0, [{ op: 'cli' }, { op: 'hlt' }]))
        break
      case 'listen':
        this.run(hypervisor.runVcpu(vm, 0, [{ op: 'sti' }, { op: 'nop' }]))
        break
      case 'pull':
        happen(fn => {
          hardware.cards.pull(fn)
          return undefined
        })
        break
      case 'insert':
        happen(fn => hardware.cards.insert(fn))
        break
      case 'button':
        happen(fn => {
          fn.port!.pressAttentionButton()
          return undefined
        })
        break
      case 'resetByHost':
        this.run(hypervisor.devices.reset(vm, device?.address ?? endpoint))
        break
      case 'resetByGuest':
        this.run(this.#flr(vm, device?.guestAddress ?? '0000:00:01.0'))
        break
      case 'fatal':
        this.run(platform.inject({ kind: 'detectedError', function: endpoint, error: 'malformedTlp' }))
        break
      case 'numVfs':
        this.run(host.setNumVfs(CARD, a % 3))
        break
      case 'save':
        platform.load(platform.save())
        break
    }
  }

  /** The guest looks for the PCI Express capability of a function and sets "Initiate Function Level Reset". */
  *#flr(vm: string, guestAddress: string): Software {
    const slot = Number.parseInt(guestAddress.slice(-4, -2), 16)
    const { hypervisor } = this.platform
    function* access(offset: number, value?: number): Software<number> {
      const select = (0x8000_0000 | (slot << 11) | offset) >>> 0
      const { results } = yield* hypervisor.runVcpu(vm, 0, [
        { op: 'out', port: 0xcf8, width: 4, value: select },
        value === undefined
          ? { op: 'in', port: 0xcfc, width: 4 }
          : { op: 'out', port: 0xcfc, width: 4, value },
      ])
      return results[1]?.low ?? 0
    }
    let at = (yield* access(0x34)) & 0xfc
    for (let i = 0; i < 48 && at !== 0; i++) {
      const header = yield* access(at)
      if ((header & 0xff) === 0x10) {
        yield* access(at + 8, 0x8000)
        return
      }
      at = (header >>> 8) & 0xfc
    }
  }
}

/** Both machines have a function before anything else happens. */
const BEGINNING: readonly Step[] = [
  { kind: 'create', a: 0, b: 0 },
  { kind: 'attach', a: 0, b: 0 },
  { kind: 'create', a: 1, b: 0 },
  { kind: 'attach', a: 1, b: 2 },
]

describe('whatever comes, goes, breaks and is reset while DMA is under way', () => {
  it('memory of machines is what their own functions wrote, and nothing leaks', { timeout: 120_000 }, () => {
    let landed = 0
    const step = fc.record({ kind: fc.constantFrom(...KINDS), a: fc.nat(7), b: fc.nat(31) })
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), steps => {
        const world = new World()
        const empty = takeStock(world.platform)
        for (const one of [...BEGINNING, ...steps]) {
          world.do(one)
          world.check()
        }
        landed += world.landed
        for (const vm of [...world.model.keys()])
          world.do({ kind: 'delete', a: MACHINES.indexOf(vm as 'a'), b: 0 })
        // The card and its VFs may have come or gone; of everything else there is as much as at the beginning.
        const { host } = world.platform
        const present = host.functions().some(({ address }) => address === CARD)
        if (!present || host.find(CARD).virtualFunctions.length > 0 || host.find(CARD).driver !== 'igb')
          return
        expect(leaksSince(empty, world.platform)).toEqual([])
      }),
      { numRuns: RUNS },
    )
    expect(landed).toBeGreaterThan(100)
  })
})
