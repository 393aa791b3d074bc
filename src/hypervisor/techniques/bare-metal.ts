/** The baseline: the guest is the only software, and guest-physical addresses are physical ones. */
import { RFLAGS } from '../../vmx/formats/msrs.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { Ledger } from './ledger.ts'
import { enterMode, loadSegments, must, word } from './processor-boot.ts'
import { type GuestStart, OutcomeRecord, type Technique, type TechniqueHost } from './technique.ts'

export class BareMetal implements Technique {
  readonly name = 'bareMetal'
  readonly ledger = new Ledger()
  readonly #host: TechniqueHost
  readonly #start: GuestStart
  readonly #outcome = new OutcomeRecord()

  constructor(host: TechniqueHost, start: GuestStart) {
    this.#host = host
    this.#start = start
  }

  start(): void {
    const { processor, bits } = this.#host
    const { cr3, gdt, idt, code, data, task, rsp } = this.#start
    enterMode(processor, bits, word(cr3))
    loadSegments(processor, {
      gdt: { base: word(gdt.base), limit: gdt.limit },
      idt: { base: word(idt.base), limit: idt.limit },
      code,
      data,
      task,
      stack: word(rsp),
    })
    this.#jumpToKernel()
  }

  /** The boot loader's last instruction, IRET to the kernel's first; it leaves nothing on the stack. */
  #jumpToKernel(): void {
    const { machine, processor, bits } = this.#host
    const { rip, code, rsp, data } = this.#start
    const size = bits / 8
    const values = bits === 64 ? [rip, code, RFLAGS.fixed1, rsp, data] : [rip, code, RFLAGS.fixed1]
    const frame = rsp - values.length * size
    for (const [i, value] of values.entries()) machine.writeDword(frame + i * size, value)
    must(processor, { op: 'movToSp', value: word(frame) })
    must(processor, { op: 'iretFrame' })
    for (const i of values.keys()) machine.writeDword(frame + i * size, 0)
  }

  execute(operation: Operation): OutcomeRecord {
    const { processor } = this.#host
    const vector = processor.takeInterrupt()
    if (vector >= 0) return this.#outcome.event(vector)
    const result = processor.execute(operation)
    switch (result.outcome) {
      case 'done':
        this.ledger.count('nativeOperation')
        return this.#outcome.copy(result)
      case 'exception':
        return this.#outcome.event(result.vector, result.error)
      case 'halted':
        return this.#outcome.end('halted')
      default:
        return this.#outcome.end('failed')
    }
  }

  readGuest(address: number): number {
    return this.#host.machine.readDword(address)
  }
}
