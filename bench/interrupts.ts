/**
 * Prices of interrupts: nanoseconds from a message to the end of its handler, taken by the host, injected into a guest
 * after a VM exit, and posted to a guest that stays where it is. Medians of interleaved rounds; then bytes allocated.
 */
import { ApicvBench } from '../src/conformance/vmx/apicv-bench.ts'
import { InterruptBench } from '../src/conformance/vmx/interrupt-bench.ts'
import { InterruptMessage } from '../src/interrupts/index.ts'
import { PhysicalMemory } from '../src/memory/index.ts'
import type { Operation } from '../src/vmx/formats/operations.ts'
import { VMCS } from '../src/vmx/formats/vmcs.ts'
import { PostedInterrupts } from '../src/vtd/posted-interrupts.ts'
import { type Contestant, measure, report } from './measure.ts'

const VECTOR = 0x41

// The host: accepted, taken, ended by an MSR write.
const host = new InterruptBench(1)
host.toX2apic()
const message = new InterruptMessage()
message.vector = VECTOR
const END: Operation = { op: 'wrmsr', msr: 0x80b, value: [0, 0] }
const IRET: Operation = { op: 'iret' }
const NOP: Operation = { op: 'nop' }

// A guest whose interrupts are posted.
const posted = new ApicvBench()
posted.machine.engine.trace.enabled = false
posted.configure({ x2apic: true, registers: true, delivery: true, posted: true, passMsrs: true })
if (posted.machine.enter().outcome !== 'done') throw new Error('the guest is not entered')

// The same message as an interrupt of the host, which injects it: exit, VMWRITE, entry, and an EOI that exits.
const injected = new ApicvBench()
injected.machine.engine.trace.enabled = false
injected.configure({ tprShadow: false })
injected.machine.set('exitControls', injected.machine.get('exitControls')[0] | (1 << 15))
if (injected.machine.enter().outcome !== 'done') throw new Error('the guest is not entered')
const INJECT: Operation = {
  op: 'vmwrite',
  field: VMCS.entryInterruptionInformation,
  value: [(0x8000_0000 | VECTOR) >>> 0, 0],
}
const RESUME: Operation = { op: 'vmresume' }
const HOST_END: Operation = { op: 'write', address: 0xfee0_00b0, width: 4, value: [0, 0] }

// A unit that posts: the entry names a descriptor at 1000H.
const memory = new PhysicalMemory([{ base: 0, size: 0x10_0000 }])
const unit = new PostedInterrupts(memory)
const entry = Uint32Array.from([0x8001 | (VECTOR << 16), 0x1000, 0, 0])
const notification = new InterruptMessage()
memory.writeDword(0x1000, 0)

const contestants: readonly Contestant[] = [
  {
    name: 'host: message, taken, EOI',
    count: 500_000,
    run: count => {
      for (let i = 0; i < count; i++) {
        host.bus.deliver(message)
        host.processors[0]!.takeInterrupt()
        host.run(END)
      }
    },
  },
  {
    name: 'unit: posted by an IRTE, notification composed',
    count: 1_000_000,
    run: count => {
      for (let i = 0; i < count; i++) {
        unit.post(entry, 0, true, notification)
        memory.writeDword(0x1020, 0)
      }
    },
  },
  {
    name: 'guest: posted, delivered, EOI, IRET, no exit',
    count: 200_000,
    run: count => {
      for (let i = 0; i < count; i++) {
        posted.post(VECTOR)
        posted.run(NOP)
        posted.run(END)
        posted.run(IRET)
      }
    },
  },
  {
    name: 'guest: exit, injected, EOI by exit, IRET',
    count: 100_000,
    run: count => {
      for (let i = 0; i < count; i++) {
        injected.machine.send(0, VECTOR)
        injected.run(NOP)
        injected.run(HOST_END)
        injected.run(INJECT)
        injected.run(RESUME)
        injected.run(END)
        injected.run(RESUME)
        injected.run(IRET)
      }
    },
  },
]

report(measure(contestants))
console.log()
for (const { name, run } of contestants) {
  const before = process.memoryUsage().heapUsed
  run(20_000)
  const bytes = (process.memoryUsage().heapUsed - before) / 20_000
  console.log(`${name}: ${bytes.toFixed(1)} bytes allocated`)
}
if (posted.run(NOP).outcome !== 'done' || injected.run(NOP).outcome !== 'done') {
  throw new Error('a guest is not where it should be')
}
