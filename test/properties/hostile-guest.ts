/**
 * A guest that does what no driver would: it writes anything into the registers of its device and into the memory that
 * its rings are in. Beside it lives an honest one. Both are watched from outside.
 */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { digest } from '../../src/core/index.ts'
import { drive, type Software, within } from '../../src/engine/index.ts'
import { DRIVER_MEMORY, GuestKernel } from '../../src/guest/index.ts'
import { INTERRUPT_COUNTS_BASE, INTERRUPT_COUNTS_SIZE } from '../../src/hypervisor/formats/virtual-board.ts'
import { execute, type InputOf, installation, type OperationId } from '../../src/operations/index.ts'
import { type MemoryRequest, STATUS, TARGET } from '../../src/pcie/index.ts'
import type { SimulatedPlatform } from '../../src/system/index.ts'

export const HOSTILE = 'hostile'
export const HONEST = 'honest'
const PAGE = 4096
const DRIVER_END = DRIVER_MEMORY.base + DRIVER_MEMORY.size

/** Where accesses of the hostile guest go, and what it writes there. */
export type Act =
  | { readonly kind: 'register'; readonly bar: number; readonly offset: number; readonly value: number }
  | {
      readonly kind: 'memory'
      readonly page: number
      readonly entry: number
      readonly words: readonly number[]
    }
  | { readonly kind: 'event'; readonly number: number }

export interface HostileTally {
  registers: number
  requests: number
  /** Requests of the hostile guest's device that a remapping unit stopped, or that nobody answered. */
  blocked: number
  events: number
}

/** Addresses and sizes that mean something to a device, right or wrong. */
const WORDS = [
  0, 1, 2, 7, 8, 16, 0x80, 0x100, 0xffff, 0x1000, 0x10_0000, 0x10_1000, 0x11_0ff8, 0x1f_fff0,
  // Behind the guest's memory, where its registers are, the range of interrupt messages.
  0x20_0000, 0x7000_0000, 0xc000_0000, 0xfee0_0000, 0x8000_0000, 0x0200_0000, 0xffff_ffff,
]
export const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff_ffff }) },
)

/**
 * @param registers offsets that are worth more attempts than others
 * @param entry what an entry of a ring looks like, more or less
 */
export const actsOn = (registers: readonly number[], entry: fc.Arbitrary<number[]>): fc.Arbitrary<Act[]> => {
  const register = fc.record({
    kind: fc.constant('register' as const),
    bar: fc.constantFrom(0, 0, 0, 1),
    offset: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(...registers) },
      { weight: 1, arbitrary: fc.nat(0x1fff).map(dword => dword * 4) },
    ),
    value: word,
  })
  const memory = fc.record({
    kind: fc.constant('memory' as const),
    page: fc.nat(23),
    entry: fc.nat(7),
    words: fc.oneof(
      { weight: 4, arbitrary: entry },
      { weight: 1, arbitrary: fc.array(word, { minLength: 1, maxLength: 16 }) },
    ),
  })
  const event = fc.record({ kind: fc.constant('event' as const), number: fc.nat(7) })
  return fc.array(
    fc.oneof(
      { weight: 5, arbitrary: register },
      { weight: 3, arbitrary: memory },
      { weight: 3, arbitrary: event },
    ),
    { minLength: 20, maxLength: 40 },
  )
}

export class HostilePlatform {
  readonly platform: SimulatedPlatform
  readonly #context = installation()
  readonly #tally: HostileTally
  #pages: ReadonlySet<number> = new Set()
  /** Functions of the hostile guest. */
  #functions: ReadonlySet<number> = new Set()
  /** Digests of the honest guest's memory: of all, and of what no device and no handler of its own writes. */
  #honest: readonly [string, string] = ['', '']
  /** Guest pages that the device of the hostile guest has read so far: its rings are there. */
  readonly #rings = new Set<number>()

  constructor(topology: string, tally: HostileTally) {
    this.#tally = tally
    this.call('createPlatform', { topology, name: 'p' })
    this.platform = this.#context.platforms.get('p').running
    for (const name of [HOSTILE, HONEST])
      this.call('createVm', { platform: 'p', name, vcpus: 1, memoryMiB: 2 })
  }

  call<Id extends OperationId>(id: Id, input: InputOf<Id>) {
    return drive(execute(this.#context, id, input), () => false)
  }

  run<Result>(software: Software<Result>): Result {
    return drive(within(this.platform.engine, software), () => false)
  }

  /** Notes where rings lie while the device is started and used as it should be. */
  learn(): void {
    this.platform.hardware.watch({
      wrote: () => {},
      served: ({ write, page }) => {
        if (!write) this.#rings.add(page)
      },
    })
  }

  /** From here on everything that the hostile guest's functions send is looked at. */
  watch(): void {
    const { hypervisor, hardware } = this.platform
    const runs = hypervisor.hostMemoryOf(HOSTILE)
    this.#pages = new Set(
      runs.flatMap(({ hostPage, pages }) => Array.from({ length: pages }, (_, i) => hostPage + i)),
    )
    const { devices } = hypervisor.vm(HOSTILE)
    this.#functions = new Set(devices.map(({ address }) => requesterOf(address)))
    this.#honest = [this.#honestMemory(false), this.#honestMemory(true)]
    hardware.watch({ wrote: () => {}, served: request => this.#served(request) })
  }

  /** What a function of the guest reaches is the guest's own memory, or nothing. */
  #served(request: MemoryRequest): void {
    if (!this.#functions.has(request.requesterId)) return
    this.#tally.requests++
    if (request.status !== STATUS.successful) {
      this.#tally.blocked++
      return
    }
    if (request.target === TARGET.memory) {
      assert.ok(this.#pages.has(request.physicalPage), `a request reached page ${request.physicalPage}`)
    }
  }

  /** Does what the guest does; `event` is for what else may happen then. */
  act(acts: readonly Act[], slot: number, event: (number: number) => void): void {
    const bars = this.barsOf(slot)
    for (const act of acts) {
      if (act.kind === 'event') {
        this.#tally.events++
        event(act.number)
      } else if (act.kind === 'memory') this.#scribble(act)
      else {
        const bar = bars[act.bar % bars.length]!
        if (act.offset >= bar.size) continue
        this.#tally.registers++
        this.write(bar.base + act.offset, act.value)
      }
    }
    this.run(this.platform.elapse(50e6))
  }

  barsOf(slot: number) {
    return this.platform.hypervisor.lookAtGuest(HOSTILE, 0, software => {
      assert.ok(software instanceof GuestKernel)
      return software.devices.find(device => device.slot === slot)!.bars
    })
  }

  /** A store of the guest. */
  write(address: number, value: number): void {
    const { hypervisor } = this.platform
    this.run(hypervisor.runVcpu(HOSTILE, 0, [{ op: 'write', address, width: 4, value: [value, 0] }]))
  }

  /** Into one of the rings if it is known where they are; else into some page of the driver's memory. */
  #scribble({ page, entry, words }: Extract<Act, { kind: 'memory' }>): void {
    const bytes = new Uint8Array(Uint32Array.from(words).buffer)
    const rings = [...this.#rings].filter(
      ring => ring * PAGE >= DRIVER_MEMORY.base && ring * PAGE < DRIVER_END,
    )
    const ring = page % 4 === 0 ? undefined : rings[page % rings.length]
    const address = ring === undefined ? DRIVER_MEMORY.base + page * PAGE : ring * PAGE
    this.platform.hypervisor.writeGuest(HOSTILE, address + entry * bytes.length, bytes)
  }

  /**
   * Whatever the one did, nothing of the other's has changed.
   *
   * @param heard whether it was sent frames meanwhile, as anybody may: they are in its buffers.
   */
  judge(heard = false): void {
    assert.ok(this.platform.responds, 'the host goes on')
    const [all, own] = this.#honest
    const now = this.#honestMemory(heard)
    assert.equal(now, heard ? own : all, 'the memory of the other guest is as it was')
  }

  #honestMemory(withoutBuffers: boolean): string {
    const { hypervisor } = this.platform
    const ranges = hypervisor.vm(HONEST).memory
    return digest(
      ranges.map(({ base, size }) => {
        const bytes = hypervisor.readGuest(HONEST, base, size)
        if (withoutBuffers && base === 0) {
          bytes.fill(0, DRIVER_MEMORY.base, DRIVER_END)
          bytes.fill(0, INTERRUPT_COUNTS_BASE, INTERRUPT_COUNTS_BASE + INTERRUPT_COUNTS_SIZE)
        }
        return bytes
      }),
    )
  }
}

/** Bus, device and function of an address on segment 0. */
function requesterOf(address: string): number {
  const [, bus, device, fn] = /^0000:(..):(..)\.(.)$/.exec(address)!
  return (Number.parseInt(bus!, 16) << 8) | (Number.parseInt(device!, 16) << 3) | Number(fn)
}
