/**
 * The events of a remapping unit as interrupts of the host ("Fault Event Control Register", "Page Request Event Control
 * Register").
 */
import type { Trace } from '../../engine/index.ts'
import { compatibilityAddress } from '../../interrupts/formats/message.ts'
import { FEADDR, FECTL, FEDATA, FEUADDR, PEADDR, PECTL, PEDATA, PEUADDR } from '../../vtd/formats/index.ts'
import type { HostInterrupts } from '../interrupts.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'

/**
 * Programs the message, which is never remapped, for processor 0. With `unmask` clear the event stays masked: faults
 * are then left in the recording registers until somebody clears them.
 */
export function enableFaultInterrupt(
  unit: RemappingUnitDriver,
  interrupts: HostInterrupts,
  trace: Trace,
  unmask: boolean,
): void {
  const { registers } = unit
  const handler = (): void => drainFaults(unit, trace)
  const { apicId, vector } = interrupts.allocate(PROCESSOR, faultLine(unit), handler)
  registers.write(FEDATA.offset, vector)
  registers.write(FEADDR.offset, compatibilityAddress(apicId & 0xff))
  registers.write(FEUADDR.offset, apicId & 0xffff_ff00)
  unmaskFaults(unit, unmask)
}

/** Has the unit collect page requests and say so to processor 0; answering them is left to later. */
export function enablePageRequestInterrupt(unit: RemappingUnitDriver, interrupts: HostInterrupts): void {
  const { registers, pageRequests } = unit
  if (pageRequests === undefined) return
  pageRequests.enable()
  const handler = (): void => notePageRequests(unit)
  const { apicId, vector } = interrupts.allocate(PROCESSOR, pageRequestLine(unit), handler)
  registers.write(PEDATA.offset, vector)
  registers.write(PEADDR.offset, compatibilityAddress(apicId & 0xff))
  registers.write(PEUADDR.offset, apicId & 0xffff_ff00)
  registers.write(PECTL.offset, 0)
}

/** Gives the vectors of a unit, which were loaded, their handlers again. */
export function resumeUnitInterrupts(
  unit: RemappingUnitDriver,
  interrupts: HostInterrupts,
  trace: Trace,
): void {
  interrupts.resume(PROCESSOR, faultLine(unit), () => drainFaults(unit, trace))
  if (unit.pageRequests !== undefined)
    interrupts.resume(PROCESSOR, pageRequestLine(unit), () => notePageRequests(unit))
}

const PROCESSOR = 0

const faultLine = ({ name }: RemappingUnitDriver): string => `${name}/fault`
const pageRequestLine = ({ name }: RemappingUnitDriver): string => `${name}/page-requests`

/** Has the unit interrupt when it records a fault; or no more: then the records stay in its registers. */
export function unmaskFaults({ registers }: RemappingUnitDriver, unmask: boolean): void {
  registers.write(FECTL.offset, unmask ? 0 : FECTL.f.IM.mask)
}

function drainFaults({ name, faults, registers, onFault }: RemappingUnitDriver, trace: Trace): void {
  for (const fault of faults.drain(registers, onFault)) {
    trace.emit('host', `${name}: fault 0x${fault.reason.toString(16)} of ${fault.source} read`, { ...fault })
  }
}

function notePageRequests({ pageRequests }: RemappingUnitDriver): void {
  pageRequests!.pending = true
}
