/** Memory of L2: EPT02 is what EPT12 and EPT01 give together, never more. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GuestHypervisor, type GuestMapping } from '../../src/guest/index.ts'
import { ExtendedPageTable } from '../../src/hypervisor/extended-page-table.ts'
import { HostPages } from '../../src/hypervisor/host-pages.ts'
import type { HostProcessor } from '../../src/hypervisor/host-processor.ts'
import { ShadowEpt } from '../../src/hypervisor/nested/shadow-ept.ts'
import { EXIT_REASON } from '../../src/vmx/formats/exit-reasons.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import { bareHost } from './bare-host.ts'
import { type Leaf, leaves, type ReadQword, type Walk, walk } from './ept-composition.ts'
import { memoryMachine } from './memory-machine.ts'

const VM = 'l1'
const PAGE = 4096
/** Pages of L1 for its own tables and regions: L2 may read them, but not write. */
const TABLES = { first: 0x200, pages: 0x180 }
const OWN = { first: 0, end: TABLES.first + TABLES.pages }
const ACCESS = { read: 1n, write: 2n, fetch: 4n } as const
const ROOT_BITS = 0x000f_ffff_ffff_f000n

/** L1 with some memory, on a host whose free memory lies in pieces. */
function makeL1({ memoryMiB, holes }: { memoryMiB: number; holes: readonly number[] }) {
  const made: GuestHypervisor[] = []
  const parts = bareHost(1, () => (port, vcpu) => {
    made.push(new GuestHypervisor(port, vcpu, { tables: TABLES, memory: { first: 0, pages: 0 } }))
    return made[0]!
  })
  const { hypervisor, host, memory, processors, run } = parts
  for (const pages of holes) {
    host.memory.allocate(1)
    const kept = host.memory.allocate(pages)
    host.memory.allocate(1)
    host.memory.free(kept, pages)
  }
  run(hypervisor.createVm({ name: VM, vcpus: 1, memoryMiB, nested: true }))
  const eptPointer = (): bigint => {
    const { page } = hypervisor.vmcs(VM, 0)
    return BigInt(processors[0]!.vmcsFieldsAt(page * PAGE)['eptPointer']!)
  }
  const host64: ReadQword = address => {
    const at = Number(address)
    return (BigInt(memory.readDword(at + 4)!) << 32n) | BigInt(memory.readDword(at)!)
  }
  const root01 = eptPointer() & ROOT_BITS
  /** An address of L1 in host memory. */
  const below = (address: bigint): Walk => walk(host64, root01, address, 0n)
  /** What L1 finds at an address; nothing answers where it has no memory. */
  const guest64: ReadQword = address => {
    const found = below(address)
    return found.kind === 'mapped' ? host64(found.address) : 0xffff_ffff_ffff_ffffn
  }
  const l1 = made[0]!
  const root12 = BigInt(l1.tables.pointer[1]) * 2n ** 32n + BigInt(l1.tables.pointer[0])
  const above = (address: bigint, wanted: bigint): Walk => walk(guest64, root12 & ROOT_BITS, address, wanted)
  // While L2 runs, the VMCS is its.
  run(l1.execute({ op: 'nop' }))
  const root02 = eptPointer() & ROOT_BITS
  expect(root02).not.toBe(root01)
  /** What EPT02 maps. */
  const shadow = (): Leaf[] => leaves(host64, root02)
  const nested = () => hypervisor.vcpu(VM, 0).nested!
  /** CPUID of L2 always exits: L1 runs after it. */
  const toL1 = (): void => void run(l1.execute({ op: 'cpuid', leaf: 0 }))
  return { memory, run, l1, below, above, shadow, nested, toL1 }
}

type L1 = ReturnType<typeof makeL1>

/** Everything in EPT02 is in both, with the rights of both, at the host address that one gives after the other. */
function checkShadow({ above, below, shadow }: L1): number {
  const mapped = shadow()
  for (const { address, size, frame, rights, type } of mapped) {
    const first = above(address, 0n)
    expect(first, `EPT12 at ${address.toString(16)}`).toMatchObject({ kind: 'mapped' })
    if (first.kind !== 'mapped') continue
    const second = below(first.address)
    expect(second, `EPT01 at ${first.address.toString(16)}`).toMatchObject({ kind: 'mapped' })
    if (second.kind !== 'mapped') continue
    expect({ size, frame, rights, type }).toEqual({
      size: 4096n,
      frame: second.address,
      rights: first.rights & second.rights,
      type: second.type,
    })
  }
  return mapped.length
}

/** L2 makes an access: what comes of it is what the two walks say. */
function checkAccess(machine: L1, access: keyof typeof ACCESS, address: number, value: number): string {
  const { memory, run, l1, above, below, nested } = machine
  const first = above(BigInt(address), ACCESS[access])
  const second = first.kind === 'mapped' ? below(first.address) : undefined
  const operation: Operation =
    access === 'fetch'
      ? { op: 'fetch', address }
      : access === 'read'
        ? { op: 'read', address, width: 4 }
        : { op: 'write', address, width: 4, value: [value, 0] }
  const before = nested().reflected
  const host = second?.kind === 'mapped' ? Number(second.address) : undefined
  const there = host === undefined ? 0xffff_ffff : memory.readDword(host)!
  const result = run(l1.execute(operation))
  const shown = (reason: string): number => (nested().reflected[reason] ?? 0) - (before[reason] ?? 0)
  // Where no memory is nothing can be executed: the hypervisor faults L2.
  const nowhere = first.kind === 'mapped' && host === undefined && access === 'fetch'
  expect(result.outcome).toBe(nowhere ? 'exception' : 'done')
  if (first.kind !== 'mapped') {
    const violation = first.kind === 'violation'
    expect([shown('eptViolation'), shown('eptMisconfiguration')]).toEqual(violation ? [1, 0] : [0, 1])
    expect(l1.lastExit).toMatchObject({
      reason: violation ? EXIT_REASON.eptViolation : EXIT_REASON.eptMisconfiguration,
      address,
    })
    if (violation) {
      const told = BigInt(l1.lastExit!.qualification)
      expect({ access: told & 7n, rights: (told >> 3n) & 7n }).toEqual({
        access: ACCESS[access],
        rights: first.rights,
      })
    }
    return first.kind
  }
  expect([shown('eptViolation'), shown('eptMisconfiguration')]).toEqual([0, 0])
  if (access === 'read') expect(result.low).toBe(there)
  if (access === 'write' && host !== undefined) expect(memory.readDword(host)).toBe(value)
  return host === undefined ? 'nobody’s' : 'memory'
}

/** Pages of L2 on which tables, large pages and levels begin and end. */
const page = fc.oneof(
  fc.nat({ max: 7 }),
  fc.constantFrom(511, 512, 513, 1024, 2 ** 18 - 1, 2 ** 18, 2 ** 27, 2 ** 36 - 1),
)
/** Pages of L1: memory, its end, the hole, its own tables, beyond the processor's width. */
const frame = (pages: number) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: OWN.end, max: pages - 1 }) },
    { weight: 2, arbitrary: fc.integer({ min: pages - 2, max: pages + 2 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: pages >> 9 }).map(n => n * 512) },
    { weight: 1, arbitrary: fc.constantFrom(0, TABLES.first, 0xc_0000, 2 ** 34 - 1, 2 ** 34, 2 ** 40 - 1) },
  )
const mapping: fc.Arbitrary<GuestMapping> = fc.record({
  level: fc.oneof(
    { weight: 5, arbitrary: fc.constant(1 as const) },
    { weight: 2, arbitrary: fc.constant(2 as const) },
    { weight: 1, arbitrary: fc.constant(3 as const) },
  ),
  rights: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(1, 3, 4, 5, 7) },
    { weight: 1, arbitrary: fc.nat({ max: 7 }) },
  ),
  type: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0, 6) },
    { weight: 1, arbitrary: fc.nat({ max: 7 }) },
  ),
})
const memoryMiB = fc.constantFrom(4, 5, 8, 13)
const layout = memoryMiB.chain(mebibytes =>
  fc.record({
    memoryMiB: fc.constant(mebibytes),
    holes: fc.array(fc.constantFrom(1, 3, 64, 511, 512, 700), { maxLength: 6 }),
    steps: fc.array(
      fc.oneof(
        {
          weight: 3,
          arbitrary: fc.record({ page, frame: frame(mebibytes * 256), mapping }),
        },
        {
          weight: 6,
          arbitrary: fc.record({
            page,
            access: fc.constantFrom('read' as const, 'write' as const, 'fetch' as const),
            offset: fc.nat({ max: 1023 }).map(n => n * 4),
            /** The step's page, or one that L1 mapped. */
            mapped: fc.boolean(),
          }),
        },
        { weight: 1, arbitrary: fc.record({ unmap: fc.nat({ max: 30 }) }) },
      ),
      { minLength: 10, maxLength: 40 },
    ),
  }),
)

test('EPT02 equals an independent composition of EPT12 and EPT01, for random tables and layouts of both', () => {
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(layout, ({ steps, ...options }) => {
      const machine = makeL1(options)
      const { l1, run, above, toL1 } = machine
      const mapped: { page: number; level: 1 | 2 | 3 }[] = []
      for (const [i, step] of steps.entries()) {
        if ('mapping' in step) {
          toL1()
          const level = step.mapping.level ?? 1
          if (run(l1.tables.map(step.page, step.frame, step.mapping))) mapped.push({ page: step.page, level })
          run(l1.tables.invalidate())
        } else if ('unmap' in step) {
          const chosen = mapped[step.unmap % (mapped.length || 1)]
          if (chosen === undefined) continue
          toL1()
          run(l1.tables.unmap(chosen.page, chosen.level))
          run(l1.tables.invalidate())
        } else {
          const chosen = step.mapped
            ? (mapped[step.page % (mapped.length || 1)]?.page ?? step.page)
            : step.page
          const address = chosen * PAGE + step.offset
          const target = above(BigInt(address), 0n)
          const own = target.kind === 'mapped' && Number(target.address) < OWN.end * PAGE
          const outcome = checkAccess(
            machine,
            own && step.access === 'write' ? 'read' : step.access,
            address,
            0x1000 + i,
          )
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
          const pages = checkShadow(machine)
          if (outcome === 'memory') expect(pages).toBeGreaterThan(0)
        }
      }
    }),
    { numRuns: Number(process.env['RUNS'] ?? 60) },
  )
  for (const outcome of ['memory', 'nobody’s', 'violation', 'misconfiguration']) {
    expect(seen.get(outcome), outcome).toBeGreaterThan(0)
  }
})

const rights = fc.constantFrom(1, 3, 4, 5, 7)
test('a page of EPT02 has the rights that both levels give, and none without those that are asked for', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ page: fc.nat({ max: 40 }), rights, uncached: fc.boolean() }), { maxLength: 10 }),
      fc.array(
        fc.record({
          page: fc.nat({ max: 20 }),
          given: fc.record({ page: fc.nat({ max: 40 }), rights }),
          wanted: fc.constantFrom(1, 2, 4),
        }),
        { maxLength: 20 },
      ),
      (below, added) => {
        const { memory, machine, allocator } = memoryMachine(32)
        const pages = new HostPages(machine, allocator)
        const ept01 = new ExtendedPageTable(machine, pages)
        const ept02 = new ShadowEpt(machine, pages, ept01)
        const processor = { run: () => undefined } as unknown as HostProcessor
        const host = new Map<number, { frame: bigint; rights: bigint; type: bigint }>()
        for (const one of below) {
          if (host.has(one.page)) continue
          const frame = 0x9000 + one.page
          ept01.map(one.page, frame, 1, one.uncached ? 'UC' : 'WB', one.rights)
          host.set(one.page, {
            frame: BigInt(frame * PAGE),
            rights: BigInt(one.rights),
            type: one.uncached ? 0n : 6n,
          })
        }
        const expected = new Map<bigint, object>()
        for (const { page: at, given, wanted } of added) {
          const found = host.get(given.page)
          const permitted = found !== undefined && (found.rights & BigInt(wanted)) !== 0n
          const asked = { ...given, rights: given.rights | wanted }
          expect(ept02.add(at, asked, wanted, processor)).toBe(permitted)
          if (!permitted) continue
          const address = BigInt(at * PAGE)
          const both = found.rights & BigInt(asked.rights)
          expected.set(address, { address, size: 4096n, ...found, rights: both })
        }
        const read: ReadQword = address =>
          (BigInt(memory.readDword(Number(address) + 4)!) << 32n) | BigInt(memory.readDword(Number(address))!)
        const told = leaves(read, BigInt(ept02.root * PAGE))
        expect(new Map(told.map(leaf => [leaf.address, leaf]))).toEqual(expected)
      },
    ),
    { numRuns: 100 },
  )
})
