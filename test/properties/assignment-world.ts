/** A platform under random commands, with oracles that know nothing of the code under test but what a user sees. */
import { strict as assert } from 'node:assert'
import { NorthbridgeError } from '../../src/core/index.ts'
import { drive } from '../../src/engine/index.ts'
import type { HostFunction } from '../../src/host/index.ts'
import { createContext, execute, type InputOf, type OperationId } from '../../src/operations/index.ts'
import { MemoryRequest, type PcieFunction, STATUS, TARGET } from '../../src/pcie/index.ts'
import type { SimulatedPlatform } from '../../src/system/index.ts'
import { isTrue } from './refusals.ts'

const PAGE = 4096
/** Guests are marked, and aimed at, in these pages; the mark lies at the start, DMA is aimed behind it. */
const MARKED = [0, 8, 64, 200, 304, 504]
const MARK = 16
const AIM = 32

export interface Tally {
  commands: number
  refusals: number
  /** Functions that virtual machines had, counted at every check. */
  assigned: number
  failures: number
  requests: number
  reached: number
  interrupts: number
  faults: number
}

export const emptyTally = (): Tally => ({
  commands: 0,
  refusals: 0,
  assigned: 0,
  failures: 0,
  requests: 0,
  reached: 0,
  interrupts: 0,
  faults: 0,
})

export const pick = <Item>(items: readonly Item[], n: number): Item | undefined =>
  items.length === 0 ? undefined : items[n % items.length]

type Input<Id extends OperationId> = Omit<InputOf<Id>, 'platform'>

export class AssignmentWorld {
  readonly platform: SimulatedPlatform
  readonly tally: Tally
  readonly #context = createContext()
  /** Bits of tables were flipped at random: what functions reach says nothing until the next power cycle. */
  wild = false
  /** Counts marks, so that a machine that was deleted leaves none that look like another's. */
  #generation = 0
  readonly #marks = new Map<string, number>()
  /** What was done, for who reads a failure. */
  readonly history: string[] = []

  constructor(document: unknown, tally: Tally) {
    this.tally = tally
    drive(execute(this.#context, 'createPlatform', { topology: document as never, name: 'p' }), () => false)
    this.platform = this.#context.platforms.get('p').running
  }

  get functions(): readonly HostFunction[] {
    return this.platform.host.functions()
  }

  get vms(): string[] {
    return this.platform.hypervisor.vms().map(({ name }) => name)
  }

  call<Id extends OperationId>(id: Id, input: Input<Id>) {
    return drive(execute(this.#context, id, { platform: 'p', ...input } as never), () => false)
  }

  /** Does what a user asks for. A refusal is judged: its reason is true, and nothing has changed. */
  command<Id extends OperationId>(id: Id, input: Input<Id>): void {
    const whole = id === 'applyPolicy' ? input : { platform: 'p', ...input }
    this.tally.commands++
    const before = this.platform.stateHash()
    const wasUp = this.platform.responds
    try {
      drive(execute(this.#context, id, whole as never), () => false)
      this.history.push(`${id} ${JSON.stringify(input)}: done`)
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      this.history.push(`${id} ${JSON.stringify(input)}: ${error.code} ${error.message}`)
      if (this.#isFailure(error, wasUp)) {
        this.tally.failures++
        return
      }
      this.tally.refusals++
      assert.ok(isTrue(this, id, input, error), `${id} ${JSON.stringify(input)}: untrue: ${error.message}`)
      assert.equal(
        this.platform.stateHash(),
        before,
        `${id} was refused (${error.message}) but changed something`,
      )
      assert.ok(isTrue(this, id, input, error), `${id} ${JSON.stringify(input)}: untrue: ${error.message}`)
    }
  }

  /** Hardware that gave up in the middle is no refusal: the kernel stopped, or a function never came back. */
  #isFailure(error: NorthbridgeError, wasUp: boolean): boolean {
    if (error.code === 'hostHalted') return wasUp
    if (error.code !== 'resetUnavailable' || !error.message.includes('does not answer')) return false
    const address = error.details['function'] as string
    const known = this.functions.find(fn => fn.address === address)!
    const fn = this.platform.hardware.fabric.functionAt(known.segment, known.rid)
    assert.ok(fn?.isReady !== true, `${error.message}, but it does`)
    return true
  }

  mark(vm: string): void {
    const generation = ++this.#generation
    this.#marks.set(vm, generation)
    for (const page of MARKED)
      this.platform.hypervisor.writeGuest(vm, page * PAGE, bytesOf(vm, generation, page))
  }

  /** Machines and virtual functions, so that there is something to give from the start. */
  populate(): void {
    for (const name of ['vm0', 'vm1']) {
      this.command('createVm', { name, vcpus: 1, memoryMiB: 2 })
      this.mark(name)
    }
    const pfs = this.functions.filter(({ kind }) => kind === 'PF').slice(0, 2)
    for (const { address } of pfs) this.command('setNumVfs', { function: address, numVfs: 2 })
  }

  // Oracles

  check(n: number): void {
    if (!this.platform.responds) return
    this.#checkOwners()
    if (this.wild) return
    this.#checkMemory(n)
    this.#checkVectors(n)
  }

  /** Every function has one owner, who knows of it; a group is one's, or the host's. */
  #checkOwners(): void {
    const { host, hypervisor } = this.platform
    const holders = new Map<string, string>()
    for (const { name, devices } of hypervisor.vms()) {
      for (const { address } of devices) {
        assert.ok(!holders.has(address), `${address} belongs to ${holders.get(address)} and ${name}`)
        holders.set(address, name)
      }
    }
    this.tally.assigned += holders.size
    const byAddress = new Map(this.functions.map(fn => [fn.address, fn]))
    for (const [address, name] of holders) {
      assert.deepEqual(
        byAddress.get(address)?.owner,
        { kind: 'vm', name },
        `the host knows the owner of ${address}`,
      )
    }
    for (const { address, owner } of byAddress.values()) {
      if (owner.kind === 'vm')
        assert.equal(holders.get(address), owner.name, `${owner.name} knows of ${address}`)
    }
    for (const { id, functions } of host.groups()) {
      const owners = new Set(
        functions.flatMap(address => {
          const owner = byAddress.get(address)?.owner
          return owner?.kind === 'vm' ? [owner.name] : []
        }),
      )
      assert.ok(owners.size <= 1, `group ${id} belongs to ${[...owners].join(' and ')}`)
    }
  }

  /** Host pages of each virtual machine. */
  #pages(): Map<number, string> {
    const pages = new Map<number, string>()
    for (const vm of this.vms) {
      for (const run of this.platform.hypervisor.hostMemoryOf(vm)) {
        for (let i = 0; i < run.pages; i++) pages.set(run.hostPage + i, vm)
      }
    }
    return pages
  }

  #sample(n: number): HostFunction[] {
    const { functions } = this
    const assigned = functions.filter(({ owner }) => owner.kind === 'vm')
    const others = [0, 1, 2, 3].map(i => functions[(n + i * 7) % functions.length]!)
    return [...new Set([...assigned.slice(0, 5), ...others])]
  }

  /**
   * Functions really send requests: to where guests have their memory, to where the host keeps guests and its own tables,
   * plainly, with process address spaces, and by way of their device-TLB. What arrives must arrive at the owner.
   */
  #checkMemory(n: number): void {
    const { hardware, hypervisor } = this.platform
    const pages = this.#pages()
    const landmarks = this.vms.map(vm => hypervisor.hostMemoryOf(vm)[0]!.hostPage + (n % 64))
    const roots = hardware.units.map(unit => unit.rootTable.root)
    const inputs = [
      MARKED[n % 6]!,
      MARKED[(n + 1) % 6]!,
      pick(landmarks, n),
      pick(landmarks, n + 1),
      pick(roots, n),
    ]
    const written = new Set<number>()
    for (const fn of this.#sample(n)) {
      const silicon = hardware.fabric.functionAt(fn.segment, fn.rid)
      if (silicon === undefined) continue
      const engine = hardware.engineOf(silicon)
      const ways = silicon.translation === undefined ? WAYS.slice(0, 1) : WAYS
      for (const page of inputs) {
        if (page === undefined) continue
        for (const way of ways) {
          for (const write of [false, true]) {
            const data = new Uint8Array(8).fill(write ? 0xa5 : 0)
            const [part] = engine.dma(write, page, AIM, data, way)
            this.tally.requests++
            if (part!.status !== STATUS.successful || part!.target !== TARGET.memory) continue
            this.tally.reached++
            this.#judgeAccess(fn, part!.physicalPage, pages, page)
            if (write) written.add(part!.physicalPage)
          }
        }
      }
    }
    this.#checkMarks(written, pages)
    // Interrupts and page requests of what was sent are the host's to see to.
    drive(this.platform.elapse(0), this.platform.engine.advance)
  }

  #judgeAccess(fn: HostFunction, hostPage: number, pages: ReadonlyMap<number, string>, input: number): void {
    const reached = pages.get(hostPage)
    const { owner, address } = this.platform.host.find(fn.address)
    // Requests behind a bridge carry its id, and mates without access control can use each other's: the group is one's.
    const group = this.functions.filter(other => other.group === fn.group).map(other => other.owner)
    const machine = [owner, ...group].find(one => one.kind === 'vm')
    const name = machine?.kind === 'vm' ? machine.name : undefined
    assert.equal(
      reached,
      name,
      `${address} (${JSON.stringify(owner)}) reached page ${hostPage} of ${reached ?? 'the host'} at ${input}`,
    )
  }

  /** Nobody's mark has changed, and no byte behind one but where a request was seen to arrive. */
  #checkMarks(written: ReadonlySet<number>, pages: ReadonlyMap<number, string>): void {
    const { hypervisor, hardware } = this.platform
    for (const vm of this.vms) {
      const generation = this.#marks.get(vm)
      if (generation === undefined) continue
      for (const page of MARKED) {
        const bytes = hypervisor.readGuest(vm, page * PAGE, AIM + 8)
        const mark = bytesOf(vm, generation, page)
        assert.deepEqual(bytes.subarray(0, MARK), mark, `the mark of ${vm} in page ${page}`)
      }
      for (const run of hypervisor.hostMemoryOf(vm)) {
        for (let i = 0; i < run.pages; i++) {
          const words = hardware.memory.page(run.hostPage + i)!.words
          const touched = words[AIM / 4] === 0xa5a5_a5a5
          assert.ok(
            !touched || written.has(run.hostPage + i),
            `page ${run.hostPage + i} of ${vm} was written unseen`,
          )
        }
      }
    }
    for (const page of written) {
      if (pages.has(page)) hardware.memory.pageForWrite(page)!.words.fill(0, AIM / 4, AIM / 4 + 2)
    }
  }

  /** Functions raise their own vectors, and forge every handle that is in use. */
  #checkVectors(n: number): void {
    const { hardware, host } = this.platform
    const lines = new Map(
      host
        .interruptLines()
        .map(({ processor, vector, name }) => [`${processor}:${vector}`, name.split('/')[0]!]),
    )
    for (const fn of this.#sample(n)) {
      const silicon = hardware.fabric.functionAt(fn.segment, fn.rid)
      const unit = hardware.unitOf(fn.segment, fn.rid)
      if (silicon === undefined || unit === undefined) continue
      const owned = this.platform.hypervisor.route(fn.address, n % 3)
      if (owned !== undefined) assert.deepEqual(host.find(fn.address).owner, { kind: 'vm', name: owned.vm })
      // Compatibility format, then handles.
      for (const low of [0, ...Array.from({ length: 24 }, (_, i) => 0x10 | (((n + i) % 96) << 5))]) {
        const request = forged(silicon, low)
        this.tally.interrupts++
        if (request.status !== STATUS.successful || request.target !== TARGET.interrupt) continue
        const { interrupt } = request
        assert.ok(interrupt.remapped, `${fn.address} used compatibility format`)
        if (interrupt.posted || interrupt.processor < 0) continue
        const line = lines.get(`${interrupt.processor}:${interrupt.vector}`)
        if (line === undefined || line.startsWith('dmar')) continue
        const target = this.functions.find(({ address }) => address === line)
        const same = target !== undefined && (target.group === fn.group || sharesId(target, fn))
        assert.ok(same, `${fn.address} raised the vector of ${line} by handle ${interrupt.irteIndex}`)
      }
    }
    drive(this.platform.elapse(0), this.platform.engine.advance)
  }
}

/** Plainly, by the device-TLB, and in process address spaces, of which 0 is the kernel's for requests without. */
const WAYS = [undefined, { useAts: true }, { pasid: 0 }, { pasid: 1 }, { pasid: 5, useAts: true }] as const

/** Functions behind one bridge send under one id. */
const sharesId = (a: HostFunction, b: HostFunction): boolean =>
  a.parent !== undefined && a.parent === b.parent

function bytesOf(vm: string, generation: number, page: number): Uint8Array {
  return Uint8Array.from(Buffer.from(`${vm}#${generation}/${page}`.padEnd(MARK, '.'), 'latin1'))
}

/** A write to the interrupt range, whatever the function was told. */
function forged(fn: PcieFunction, addressLow: number): MemoryRequest {
  const request = new MemoryRequest()
  Object.assign(request, {
    page: 0xfee00,
    offset: addressLow,
    length: 4,
    write: true,
    data: Uint8Array.of(0x41, 0, 0, 0),
  })
  fn.issue(request)
  return request
}
