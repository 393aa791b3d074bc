/** A workload's stream of operations, drawn from its seed. */
import { Random } from '../../core/index.ts'
import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import { enterUser, setTaskPriority, startKernel, switchProcess, unmapPage } from './kernel-routines.ts'
import { AT, DATA_PAGES, FIRST_DEVICE_VECTOR, LAZY_PAGES, PAGE, PROCESSES } from './layout.ts'
import { OPERATION_BYTES, type Step } from './player.ts'
import type { Workload } from './workload.ts'

const word = (low: number, high = 0): Word64 => [low >>> 0, high]
const PORTS = 8
const FIRST_PORT = 0x300
const DEVICES = 4
/** The page table's window before the APIC's page. */
const LAZY = Math.min(LAZY_PAGES, (AT.apicWindow - AT.lazy) / PAGE)

/** Where parts of the program lie: the same part always at the same address, as code does. */
const CODE = {
  start: AT.kernelCode + 0x1000,
  kernel: AT.kernelCode + 0x2000,
  toggles: AT.kernelCode + 0x2400,
  priority: AT.kernelCode + 0x2800,
  ports: AT.kernelCode + 0x2c00,
  memory: AT.kernelCode + 0x3000,
  self: AT.kernelCode + 0x3400,
  end: AT.kernelCode + 0x3800,
  user: AT.userCode,
  calls: AT.userCode + 0x1000,
} as const
/** The user program leaves to the kernel by this call, and stays there. */
const LEAVE: Operation = { op: 'int', vector: 0x80 }

class StreamBuilder {
  readonly steps: Step[] = []
  readonly #random: Random
  readonly #workload: Workload
  #process = 0

  constructor(workload: Workload) {
    this.#workload = workload
    this.#random = new Random(workload.seed)
  }

  #list(operations: readonly Operation[], at: number): void {
    for (const [i, operation] of operations.entries()) {
      this.steps.push({ kind: 'operation', operation, at: at + i * OPERATION_BYTES })
    }
  }

  start(): void {
    this.#list([...startKernel(), { op: 'sti' }], CODE.start)
  }

  /** What the kernel can read of its own processor, and its state at the end. */
  end(): void {
    this.#list(
      [
        { op: 'cli' },
        { op: 'movFromCr', cr: 0 },
        { op: 'movFromCr', cr: 2 },
        { op: 'movFromCr', cr: 3 },
        { op: 'movFromCr', cr: 4 },
        { op: 'pushf' },
      ],
      CODE.end,
    )
  }

  #times(count: number, act: () => void): void {
    for (let i = 0; i < count; i++) act()
  }

  #pick(count: number): number {
    return this.#random.integer(0, count - 1)
  }

  round(): void {
    const { round, bits } = this.#workload
    this.#times(round.interruptToggles, () =>
      this.#list(
        [
          { op: 'cli' },
          { op: 'pushf' },
          { op: 'nop' },
          { op: 'popf', flags: 0x202 },
          { op: 'nop' },
          { op: 'sti' },
        ],
        CODE.toggles,
      ),
    )
    this.#times(round.taskPriorityWrites, () =>
      this.#list([setTaskPriority(bits, this.#pick(6)), { op: 'nop' }], CODE.priority),
    )
    if (round.taskPriorityWrites > 0) this.#list([setTaskPriority(bits, 0)], CODE.priority + 8)
    this.#times(round.portAccesses, () => this.#port())
    this.#times(round.cpuids, () => this.#list([{ op: 'cpuid', leaf: this.#pick(2) }], CODE.kernel))
    this.#times(round.contextSwitches, () => {
      this.#process = this.#pick(PROCESSES)
      this.#list([switchProcess(this.#process)], CODE.kernel + 0x40)
    })
    this.#times(round.unmaps, () => {
      const page = AT.lazy + this.#pick(LAZY) * PAGE
      this.#list(unmapPage(bits, this.#process, page), CODE.memory)
    })
    this.#times(round.codeWrites, () => this.#writeCode())
    this.#times(round.interrupts, () => {
      this.steps.push({ kind: 'interrupt', vector: FIRST_DEVICE_VECTOR + this.#pick(DEVICES) * 8 })
      this.#list([{ op: 'nop' }], CODE.kernel + 0x80)
    })
    this.#user()
  }

  #port(): void {
    const port = FIRST_PORT + this.#pick(PORTS)
    const operation: Operation =
      this.#pick(2) === 0
        ? { op: 'in', port, width: 1 }
        : { op: 'out', port, width: 1, value: this.#pick(256) }
    this.#list([operation], CODE.ports + (operation.op === 'in' ? 0 : 4))
  }

  /** The kernel patches a word of a routine that it runs right after. */
  #writeCode(): void {
    this.#list(
      [
        {
          op: 'writeLinear',
          address: word(CODE.toggles + 0x800 - 0x40),
          width: 4,
          value: word(this.#pick(1000)),
        },
        { op: 'nop' },
      ],
      CODE.self,
    )
  }

  #user(): void {
    const { round, bits } = this.#workload
    const { compute, userAccesses, systemCalls, fastSystemCalls, pageFaults } = round
    if (compute + userAccesses + systemCalls + fastSystemCalls + pageFaults === 0) return
    this.#list(enterUser(bits), CODE.kernel + 0xc0)
    this.#times(compute, () => this.#list([{ op: 'nop' }], CODE.user))
    this.#times(userAccesses, () => this.#access(AT.userData, DATA_PAGES, CODE.user + 8))
    this.#times(systemCalls, () => this.#list([LEAVE], CODE.calls))
    this.#times(fastSystemCalls, () => this.#list([{ op: 'sysenter' }], CODE.calls + 8))
    this.#times(pageFaults, () => this.#access(AT.lazy, LAZY, CODE.user + 16))
    this.steps.push({ kind: 'leaveUser' })
  }

  #access(first: number, pages: number, at: number): void {
    const address = word(first + this.#pick(pages) * PAGE + this.#pick(512) * 8)
    const width = 4
    const operation: Operation =
      this.#pick(2) === 0
        ? { op: 'readLinear', address, width }
        : { op: 'writeLinear', address, width, value: word(this.#pick(2 ** 31 - 1)) }
    this.#list([operation], at)
  }
}

/** The whole stream: start, rounds, end. */
export function streamOf(workload: Workload): readonly Step[] {
  const builder = new StreamBuilder(workload)
  builder.start()
  for (let i = 0; i < workload.rounds; i++) builder.round()
  builder.end()
  return builder.steps
}
