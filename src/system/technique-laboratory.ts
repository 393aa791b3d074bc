/**
 * A fresh machine for each technique: one processor, memory, a bank of I/O ports; the guest's image loaded, the stream
 * played, and everything that could be seen afterwards.
 */
import { digest } from '../core/index.ts'
import { Engine } from '../engine/index.ts'
import {
  AT,
  GUEST_PAGES,
  guestImage,
  KERNEL_STACK_TOP,
  Player,
  runSelfCheck,
  SELECTOR,
  type SelfCheckResult,
  type Step,
  selfChecksFor,
} from '../guest/index.ts'
import {
  type GuestStart,
  type LedgerView,
  makeTechnique,
  type TechniqueFeatures,
  type TechniqueName,
} from '../hypervisor/index.ts'
import { ApicBus, InterruptMessage } from '../interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../memory/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { LogicalProcessor, type WalkCounts } from '../vmx/index.ts'

const MEMORY = 0x200_0000
/** Pages of the hypervisor lie between 1 MiB and 16 MiB; guests of hypervisors from 16 MiB on, bare guests at 0. */
const FIRST_OWN_PAGE = 0x400
const LAST_OWN_PAGE = 0xfff
const GUEST_BASE = 0x1000
const PORTS = 0x1_0000

export const guestStart = (bits: 32 | 64): GuestStart => ({
  cr3: AT.tables,
  gdt: { base: AT.gdt, limit: 0x57 },
  idt: { base: AT.idt, limit: 256 * (bits / 4) - 1 },
  code: SELECTOR.kernelCode,
  data: SELECTOR.kernelData,
  task: SELECTOR.task,
  taskBase: AT.tss,
  rip: AT.kernelCode,
  rsp: KERNEL_STACK_TOP,
})

export interface StreamRun {
  readonly failed: boolean
  /** Everything the guest observed, events included, and its memory afterwards. */
  readonly observations: readonly number[]
  readonly delivered: readonly number[]
  readonly memory: Uint32Array
  readonly walks: WalkCounts
  readonly ledger: LedgerView
}

export class TechniqueLaboratory {
  readonly engine = new Engine()
  readonly memory = new PhysicalMemory([{ base: 0, size: MEMORY }])
  readonly map = new SystemAddressMap(this.memory)
  readonly processor: LogicalProcessor
  readonly machine: MachinePort
  readonly #bus = new ApicBus()
  readonly #message = new InterruptMessage()
  readonly #latches = new Uint8Array(PORTS)
  #nextPage = FIRST_OWN_PAGE

  constructor() {
    this.engine.trace.enabled = false
    const latches = this.#latches
    const ports = {
      in: (port: number) => latches[port]! ^ 0x5a,
      out: (port: number, _width: number, value: number) => void (latches[port] = value),
    }
    this.processor = new LogicalProcessor(
      { number: 0, apicId: 0, capabilities: { eventDelivery: 'idtAlways', svm: true } },
      { map: this.map, bus: this.#bus, ports, engine: this.engine },
    )
    this.machine = {
      get board(): never {
        throw new Error('defect: only firmware reads the board')
      },
      processors: [this.processor],
      readDword: address => this.map.readDword(address),
      writeDword: (address, value, lanes) => this.map.writeDword(address, value, lanes),
      readBytes: (address, target) => this.memory.read(address, target),
      writeBytes: (address, source) => this.memory.write(address, source),
      zeroPages: (first, count) => this.memory.zeroPages(first, count),
      inPort: ports.in,
      outPort: ports.out,
    }
  }

  allocate(): number {
    if (this.#nextPage > LAST_OWN_PAGE) throw new Error('defect: the laboratory is out of memory')
    return this.#nextPage++
  }

  /** A device of the machine raises an interrupt. */
  raise(vector: number): void {
    this.#message.vector = vector
    this.#message.destination = 0
    this.#bus.deliver(this.#message)
  }
}

/** Boots the guest on a technique, ready for its first operation. */
export function bootGuest(name: TechniqueName, bits: 32 | 64, features: TechniqueFeatures) {
  const laboratory = new TechniqueLaboratory()
  const guestBase = name === 'bareMetal' ? 0 : GUEST_BASE
  guestImage(bits, (address, value) => laboratory.machine.writeDword(guestBase * 4096 + address, value >>> 0))
  const technique = makeTechnique(
    name,
    {
      machine: laboratory.machine,
      processor: laboratory.processor,
      bits,
      guestBase,
      guestPages: GUEST_PAGES,
      features,
      allocate: () => laboratory.allocate(),
    },
    guestStart(bits),
  )
  technique.start()
  const player = new Player(bits, technique, laboratory)
  return { laboratory, technique, player }
}

/** A page that nothing was ever written to, or only zeros: its guest reads zeros. */
const isBlank = (words: Uint32Array | undefined): boolean => words?.every(word => word === 0) ?? true

export function runStream(
  name: TechniqueName,
  bits: 32 | 64,
  steps: readonly Step[],
  features: TechniqueFeatures,
): StreamRun {
  const { laboratory, technique, player } = bootGuest(name, bits, features)
  const before = laboratory.processor.walkCounts()
  player.play(steps)
  const after = laboratory.processor.walkCounts()
  const memory = new Uint32Array(GUEST_PAGES * 1024)
  const base = name === 'bareMetal' ? 0 : GUEST_BASE
  for (let page = 0; page < GUEST_PAGES; page++) {
    if (isBlank(laboratory.memory.words(base + page))) continue
    for (let i = page * 1024; i < (page + 1) * 1024; i++) memory[i] = technique.readGuest(i * 4)
  }
  return {
    failed: player.failed,
    observations: player.observations,
    delivered: player.delivered,
    memory,
    walks: {
      misses: after.misses - before.misses,
      paging: after.paging - before.paging,
      nested: after.nested - before.nested,
    },
    ledger: technique.ledger,
  }
}

/** The guest's checks of its own processor, each on a machine of its own. */
export const runSelfChecks = (
  name: TechniqueName,
  bits: 32 | 64,
  features: TechniqueFeatures,
): readonly SelfCheckResult[] =>
  selfChecksFor(bits).map(check => {
    const { laboratory, technique } = bootGuest(name, bits, features)
    return runSelfCheck(check, bits, technique, laboratory)
  })

/** What the guest could see of a run, in one number: equal for techniques that virtualize faithfully. */
export const visibleState = ({ failed, observations, delivered, memory }: StreamRun): string =>
  digest({ failed, observations: [...observations], delivered: [...delivered], memory })
