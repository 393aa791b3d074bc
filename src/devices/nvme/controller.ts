/**
 * One controller: its registers, and the loop that fetches commands, has them done and posts completions: NVM Express
 * 1.4, §3.1 and §7. A doorbell write does all the work it asks for before it returns, up to a budget.
 */
import { ALL_LANES, get, RegisterFile, type Saved, set, union } from '../../core/index.ts'
import {
  ACQ,
  AQA,
  ASQ,
  CAP,
  CC,
  CSTS,
  DOORBELLS,
  EVENT_ERROR,
  EVENT_NOTICE,
  EVENT_TYPE,
  INTMC,
  INTMS,
  LOG_PAGE,
  NSSR,
  NVME_REGISTERS,
  NVME_STATUS,
  SHUTDOWN,
  SHUTDOWN_STATUS,
  SUBSYSTEM_RESET,
  VS,
} from '../formats/nvme/index.ts'
import { Aggregation } from './aggregation.ts'
import type { BusMaster } from './bus.ts'
import { ChangedNamespaces } from './changed-namespaces.ts'
import { CommandLoop, type WorkingController } from './command-loop.ts'
import { controllerId, type SubsystemContext } from './context.ts'
import { DataTransfer } from './data-transfer.ts'
import { AsynchronousEvents } from './events.ts'
import { Features } from './features.ts'
import { NVME_VERSION } from './identify.ts'
import { CompletionQueue, QueueSet, SubmissionQueue } from './queues.ts'
import { LARGEST_PAGE, RUN_PAUSE } from './settings.ts'

const REGISTERS_SIZE = 0x40
/** CAP.TO: 7.5 s, in units of 500 ms. */
const TIMEOUT = 15
/** Argument of the event that goes on with a run; others are vectors. */
const CONTINUE = -1
/** No command belongs to it. */
const NO_COMMAND = 0xffff
const { EN, MPS, CSS, AMS, SHN } = CC.f
const { RDY, CFS, SHST, NSSRO } = CSTS.f

/** What a controller asks of the subsystem around it. */
export interface ControllerHost extends SubsystemContext {
  /** The data buffer that all controllers use, one command at a time. */
  readonly buffer: Uint8Array
  schedule(secondary: number, delay: number, argument: number): void
  /** The controller was reset by CC.EN. */
  controllerReset(secondary: number): void
  /** NSSR was written. */
  subsystemReset(): void
  /** A controller has work: has {@link NvmeController.work} called, now or when another one is done. */
  serve(secondary: number): void
}

export class NvmeController implements WorkingController {
  readonly subsystem: ControllerHost
  readonly bus: BusMaster
  readonly secondary: number
  readonly id: number
  readonly queues = new QueueSet()
  readonly features: Features
  readonly events = new AsynchronousEvents()
  readonly changed = new ChangedNamespaces()
  readonly aggregation: Aggregation
  readonly data: DataTransfer
  result = 0
  readonly #file = new RegisterFile(REGISTERS_SIZE, NVME_REGISTERS)
  readonly #loop = new CommandLoop(this)
  /** Whether an event will go on with what a run left. */
  #continued = false

  constructor(subsystem: ControllerHost, bus: BusMaster, secondary: number) {
    const { settings, resources, buffer } = subsystem
    this.subsystem = subsystem
    this.bus = bus
    this.secondary = secondary
    this.id = controllerId(secondary)
    const vectors = secondary < 0 ? settings.vectors : settings.virtualVectors
    this.features = new Features(
      vectors,
      () => Math.max(resources.queuesOf(secondary) - 1, 0),
      () => resources.interruptsOf(secondary),
    )
    this.aggregation = new Aggregation(bus, this.features, vectors, (delay, vector) =>
      subsystem.schedule(secondary, delay, vector),
    )
    this.data = new DataTransfer(bus, buffer)
    this.resetRegisters()
  }

  get configuration(): number {
    return this.#file.words[CC.at]!
  }

  get largestTransfer(): number {
    return 4096 * 2 ** this.subsystem.settings.transferExponent
  }

  get ready(): boolean {
    return (this.#file.words[CSTS.at]! & RDY.mask) !== 0
  }

  /** Secondary controllers work in the Online state only. */
  get #offline(): boolean {
    return this.secondary >= 0 && this.subsystem.resources.online[this.secondary] === 0
  }

  // Registers

  readDword(offset: number): number {
    // "Offline": nothing but CSTS.CFS tells of a controller.
    if (this.#offline) return offset === CSTS.offset ? CFS.mask : 0
    if (offset >= REGISTERS_SIZE) return 0
    // Reading either mask register returns the mask.
    if (offset === INTMC.offset || offset === INTMS.offset) return this.aggregation.mask
    return this.#file.words[offset >>> 2]!
  }

  writeDword(offset: number, value: number, lanes: number): void {
    if (this.#offline) return
    if (offset >= DOORBELLS) {
      // A doorbell is written as a dword; half a value would be none.
      if ((lanes & 0xffff) === 0xffff) this.#doorbell(offset - DOORBELLS, value & 0xffff)
      return
    }
    if (offset >= REGISTERS_SIZE) return
    switch (offset) {
      case INTMS.offset:
        this.aggregation.setMask(this.aggregation.mask | (value & lanes))
        break
      case INTMC.offset:
        this.aggregation.setMask(this.aggregation.mask & ~(value & lanes))
        break
      case NSSR.offset:
        if (lanes === ALL_LANES && value >>> 0 === SUBSYSTEM_RESET) this.subsystem.subsystemReset()
        break
      case CC.offset:
        this.#configure(value, lanes)
        break
      default:
        this.#file.write(offset, value, lanes)
    }
  }

  #configure(value: number, lanes: number): void {
    const { words } = this.#file
    const before = words[CC.at]!
    this.#file.write(CC.offset, value, lanes)
    const after = words[CC.at]!
    const shutdown = get(SHN, words, CC.at)
    if (shutdown !== SHUTDOWN.none && ((before ^ after) & SHN.mask) !== 0) this.#shutDown()
    if ((after & EN.mask) !== 0 && (before & EN.mask) === 0) this.#enable()
    else if ((after & EN.mask) === 0 && (before & EN.mask) !== 0) this.#disable()
  }

  /** CC.EN from 0 to 1. What makes no sense is a fatal error: there is no queue to complain through. */
  #enable(): void {
    const { words } = this.#file
    const submissionSize = get(AQA.f.ASQS, words, AQA.at) + 1
    const completionSize = get(AQA.f.ACQS, words, AQA.at) + 1
    const pageExponent = get(MPS, words, CC.at)
    const within = 2 ** pageExponent - 1
    const submission = words[ASQ.at + 1]! * 0x10_0000 + (words[ASQ.at]! >>> 12)
    const completion = words[ACQ.at + 1]! * 0x10_0000 + (words[ACQ.at]! >>> 12)
    const aligned = ((words[ASQ.at]! | words[ACQ.at]!) & (within << 12)) === 0
    const fits = submissionSize > 1 && completionSize > 1 && pageExponent <= LARGEST_PAGE
    if (!fits || !aligned || (words[CC.at]! & union(CSS, AMS)) !== 0) {
      this.fail()
      return
    }
    this.data.pageSize = 4096 * 2 ** pageExponent
    this.queues.submission[0] = new SubmissionQueue(0, submissionSize, submission, 0)
    this.queues.completion[0] = new CompletionQueue(0, completionSize, completion, 0, true)
    words[CSTS.at] = (words[CSTS.at]! & ~SHST.mask) | RDY.mask
  }

  /** CC.EN from 1 to 0: "Controller Reset" keeps the admin queue registers. */
  #disable(): void {
    const { words } = this.#file
    const kept = [AQA.at, ASQ.at, ASQ.at + 1, ACQ.at, ACQ.at + 1].map(at => [at, words[at]!] as const)
    const occurred = words[CSTS.at]! & NSSRO.mask
    this.resetRegisters()
    for (const [at, word] of kept) words[at] = word
    words[CSTS.at]! |= occurred
    this.subsystem.controllerReset(this.secondary)
  }

  /** CC.SHN: everything is on the medium when the status says complete. Commands are served until CC.EN is cleared. */
  #shutDown(): void {
    const { words } = this.#file
    for (const namespace of this.subsystem.namespaces.all) namespace.store.flush()
    set(SHST, words, SHUTDOWN_STATUS.complete, CSTS.at)
  }

  /** "Controller Fatal Status": only a reset helps. */
  fail(): void {
    this.#file.words[CSTS.at]! |= CFS.mask
  }

  get working(): boolean {
    return (this.#file.words[CSTS.at]! & (RDY.mask | CFS.mask)) === RDY.mask
  }

  /** Commands completed since the controller was made. */
  get completed(): number {
    return this.#loop.completed
  }

  /** A reset of the controller, its function or the subsystem: registers, queues and features are as from the start. */
  resetRegisters(): void {
    const { words } = this.#file
    const { settings } = this.subsystem
    words.fill(0)
    set(CAP.f.MQES, words, settings.queueEntries - 1, CAP.at)
    set(CAP.f.CQR, words, 1, CAP.at)
    set(CAP.f.TO, words, TIMEOUT, CAP.at)
    set(CAP.f.DSTRD, words, settings.doorbellStride, CAP.at)
    set(CAP.f.NSSRS, words, 1, CAP.at)
    set(CAP.f.CSS_NVM, words, 1, CAP.at)
    set(CAP.f.MPSMAX, words, LARGEST_PAGE, CAP.at)
    words[VS.at] = NVME_VERSION
    this.queues.clear()
    this.features.reset()
    this.events.reset()
    this.changed.clear()
    this.aggregation.reset()
  }

  /** CSTS.NSSRO, after a reset of the subsystem. */
  noteSubsystemReset(): void {
    this.#file.words[CSTS.at]! |= NSSRO.mask
  }

  // Doorbells

  #doorbell(offset: number, value: number): void {
    if (!this.working) return
    const stride = 4 << this.subsystem.settings.doorbellStride
    const number = offset / stride
    const id = number >>> 1
    const submission = (number & 1) === 0
    const queue = submission ? this.queues.submission[id] : this.queues.completion[id]
    if (!Number.isInteger(number) || queue === undefined) {
      this.#doorbellError(EVENT_ERROR.invalidDoorbellRegister)
    } else if (!moves(queue, value)) this.#doorbellError(EVENT_ERROR.invalidDoorbellValue)
    this.subsystem.serve(this.secondary)
  }

  #doorbellError(information: number): void {
    this.subsystem.logs.addError(NO_COMMAND, NO_COMMAND, NVME_STATUS.success, 0)
    this.events.raise(EVENT_TYPE.error, information, LOG_PAGE.error)
  }

  /** What an identifier names is another namespace now, or none: "Namespace Attribute Changed". */
  namespaceChanged(nsid: number): void {
    if (!this.working) return
    this.changed.add(nsid)
    if (!this.features.namespaceNotices) return
    this.events.raise(EVENT_TYPE.notice, EVENT_NOTICE.namespaceAttributeChanged, LOG_PAGE.changedNamespaces)
    this.subsystem.serve(this.secondary)
  }

  // The loop

  /** Called by the subsystem alone, for one controller at a time. */
  work(): void {
    const done = this.#loop.run()
    this.aggregation.flush()
    if (!done) this.continueLater()
  }

  /** Gives way, and goes on after a pause. */
  continueLater(): void {
    if (this.#continued) return
    this.#continued = true
    this.subsystem.schedule(this.secondary, RUN_PAUSE, CONTINUE)
  }

  complete(queue: number, command: number, status: number, result: number): boolean {
    return this.#loop.complete(queue, command, status, result)
  }

  /** Time that was asked for is over. */
  timeIsUp(argument: number): void {
    if (argument !== CONTINUE) this.aggregation.timeIsUp(argument)
    else {
      this.#continued = false
      this.subsystem.serve(this.secondary)
    }
  }

  save(): Saved {
    return {
      version: 1,
      registers: this.#file.words.slice(),
      queues: this.queues.save(),
      features: this.features.save(),
      events: this.events.save(),
      changed: this.changed.save(),
      aggregation: this.aggregation.save(),
      continued: this.#continued,
      completed: this.#loop.completed,
    }
  }

  load(saved: Saved): void {
    const state = saved as {
      registers: Uint32Array
      queues: Saved
      features: Saved
      events: Saved
      changed: Uint8Array
      aggregation: Saved
      continued: boolean
      completed: number
    }
    this.#file.words.set(state.registers)
    this.queues.load(state.queues)
    this.features.load(state.features)
    this.events.load(state.events)
    this.changed.load(state.changed)
    this.aggregation.load(state.aggregation)
    this.#continued = state.continued
    this.#loop.completed = state.completed
    this.data.pageSize = 4096 * 2 ** get(MPS, this.#file.words, CC.at)
  }
}

/** Moves the tail or head of a queue. False, with nothing moved: the value is beyond the queue, or passes its other end. */
function moves(queue: SubmissionQueue | CompletionQueue, value: number): boolean {
  if (value >= queue.size) return false
  if (queue instanceof SubmissionQueue) {
    const added = (value - queue.tail + queue.size) % queue.size
    if (added > queue.size - 1 - queue.waiting) return false
    queue.tail = value
    return true
  }
  const consumed = (value - queue.head + queue.size) % queue.size
  if (consumed > queue.outstanding) return false
  queue.head = value
  return true
}
