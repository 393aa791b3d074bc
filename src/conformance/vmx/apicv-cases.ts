/** Virtual interrupts: derived from the tests of vmx_tests.c on delivery, EOI, TPR and posted interrupts. */
import { LOCAL_APIC } from '../../interrupts/formats/local-apic.ts'
import { ACCESS_PAGE, type ApicvBench, type ApicvControls, apicvCase } from './apicv-bench.ts'
import { APICV_REGISTER_CASES } from './apicv-register-cases.ts'
import { APICV_TPR_CASES } from './apicv-tpr-cases.ts'
import type { ProcessorCase } from './case.ts'

const { TPR, EOI, PPR, ISR, IRR, ICR_LOW } = LOCAL_APIC
const HLT_STATE = 1
const CLASSES = Array.from({ length: 14 }, (_, i) => i + 2)
const TASK_PRIORITIES = Array.from({ length: 16 }, (_, i) => i << 4)
const delivery: ApicvControls = { apicAccesses: true, registers: true, delivery: true }
const posting: ApicvControls = { ...delivery, posted: true }

const status = (bench: ApicvBench): number => bench.machine.get('guestInterruptStatus')[0]
const next = (bench: ApicvBench): string => bench.describe(bench.run({ op: 'nop' }))
const write = (bench: ApicvBench, offset: number, value: number): string =>
  bench.effect({ op: 'write', address: ACCESS_PAGE + offset, width: 4, value: [value, 0] })
/** Leaves the guest by VMCALL, so that the VMCS can be read. */
const leave = (bench: ApicvBench): void => void bench.run({ op: 'vmcall', number: 0 })

/** Requests a vector by RVI alone, as the entry of the test does. */
function enterWith(bench: ApicvBench, vector: number, taskPriority: number): void {
  bench.machine.set('guestInterruptStatus', vector)
  bench.setRegister(TPR, taskPriority)
  for (let word = 0; word < 8; word++) {
    bench.setRegister(IRR + word * 16, 0)
    bench.setRegister(ISR + word * 16, 0)
  }
  bench.requestVector(vector)
  bench.machine.set('guestRflags', 0x202)
  bench.machine.set('guestActivityState', 0)
  bench.same('entry', bench.describe(bench.machine.enter()), 'done')
}

const entryCases = CLASSES.map(cls =>
  apicvCase(
    `vid.entry-${cls}`,
    'vmx_basic_vid_test',
    `at VM entry a vector of class ${cls} is delivered exactly if its class is above that of TPR`,
    bench => {
      bench.configure(delivery)
      for (const taskPriority of TASK_PRIORITIES) {
        const vector = (cls << 4) | 5
        enterWith(bench, vector, taskPriority | 3)
        const above = cls > taskPriority >>> 4
        const what = `vector ${vector} over TPR ${taskPriority}`
        bench.same(what, next(bench), above ? `interrupted ${vector}` : 'done')
        bench.same(`${what}: in service`, bench.hasVector(ISR, vector), above)
        bench.same(`${what}: requested`, bench.hasVector(IRR, vector), !above)
        bench.same(`${what}: VPPR`, bench.register(PPR), above ? cls << 4 : taskPriority | 3)
        leave(bench)
        bench.same(`${what}: status`, status(bench), above ? vector << 8 : vector)
      }
    },
  ),
)

const cr8Cases = CLASSES.map(cls =>
  apicvCase(
    `vid.cr8-${cls}`,
    'vmx_basic_vid_test',
    `MOV to CR8 has a vector of class ${cls} delivered exactly if its class is above`,
    bench => {
      bench.configure(delivery)
      for (const taskPriority of TASK_PRIORITIES) {
        const vector = (cls << 4) | 9
        enterWith(bench, vector, 0xff)
        bench.same('before', next(bench), 'done')
        const effect = bench.effect({ op: 'movToCr', cr: 8, value: [taskPriority >>> 4, 0] })
        const above = cls > taskPriority >>> 4
        bench.same(`CR8 ${taskPriority >>> 4}`, effect, above ? `interrupted ${vector}` : 'done 0x0')
        leave(bench)
      }
    },
  ),
)

const selfCases = CLASSES.map(cls =>
  apicvCase(
    `vid.selfIpi-${cls}`,
    'vmx_basic_vid_test',
    `a self-IPI of class ${cls} through the ICR is delivered without a VM exit`,
    bench => {
      bench.configure(delivery)
      for (let sub = 0; sub < 16; sub++) {
        const vector = (cls << 4) | sub
        enterWith(bench, 0, 0)
        bench.same(`vector ${vector}`, write(bench, ICR_LOW, (1 << 18) | vector), `interrupted ${vector}`)
        leave(bench)
      }
    },
  ),
)

/** ICR values that are no virtualized self-IPI: they exit, the page written. */
const COMMANDS: readonly (readonly [string, number])[] = [
  ['no shorthand', 0x41],
  ['all including self', (2 << 18) | 0x41],
  ['all excluding self', (3 << 18) | 0x41],
  ['delivery mode NMI', (1 << 18) | 0x441],
  ['level-triggered', (1 << 18) | 0x8041],
  ['vector below 16', (1 << 18) | 0x0f],
  ['delivery status set', (1 << 18) | 0x1041],
  ['reserved bit 20 set', (1 << 18) | 0x10_0041],
]
const commandCases = COMMANDS.map(([what, command], i) =>
  apicvCase(
    `vid.command-${i}`,
    'apic_reg_virt_test',
    `an ICR command with ${what} causes an APIC-write exit`,
    bench => {
      bench.configure(delivery)
      enterWith(bench, 0, 0)
      bench.same('effect', write(bench, ICR_LOW, command), 'apicWrite 0x300')
      bench.same('VICR_LO', bench.register(ICR_LOW), command)
    },
  ),
)

const eoiCases = CLASSES.flatMap(cls =>
  [false, true].map(exits =>
    apicvCase(
      `eoi-${cls}${exits ? '.exit' : ''}`,
      'vmx_eoi_virt_test',
      exits
        ? `EOI of class ${cls} with its bit of the EOI-exit bitmaps set: the vector leaves VISR, then exit 45`
        : `EOI of class ${cls} without a VM exit, and the lower vector is delivered next`,
      bench => {
        bench.configure(delivery)
        const words = [exits ? 0xffff_ffff : 0, exits ? 0xffff_ffff : 0] as const
        for (const n of [0, 1, 2, 3] as const) bench.machine.set(`eoiExitBitmap${n}`, words)
        const vector = (cls << 4) | 7
        const lower = 0x11
        enterWith(bench, vector, 0)
        bench.requestVector(lower)
        bench.same('first', next(bench), `interrupted ${vector}`)
        bench.run({ op: 'iret' })
        const end = (of: number, then: string): void => {
          bench.same(
            `EOI of ${of}`,
            write(bench, EOI, 0),
            exits ? `virtualizedEoi 0x${of.toString(16)}` : then,
          )
          bench.same(`${of} in service`, bench.hasVector(ISR, of), false)
          if (!exits) return
          bench.machine.enter()
          bench.same(`after the exit of ${of}`, next(bench), then === 'done 0x0' ? 'done' : then)
        }
        end(vector, `interrupted ${lower}`)
        bench.run({ op: 'iret' })
        end(lower, 'done 0x0')
        leave(bench)
        bench.same('status', status(bench), 0)
      },
    ),
  ),
)

const blockingCases = [
  apicvCase('vid.if', 'vmx_basic_vid_test', 'a recognized virtual interrupt waits for RFLAGS.IF', bench => {
    bench.configure(delivery)
    bench.machine.set('guestRflags', 2)
    bench.machine.set('guestInterruptStatus', 0x41)
    bench.requestVector(0x41)
    bench.machine.enter()
    bench.same('interrupts off', next(bench), 'done')
    bench.run({ op: 'sti' })
    bench.same('in the shadow of STI', next(bench), 'done')
    bench.same('after it', next(bench), 'interrupted 65')
  }),
  apicvCase(
    'vid.window',
    'vmx_basic_vid_test',
    'with interrupt-window exiting no virtual interrupt is recognized: the window exits instead',
    bench => {
      bench.configure(delivery)
      const [primary] = bench.machine.get('primaryProcessorBasedControls')
      bench.machine.set('primaryProcessorBasedControls', (primary | 4) >>> 0)
      enterWith(bench, 0x41, 0)
      bench.same('effect', next(bench), 'interruptWindow 0x0')
    },
  ),
  apicvCase(
    'hlt.rvi',
    'vmx_hlt_with_rvi_test',
    'entered into HLT with RVI above VPPR, the guest wakes',
    bench => {
      bench.configure(delivery)
      bench.machine.set('guestActivityState', HLT_STATE)
      bench.machine.set('guestInterruptStatus', 0xf1)
      bench.requestVector(0xf1)
      bench.machine.enter()
      bench.same('effect', next(bench), 'interrupted 241')
    },
  ),
  apicvCase(
    'hlt.rvi-low',
    'vmx_hlt_with_rvi_test',
    'entered into HLT with RVI not above VPPR, it sleeps',
    bench => {
      bench.configure(delivery)
      bench.setRegister(TPR, 0xf0)
      bench.machine.set('guestActivityState', HLT_STATE)
      bench.machine.set('guestInterruptStatus', 0xf1)
      bench.machine.enter()
      bench.same('effect', next(bench), 'halted')
    },
  ),
  apicvCase(
    'hlt.external',
    'vmx_hlt_with_rvi_test',
    'an external interrupt ends the sleep by exit 1',
    bench => {
      bench.configure(delivery)
      bench.machine.set('guestActivityState', HLT_STATE)
      bench.machine.enter()
      bench.machine.send(0, 0x55)
      bench.same('effect', next(bench), 'externalInterrupt 0x0')
    },
  ),
  apicvCase(
    'eoi.external',
    'vmx_eoi_bitmap_ioapic_scan_test',
    'a vector that the guest raises by INT is not in service: its EOI ends nothing and does not exit',
    bench => {
      bench.configure(delivery)
      bench.machine.set('eoiExitBitmap1', [0xffff_ffff, 0xffff_ffff])
      enterWith(bench, 0, 0)
      bench.run({ op: 'int', vector: 0x79 })
      bench.same('EOI', write(bench, EOI, 0), 'done 0x0')
    },
  ),
]

const postedCases = Array.from({ length: 16 }, (_, cls) =>
  apicvCase(
    `posted-${cls}`,
    'vmx_posted_interrupts_test',
    `posted to a guest with TPR class ${cls}: PIR moves to VIRR without a VM exit; what is above is delivered`,
    bench => {
      bench.configure(posting)
      for (let vector = 0x21; vector < 256; vector += 0x11) {
        enterWith(bench, 0, cls << 4)
        bench.post(vector)
        const above = vector >>> 4 > cls
        bench.same(`vector ${vector}`, next(bench), above ? `interrupted ${vector}` : 'done')
        bench.same(`vector ${vector} in VIRR`, bench.hasVector(IRR, vector), !above)
        bench.same('PIR and ON', bench.posted, 0)
        leave(bench)
        bench.same('status', status(bench), above ? vector << 8 : vector)
      }
    },
  ),
)

const postedMore = [
  apicvCase(
    'posted.hlt',
    'vmx_posted_interrupts_test',
    'a posted interrupt wakes a guest from HLT',
    bench => {
      bench.configure(posting)
      bench.machine.set('guestActivityState', HLT_STATE)
      bench.machine.enter()
      bench.same('asleep', next(bench), 'halted')
      bench.post(0x61)
      bench.same('awake', next(bench), 'interrupted 97')
    },
  ),
  apicvCase(
    'posted.hlt-low',
    'vmx_posted_interrupts_test',
    'processing that recognizes nothing leaves the guest in HLT',
    bench => {
      bench.configure(posting)
      bench.setRegister(TPR, 0xf0)
      bench.machine.set('guestActivityState', HLT_STATE)
      bench.machine.enter()
      bench.post(0x61)
      bench.same('asleep', next(bench), 'halted')
      bench.same('in VIRR', bench.hasVector(IRR, 0x61), true)
    },
  ),
  apicvCase(
    'posted.several',
    'vmx_posted_interrupts_test',
    'several vectors posted together are delivered by priority',
    bench => {
      bench.configure(posting)
      enterWith(bench, 0, 0)
      for (const vector of [0x31, 0x91, 0x62]) bench.post(vector)
      for (const vector of [0x91, 0x62, 0x31]) {
        bench.same('next', next(bench), `interrupted ${vector}`)
        write(bench, EOI, 0)
        bench.run({ op: 'iret' })
      }
    },
  ),
  apicvCase(
    'posted.other-vector',
    'vmx_posted_interrupts_test',
    'an external interrupt with another vector exits, acknowledged',
    bench => {
      bench.configure(posting)
      enterWith(bench, 0, 0)
      bench.machine.send(0, 0x55)
      bench.same('effect', next(bench), 'externalInterrupt 0x0')
      const [information] = bench.machine.get('exitInterruptionInformation')
      bench.same('interruption information', information, 0x8000_0055)
    },
  ),
  apicvCase(
    'posted.interrupts-off',
    'vmx_posted_interrupts_test',
    'with RFLAGS.IF clear the notification is processed all the same, and nothing is delivered',
    bench => {
      bench.configure(posting)
      bench.machine.set('guestRflags', 2)
      bench.machine.enter()
      bench.post(0x61)
      bench.same('effect', next(bench), 'done')
      bench.same('in VIRR', bench.hasVector(IRR, 0x61), true)
      bench.run({ op: 'sti' })
      bench.run({ op: 'nop' })
      bench.same('after STI', next(bench), 'interrupted 97')
    },
  ),
]

/** Combinations of controls that VM entry refuses (error 7). */
const REFUSED: readonly (readonly [string, ApicvControls])[] = [
  [
    'APIC-register virtualization without the TPR shadow',
    { registers: true, apicAccesses: true, tprShadow: false },
  ],
  ['x2APIC mode virtualized without the TPR shadow', { x2apic: true, tprShadow: false }],
  ['virtual-interrupt delivery without the TPR shadow', { delivery: true, tprShadow: false }],
  ['x2APIC mode and APIC accesses virtualized together', { x2apic: true, apicAccesses: true }],
  ['the same with registers virtualized', { x2apic: true, apicAccesses: true, registers: true }],
  ['posted interrupts without virtual-interrupt delivery', { posted: true }],
]
const refusedCases = REFUSED.map(([what, controls], i) =>
  apicvCase(
    `controls-${i}`,
    'apic_reg_virt_test, test_posted_intr, test_apic_virtual_ctls',
    `${what}: VM entry fails with error 7`,
    bench => {
      bench.configure(controls)
      const { outcome, error } = bench.machine.enter()
      bench.same('entry', `${outcome} ${error}`, 'vmFailValid 7')
    },
  ),
)

export const APICV_CASES: readonly ProcessorCase[] = [
  ...APICV_REGISTER_CASES,
  ...entryCases,
  ...cr8Cases,
  ...selfCases,
  ...commandCases,
  ...eoiCases,
  ...blockingCases,
  ...postedCases,
  ...postedMore,
  ...APICV_TPR_CASES,
  ...refusedCases,
]
