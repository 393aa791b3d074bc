/** How interrupts reach the virtual processors of a machine: messages of devices, and commands of local APICs. */
import { hex, NorthbridgeError } from '../core/index.ts'
import type { Trace } from '../engine/index.ts'
import type { PostedTarget } from '../host/index.ts'
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import type { MachineContext } from './machine-state.ts'
import { addressed, reaches } from './message-targets.ts'
import type { Vcpu } from './vcpu.ts'
import { type InterruptCommand, isVectored } from './virtual-apic.ts'

export class InterruptFabric {
  readonly #vm: string
  readonly #vcpus: readonly Vcpu[]
  readonly #trace: Trace

  constructor(vm: string, vcpus: readonly Vcpu[], trace: Trace) {
    this.#vm = vm
    this.#vcpus = vcpus
    this.#trace = trace
  }

  /** A command of a virtual processor's local APIC. */
  command(from: number, command: InterruptCommand): void {
    if (!isVectored(command.deliveryMode)) return
    for (const vcpu of this.#vcpus) {
      if (addressed(command, from, vcpu)) this.raise(vcpu, command.vector)
    }
  }

  /** False if the local APIC does not take it. */
  raise(vcpu: Vcpu, vector: number): boolean {
    const accepted = vcpu.apic.accept(vector)
    if (accepted) vcpu.kick()
    return accepted
  }

  /** Where a message may be posted; undefined: it is not for one virtual processor with a descriptor. */
  postingTarget(address: number, data: number): PostedTarget | undefined {
    if (!isVectored((data >>> 8) & 7)) return undefined
    const targets = this.#vcpus.filter(vcpu => reaches(address, vcpu))
    const descriptor = targets[0]?.view().notification?.descriptor
    if (targets.length !== 1 || descriptor === undefined) return undefined
    return { descriptor, vector: data & 0xff, urgent: false }
  }

  /** A message. False if it addresses no virtual processor that takes it. */
  deliver(address: number, data: number): boolean {
    if (!isVectored((data >>> 8) & 7)) return false
    const targets = this.#vcpus.filter(vcpu => reaches(address, vcpu))
    const lowest = ((data >>> 8) & 7) === DELIVERY_MODE.lowestPriority
    // Lowest priority: one of them, the first by number.
    let accepted = false
    for (const vcpu of lowest ? targets.slice(0, 1) : targets) {
      if (!this.raise(vcpu, data & 0xff)) continue
      accepted = true
      const guestVector = hex(data & 0xff)
      const what = `vector ${guestVector} is pending in ${this.#vm} vCPU ${vcpu.number}`
      const detail = { step: 'pending', vm: this.#vm, vcpu: vcpu.number, guestVector }
      this.#trace.emit('interrupt', what, detail)
    }
    return accepted
  }

  vcpuFor(address: number): number | null {
    return this.#vcpus.find(vcpu => reaches(address, vcpu))?.number ?? null
  }
}

/** Has another processor end the guest's turn on one. Throws `unsupported` if there is none. */
export function endTurn({ processors, host }: MachineContext, processor: number): void {
  const other = processors.find(({ number, occupant }) => number !== processor && occupant === undefined)
  if (other === undefined) {
    throw new NorthbridgeError(
      'unsupported',
      'a guest is preempted by another processor, and there is one only',
    )
  }
  host.posting.reschedule(other.number, processor)
}
