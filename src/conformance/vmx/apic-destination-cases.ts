/** Cases of destinations, derived from x86/apic.c of kvm-unit-tests. */
import { LOCAL_APIC } from '../../interrupts/formats/local-apic.ts'
import type { ProcessorCase } from './case.ts'
import { type InterruptBench, interruptCase } from './interrupt-bench.ts'

const VECTOR = 0xf1
const LOGICAL = 1 << 11
const ALL_INCLUDING_SELF = 2 << 18
const ALL_EXCLUDING_SELF = 3 << 18
const FLAT = 0xffff_ffff
const CLUSTER = 0x0fff_ffff
const { LDR, DFR } = LOCAL_APIC

/** Which processors were interrupted, as bits. */
const reached = (bench: InterruptBench): number =>
  bench.processors.reduce((set, { number }) => set | (bench.handled(VECTOR, number) << number), 0)

function setLogical(bench: InterruptBench, model: number, ...ids: readonly number[]): void {
  for (const [processor, id] of ids.entries()) {
    bench.writeApic(DFR, model, processor)
    bench.writeApic(LDR, id << 24, processor)
  }
}

const bit = (n: number): number => 1 << n

/** Every destination that a mask reaches, and only those, for one setting of the logical identifiers. */
function compare(
  bench: InterruptBench,
  destinations: readonly number[],
  expected: (destination: number) => number,
): void {
  for (const destination of destinations) {
    bench.command(LOGICAL | VECTOR, destination)
    bench.same(`reached by destination ${destination.toString(16)}H`, reached(bench), expected(destination))
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

const flatSingle = upTo(8).map(i =>
  interruptCase(
    `apic.logical.flat.single-${i}`,
    'x86/apic.c test_logical_ipi_xapic',
    `flat: destinations with bit ${i} reach the processor whose logical identifier is that bit, and no other`,
    bench => {
      setLogical(bench, FLAT, 0, bit(i))
      // 255 names every processor.
      compare(bench, upTo(255), destination => (destination & bit(i) ? 0b10 : 0))
    },
    2,
  ),
)

const clusterSingle = upTo(15).map(cluster =>
  interruptCase(
    `apic.logical.cluster.single-${cluster}`,
    'x86/apic.c test_logical_ipi_xapic',
    `cluster: destinations of cluster ${cluster} reach the members whose bit they have`,
    bench => {
      for (const i of upTo(4)) {
        setLogical(bench, CLUSTER, 0, (cluster << 4) | bit(i))
        compare(
          bench,
          upTo(16).map(members => (cluster << 4) | members),
          destination => (destination & bit(i) ? 0b10 : 0),
        )
      }
    },
    2,
  ),
)

const flatMultiple = upTo(8).map(i =>
  interruptCase(
    `apic.logical.flat.multiple-${i}`,
    'x86/apic.c test_logical_ipi_xapic',
    `flat: a destination with bit ${i} and another reaches both processors`,
    bench => {
      for (const j of upTo(8)) {
        if (i === j) continue
        setLogical(bench, FLAT, bit(i), bit(j))
        compare(
          bench,
          [bit(i) | bit(j), bit(i), bit(j)],
          destination => (destination & bit(i) ? 1 : 0) | (destination & bit(j) ? 2 : 0),
        )
      }
    },
    2,
  ),
)

const clusterMultiple = upTo(15).map(cluster =>
  interruptCase(
    `apic.logical.cluster.multiple-${cluster}`,
    'x86/apic.c test_logical_ipi_xapic',
    `cluster: a destination of cluster ${cluster} with two bits reaches both members`,
    bench => {
      const base = cluster << 4
      for (const [i, j] of [
        [0, 1],
        [1, 3],
        [2, 0],
        [3, 2],
      ] as const) {
        setLogical(bench, CLUSTER, base | bit(i), base | bit(j))
        compare(
          bench,
          upTo(16).map(members => base | members),
          destination => (destination & bit(i) ? 1 : 0) | (destination & bit(j) ? 2 : 0),
        )
      }
    },
    2,
  ),
)

const broadcasts = (['xAPIC', 'x2APIC'] as const).flatMap(mode => {
  const prepare = (bench: InterruptBench): number => {
    if (mode === 'x2APIC') bench.toX2apic()
    return mode === 'x2APIC' ? 0xffff_ffff : 0xff
  }
  return [
    interruptCase(
      `apic.broadcast.${mode}.physical`,
      'x86/apic.c test_physical_broadcast',
      `${mode}: the physical broadcast address reaches every processor`,
      bench => {
        bench.command(VECTOR, prepare(bench))
        bench.same('reached', reached(bench), 0b1111)
      },
      4,
    ),
    interruptCase(
      `apic.broadcast.${mode}.logical`,
      'x86/apic.c test_logical_ipi_xapic',
      `${mode}: the broadcast address reaches every processor in logical mode too`,
      bench => {
        bench.command(LOGICAL | VECTOR, prepare(bench))
        bench.same('reached', reached(bench), 0b1111)
      },
      4,
    ),
    interruptCase(
      `apic.broadcast.${mode}.shorthand`,
      'x86/apic.c test_physical_broadcast',
      `${mode}: the shorthand "all including self" reaches every processor, whatever the destination says`,
      bench => {
        prepare(bench)
        bench.command(ALL_INCLUDING_SELF | VECTOR, 0)
        bench.same('reached', reached(bench), 0b1111)
      },
      4,
    ),
    interruptCase(
      `apic.broadcast.${mode}.others`,
      'x86/apic.c test_physical_broadcast',
      `${mode}: the shorthand "all excluding self" leaves the sender out`,
      bench => {
        prepare(bench)
        bench.command(ALL_EXCLUDING_SELF | VECTOR, 0, 2)
        bench.same('reached', reached(bench), 0b1011)
      },
      4,
    ),
    ...upTo(4).map(target =>
      interruptCase(
        `apic.physical.${mode}-${target}`,
        'x86/apic.c test_physical_broadcast',
        `${mode}: physical destination ${target} reaches processor ${target} alone`,
        bench => {
          prepare(bench)
          bench.command(VECTOR, target)
          bench.same('reached', reached(bench), bit(target))
        },
        4,
      ),
    ),
  ]
})

const x2apicLogical = interruptCase(
  'apic.logical.x2apic',
  'x86/apic.c test_logical_ipi_xapic (its x2APIC counterpart)',
  'x2APIC: the derived logical identifiers are members of cluster 0, by their number',
  bench => {
    bench.toX2apic()
    compare(bench, upTo(16), destination => destination)
    compare(bench, [0x1_0001, 0x1_000f], () => 0)
  },
  4,
)

export const DESTINATION_CASES: readonly ProcessorCase[] = [
  ...flatSingle,
  ...clusterSingle,
  ...flatMultiple,
  ...clusterMultiple,
  ...broadcasts,
  x2apicLogical,
]
