/** The journey of an interrupt message through the chipset, as trace events: one for each step. */
import { hex } from '../core/index.ts'
import type { Trace } from '../engine/index.ts'
import type { InterruptMessage } from '../interrupts/index.ts'
import type { InterruptOutcome } from '../pcie/index.ts'

/** A message entered the root complex. */
export function traceMessage(trace: Trace, source: string, address: number, data: number): void {
  trace.emit('interrupt', `${source} writes ${hex(data)} to ${hex(address)}: an interrupt message`, {
    step: 'message',
    source,
    address: hex(address),
    data: hex(data),
  })
}

/** What a remapping unit made of it. `message` is filled if one goes on from there. */
export function traceRemapping(
  trace: Trace,
  unit: string,
  outcome: InterruptOutcome,
  message: InterruptMessage,
  reason: number,
): void {
  const { irteIndex, remapped, posted, notified } = outcome
  const entry = irteIndex < 0 ? {} : { irteIndex }
  if (reason !== 0) {
    trace.emit('interrupt', `${unit} blocks it: fault reason ${hex(reason, 2)}`, {
      step: 'blocked',
      unit,
      ...entry,
      reason: hex(reason, 2),
    })
  } else if (posted) {
    trace.emit('interrupt', `${unit}: IRTE ${irteIndex} posts it to a descriptor in memory`, {
      step: 'posted',
      unit,
      ...entry,
    })
    const { vector, destination } = message
    if (notified) {
      trace.emit('interrupt', `${unit} notifies APIC ${destination} with vector ${hex(vector)}`, {
        step: 'notified',
        unit,
        vector,
        destination,
      })
    } else {
      const why = outcome.suppressed ? 'the descriptor suppresses them (SN)' : 'one is outstanding (ON)'
      trace.emit('interrupt', `${unit} sends no notification: ${why}`, {
        step: 'notNotified',
        unit,
        suppressed: outcome.suppressed,
      })
    }
  } else if (remapped) {
    const { vector, destination } = message
    trace.emit(
      'interrupt',
      `${unit}: IRTE ${irteIndex} makes it vector ${hex(vector)} for APIC ${destination}`,
      {
        step: 'remapped',
        unit,
        ...entry,
        vector,
        destination,
      },
    )
  } else trace.emit('interrupt', `${unit} passes it unchanged`, { step: 'passed', unit })
}
