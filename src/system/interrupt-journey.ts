/** One interrupt, followed from the function to the handler of the guest that takes it. */
import { NorthbridgeError } from '../core/index.ts'
import type { DmaEngine } from '../devices/index.ts'
import type { Software, Trace } from '../engine/index.ts'
import type { Hypervisor } from '../hypervisor/index.ts'
import type { Operation } from '../vmx/formats/operations.ts'
import type { InterruptJourney, InterruptReport } from './reports.ts'

/** A guest that has something to do, of which none causes a VM exit. */
const BUSY: readonly Operation[] = [{ op: 'pause' }, { op: 'pause' }, { op: 'pause' }]

export interface FollowedInterrupt {
  readonly dmaEngine: DmaEngine
  readonly hypervisor: Hypervisor
  readonly trace: Trace
  readonly address: string
  readonly vector: number
  /** What the guest does when the function signals. */
  readonly guest: 'running' | 'blocked' | 'preempted'
}

/** Throws `invalidArgument` if no guest takes the vector and one is to run; `unsupported`. */
export function* followInterrupt(followed: FollowedInterrupt): Software<InterruptJourney> {
  const { dmaEngine, hypervisor, trace, address, vector, guest } = followed
  const route = hypervisor.route(address, vector)
  let first = trace.last
  let signal: InterruptReport['signal'] = 'disabled'
  const act = (): void => {
    first = trace.last
    ;({ signal } = dmaEngine.fire(vector))
  }
  if (guest === 'blocked') act()
  else if (route === undefined) {
    throw new NorthbridgeError(
      'invalidArgument',
      `no virtual machine takes vector ${vector} of ${address}, so none can be ${guest}`,
      { issues: [{ path: '/guest', message: 'needs a virtual machine that takes the vector' }] },
    )
  } else {
    yield* hypervisor.runVcpu(route.vm, route.vcpu, BUSY, { before: 1, state: guest, act })
  }
  yield* hypervisor.settle()
  return { signal, route, events: trace.since(first) }
}
