/**
 * Two hosts whose virtual machines live through everything there is, for a property test: a reference model of what is in
 * the memory of each machine, and functions that read memory whenever anybody works.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { drive, type Software, within } from '../../src/engine/index.ts'
import { execute, type InputOf, type OperationId, type OutputOf } from '../../src/operations/index.ts'
import { STATUS, TARGET } from '../../src/pcie/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { type SimulatedPlatform, strayResources } from '../../src/system/index.ts'
import { MovingWorld } from './moves/moving-world.ts'

const PAGE = 4096
const WORD = 8
/** Memory of each machine: programs begin at the third MiB. */
const MEMORY_MIB = 4
export const FIRST_PAGE = 512
export const PAGES = 512
export const NAMES = ['a', 'b', 'c', 'd'] as const
const HOSTS = ['p', 'q'] as const
const PF = '0000:01:00.0'
export const FUNCTIONS = ['0000:01:10.0', '0000:01:10.2', '0000:01:10.4'] as const
/** Guests map for their functions from here on. */
export const IOVA_PAGE = 0x10_0000

/** A host that is short of memory when it has some machines. */
function smallHost() {
  const path = join(import.meta.dirname, '../../topologies/one-socket-82576.json')
  const document = JSON.parse(readFileSync(path, 'utf8'))
  return parseTopology({ ...document, memory: [{ sizeMiB: 32 }] })
}

/** What a guest's programs have in their pages: the first word of each. */
export type Contents = ReadonlyMap<number, Uint8Array>

export interface Life {
  /** Name of the platform. */
  where: string
  memory: Map<number, Uint8Array>
  /** Whether its own remapping unit translates. */
  readonly remapped: boolean
  /** By function: I/O virtual page to guest page. */
  mapped: Map<string, Map<number, number>>
}

export class Lives {
  readonly world = new MovingWorld()
  readonly lives = new Map<string, Life>()
  /** By name of the machine. */
  readonly snapshots = new Map<string, Contents>()
  /** What is kept elsewhere; undefined: nothing that was in its memory. */
  readonly protections = new Map<string, Contents | undefined>()
  /** Reads that reached a machine's memory. */
  reached = 0
  #turn = 0

  constructor() {
    const topology = smallHost()
    for (const id of HOSTS) this.world.add(id, topology)
    for (const id of HOSTS) {
      this.run('setNumVfs', { platform: id, function: PF, numVfs: FUNCTIONS.length })
    }
  }

  get platforms(): SimulatedPlatform[] {
    return HOSTS.map(id => this.world.platform(id))
  }

  host(vm: string): SimulatedPlatform {
    return this.world.platform(this.lives.get(vm)!.where)
  }

  /** Carries out an operation; at each of its waits and pauses every function of either host reads memory. */
  run<Id extends OperationId>(id: Id, input: InputOf<Id>): OutputOf<Id> {
    const { world } = this
    const everybodyReads = () => this.everybodyReads()
    const inFlight = function* (): Software<OutputOf<Id>> {
      const software = execute(world.context, id, input)
      let step = software.next()
      for (; !step.done; step = software.next()) {
        everybodyReads()
        yield step.value
      }
      return step.value
    }
    return drive(inFlight(), () => false)
  }

  everybodyReads(): void {
    const page = [FIRST_PAGE + (this.#turn % PAGES), IOVA_PAGE + (this.#turn % 8), 2 ** 20][this.#turn % 3]!
    this.#turn++
    for (const platform of this.platforms) {
      if (platform.responds)
        for (const { address } of platform.host.functions()) this.#read(platform, address, page)
    }
  }

  /** Who reads something reads what its owner has there, and nobody else. */
  #read(platform: SimulatedPlatform, address: string, page: number): void {
    const { host, hypervisor, hardware } = platform
    const { segment, rid, kind, owner } = host.find(address)
    const fn = kind === 'bridge' ? undefined : hardware.fabric.functionAt(segment, rid)
    if (fn === undefined) return
    const [part] = hardware.engineOf(fn).dma(false, page, 0, new Uint8Array(WORD))
    if (part!.status !== STATUS.successful || part!.target !== TARGET.memory) return
    const { physicalPage } = part!
    const isIn = ({ hostPage, pages }: { readonly hostPage: number; readonly pages: number }): boolean =>
      physicalPage >= hostPage && physicalPage < hostPage + pages
    if (owner.kind === 'vm') {
      const run = hypervisor.hostMemoryOf(owner.name).find(isIn)
      expect(run, `${address} of ${owner.name} reads outside of its machine's memory`).toBeDefined()
      this.reached++
      return
    }
    for (const { name } of hypervisor.vms())
      expect(hypervisor.hostMemoryOf(name).some(isIn), `${address} of the host reads memory of ${name}`).toBe(
        false,
      )
  }

  /** A function writes; where that must land, and whether, is what the model says. */
  dma(vm: string, fn: string, page: number, bytes: Uint8Array): void {
    const life = this.lives.get(vm)!
    const platform = this.host(vm)
    const target = life.remapped ? life.mapped.get(fn)?.get(page) : page
    const { parts } = drive(within(platform.engine, platform.dma(fn, true, page, 0, bytes)), () => false)
    const [part] = parts
    if (part!.status !== STATUS.successful) return
    expect(target, `${fn} of ${vm} wrote at ${page.toString(16)}, where nothing is mapped`).toBeDefined()
    if (life.memory.has(target!)) life.memory.set(target!, bytes.slice())
  }

  /** A word of guest memory. */
  word(vm: string, page: number): Uint8Array {
    return this.host(vm).hypervisor.readGuest(vm, page * PAGE, WORD)
  }

  /** A new machine's programs have written nothing yet. */
  born(vm: string, where: string, remapped = false, memory: Contents = new Map()): void {
    this.lives.set(vm, { where, remapped, memory: new Map(memory), mapped: new Map() })
  }

  create(vm: string, where: string, kind: number): void {
    const unit = kind % 3 === 0
    const backing = kind % 4 === 3 ? ({ backing: 'fixed' } as const) : ({ backing: 'paged' } as const)
    const options = {
      ...backing,
      hugePages: kind % 2 === 0 ? '2MiB' : 'none',
      memoryMiB: MEMORY_MIB,
    } as const
    this.run('createVm', {
      platform: where,
      name: vm,
      vcpus: 1,
      ...options,
      ...(unit && { viommu: 'shadow' }),
    })
    this.born(vm, where, unit)
    if (unit) this.run('setViommu', { platform: where, vm, enabled: true })
  }

  check(): void {
    for (let i = 0; i < 6; i++) this.everybodyReads()
    for (const [vm, { memory }] of this.lives)
      for (const [page, word] of memory) expect(this.word(vm, page), `page ${page} of ${vm}`).toEqual(word)
    for (const platform of this.platforms) {
      if (!platform.responds) continue
      const { hypervisor } = platform
      const runs = hypervisor.vms().flatMap(({ name }) => hypervisor.hostMemoryOf(name))
      runs.sort((a, b) => a.hostPage - b.hostPage)
      for (const [i, { hostPage }] of runs.entries())
        if (i > 0) expect(hostPage).toBeGreaterThanOrEqual(runs[i - 1]!.hostPage + runs[i - 1]!.pages)
      expect(strayResources(platform)).toEqual([])
      const here = [...this.lives].filter(([, { where }]) => where === platform.name).map(([vm]) => vm)
      expect(
        hypervisor
          .vms()
          .map(({ name }) => name)
          .sort(),
      ).toEqual(here.sort())
    }
  }
}
