/** The TPR shadow and its threshold, without virtual-interrupt delivery: derived from vmx_tests.c. */
import { LOCAL_APIC } from '../../interrupts/formats/local-apic.ts'
import { ACCESS_PAGE, type ApicvBench, apicvCase } from './apicv-bench.ts'
import type { ProcessorCase } from './case.ts'

const { TPR } = LOCAL_APIC
const next = (bench: ApicvBench): string => bench.describe(bench.run({ op: 'nop' }))
const write = (bench: ApicvBench, offset: number, value: number): string =>
  bench.effect({ op: 'write', address: ACCESS_PAGE + offset, width: 4, value: [value, 0] })

/** TPR virtualization without virtual-interrupt delivery: threshold, new TPR class, whether exit 43 follows. */
const THRESHOLDS: readonly (readonly [number, number])[] = [
  [0, 0],
  [1, 0],
  [1, 1],
  [5, 4],
  [5, 5],
  [15, 14],
  [15, 15],
]
const ways = {
  memory: (bench: ApicvBench, cls: number): string => write(bench, TPR, cls << 4),
  cr8: (bench: ApicvBench, cls: number): string => bench.effect({ op: 'movToCr', cr: 8, value: [cls, 0] }),
  msr: (bench: ApicvBench, cls: number): string =>
    bench.effect({ op: 'wrmsr', msr: 0x808, value: [cls << 4, 0] }),
}
const thresholdCases = THRESHOLDS.flatMap(([threshold, cls]) =>
  (Object.keys(ways) as (keyof typeof ways)[]).map(way =>
    apicvCase(
      `threshold.${way}-${threshold}-${cls}`,
      'vmx_apic_passthrough_tpr_threshold_test, try_tpr_threshold_and_vtpr',
      `TPR class ${cls} set by ${way} under a threshold of ${threshold} ${cls < threshold ? 'causes exit 43' : 'causes no exit'}`,
      bench => {
        bench.configure(way === 'msr' ? { x2apic: true, passMsrs: true } : { apicAccesses: true })
        bench.setRegister(TPR, 0xf0)
        bench.machine.set('tprThreshold', threshold)
        bench.machine.enter()
        bench.same('effect', ways[way](bench, cls), cls < threshold ? 'tprBelowThreshold 0x0' : 'done 0x0')
        bench.same('VTPR', bench.register(TPR), cls << 4)
      },
    ),
  ),
)

const entryThreshold = THRESHOLDS.map(([threshold, cls]) =>
  apicvCase(
    `threshold.entry-${threshold}-${cls}`,
    'try_tpr_threshold_and_vtpr',
    `with APIC accesses virtualized a VM entry with TPR class ${cls} under a threshold of ${threshold} ${cls < threshold ? 'is followed by exit 43' : 'stays in the guest'}`,
    bench => {
      bench.configure({ apicAccesses: true })
      bench.setRegister(TPR, cls << 4)
      bench.machine.set('tprThreshold', threshold)
      const { outcome } = bench.machine.enter()
      const after = outcome === 'done' ? next(bench) : bench.describe(bench.run({ op: 'nop' }))
      bench.same('effect', after, cls < threshold ? 'tprBelowThreshold 0x0' : 'done')
    },
  ),
)

const cr8Reads = [0, 7, 15].map(cls =>
  apicvCase(
    `cr8.read-${cls}`,
    'vmx_basic_vid_test',
    `with the TPR shadow MOV from CR8 reads VTPR[7:4], here ${cls}`,
    bench => {
      bench.configure({})
      bench.setRegister(TPR, (cls << 4) | 5)
      bench.machine.enter()
      bench.same('CR8', bench.effect({ op: 'movFromCr', cr: 8 }), `done 0x${cls.toString(16)}`)
    },
  ),
)

export const APICV_TPR_CASES: readonly ProcessorCase[] = [...thresholdCases, ...entryThreshold, ...cr8Reads]
