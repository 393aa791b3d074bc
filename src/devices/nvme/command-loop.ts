/**
 * Fetches commands, has them done and posts their completions: NVM Express 1.4, §4.11 "Command Arbitration", §7.2
 * "Command Submission and Completion Mechanism".
 */
import {
  CDW0,
  CQE,
  DO_NOT_RETRY,
  NVME_STATUS,
  PHASE,
  SQ_ENTRY,
  SQE,
  STATUS_SHIFT,
} from '../formats/nvme/index.ts'
import { adminCommand } from './admin-commands.ts'
import { type ControllerContext, OUTSTANDING } from './context.ts'
import { hasBlockNumber, ioCommand } from './io-commands.ts'
import type { CompletionQueue, SubmissionQueue } from './queues.ts'
import { RUN_BUDGET } from './settings.ts'

/** The controller that the commands are for. */
export interface WorkingController extends ControllerContext {
  /** CSTS.RDY without CSTS.CFS. */
  readonly working: boolean
  /** A queue is out of reach: "Controller Fatal Status". */
  fail(): void
}

export class CommandLoop {
  readonly #controller: WorkingController
  /** Commands completed since the controller was made. */
  completed = 0
  readonly #command = new Uint32Array(SQ_ENTRY.size / 4)
  readonly #commandBytes = new Uint8Array(this.#command.buffer)
  readonly #completion = new Uint32Array(4)
  readonly #completionBytes = new Uint8Array(this.#completion.buffer)

  constructor(controller: WorkingController) {
    this.#controller = controller
  }

  /**
   * Serves all submission queues in turn ("Round Robin Arbitration") until none has a command that can be completed.
   * Returns false if the budget was used up before.
   */
  run(): boolean {
    const controller = this.#controller
    let budget = RUN_BUDGET
    for (let progress = true; progress && budget > 0 && controller.working; ) {
      progress = this.#reportEvents()
      const { submission } = controller.queues
      for (let id = 0; id < submission.length && controller.working; id++) {
        const queue = submission[id]
        if (queue === undefined || queue.waiting === 0) continue
        const done = this.#serve(queue, Math.min(budget, controller.features.arbitrationBurst))
        budget -= done
        if (done > 0) progress = true
      }
    }
    return budget > 0
  }

  /** Returns how many commands were fetched. */
  #serve(queue: SubmissionQueue, most: number): number {
    let done = 0
    const completion = this.#controller.queues.completion[queue.completionQueue]!
    while (done < most && queue.waiting > 0 && !completion.full && this.#controller.working) {
      const at = queue.head * SQ_ENTRY.size
      const fetched = this.#controller.bus.read(
        queue.page + (at >>> 12),
        at & 0xfff,
        this.#commandBytes,
        0,
        SQ_ENTRY.size,
      )
      if (!fetched) {
        this.#controller.fail()
        return done
      }
      queue.advance()
      done++
      this.#execute(queue, completion)
      // The command may have deleted its own queue.
      if (this.#controller.queues.submission[queue.id] !== queue) return done
    }
    return done
  }

  #execute(queue: SubmissionQueue, completion: CompletionQueue): void {
    const command = this.#command
    const cid = command[0]! >>> CDW0.CID_SHIFT
    this.#controller.result = 0
    if (this.#controller.subsystem.observer !== undefined) this.#note(queue.id, cid)
    const status =
      queue.id === 0 ? adminCommand(this.#controller, command) : ioCommand(this.#controller, command)
    // Its data may have reset the very controller that it was for.
    if (
      status === OUTSTANDING ||
      !this.#controller.working ||
      this.#controller.queues.submission[queue.id] !== queue
    )
      return
    if (status !== NVME_STATUS.success) this.#logError(queue.id, cid, status)
    this.#post(completion, queue, cid, status, this.#controller.result)
  }

  #note(queue: number, id: number): void {
    const command = this.#command
    const block = queue > 0 && hasBlockNumber(command)
    this.#controller.subsystem.observer!.note(this.#controller.id, {
      step: 'command',
      queue,
      id,
      opcode: command[0]! & CDW0.OPCODE,
      namespace: command[SQE.nsid]!,
      firstBlock: block ? command[SQE.cdw11]! * 2 ** 32 + command[SQE.cdw10]! : null,
      blocks: block ? (command[SQE.cdw12]! & 0xffff) + 1 : null,
    })
  }

  #logError(queue: number, cid: number, status: number): void {
    const command = this.#command
    const block = queue > 0 && hasBlockNumber(command)
    const low = block ? command[SQE.cdw10]! : 0
    const high = block ? command[SQE.cdw11]! : 0
    this.#controller.subsystem.logs.addError(queue, cid, status | DO_NOT_RETRY, command[SQE.nsid]!, low, high)
  }

  /** Every error here would come again if the command did: Do Not Retry. */
  #post(
    completion: CompletionQueue,
    queue: SubmissionQueue,
    cid: number,
    status: number,
    result: number,
  ): void {
    const entry = this.#completion
    const field = status === NVME_STATUS.success ? 0 : status | DO_NOT_RETRY
    entry[CQE.result] = result
    entry[1] = 0
    entry[CQE.queue] = (queue.id << 16) | queue.head
    entry[CQE.status] = cid | (completion.phase * PHASE) | (field << STATUS_SHIFT)
    const at = completion.tail * 16
    if (
      !this.#controller.bus.write(completion.page + (at >>> 12), at & 0xfff, this.#completionBytes, 0, 16)
    ) {
      this.#controller.fail()
      return
    }
    completion.advance()
    this.completed++
    const { observer } = this.#controller.subsystem
    if (observer !== undefined)
      observer.note(this.#controller.id, { step: 'completed', queue: queue.id, id: cid, status })
    this.#controller.aggregation.posted(completion)
  }

  complete(queue: number, command: number, status: number, result: number): boolean {
    const submission = this.#controller.queues.submission[queue]
    const completion = submission && this.#controller.queues.completion[submission.completionQueue]
    if (completion === undefined || completion.full) return false
    this.#post(completion, submission!, command, status, result)
    return true
  }

  #reportEvents(): boolean {
    let reported = false
    while (this.#controller.events.ready && this.#controller.working) {
      if (
        !this.complete(0, this.#controller.events.command, NVME_STATUS.success, this.#controller.events.event)
      )
        break
      this.#controller.events.reported()
      reported = true
    }
    return reported
  }
}
