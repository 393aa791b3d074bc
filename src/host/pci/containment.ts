/** The registers of "Downstream Port Containment" as the kernel uses them. */
import { DPC, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import type { HostPciFunction } from './pci-function.ts'

const { TRIGGER, INTERRUPT_ENABLE } = DPC.CAPABILITY_CONTROL.f
const { TRIGGERED, INTERRUPT, REASON, EXTENSION, SOURCE } = DPC.STATUS.f
const CONTROL_LANES = 0xffff_0000
const STATUS_LANES = 0xffff
/** "DPC Trigger Enable": on ERR_FATAL. */
const ON_FATAL = 1

const REASONS = ['unmasked uncorrectable error', 'ERR_NONFATAL received', 'ERR_FATAL received'] as const
const EXTENDED_REASONS = ['RP PIO error', 'software trigger'] as const

export interface ContainedError {
  readonly reason: string
  /** Requester id of who sent the message; 0 if the port itself detected the error. */
  readonly source: number
}

export const canContain = (port: HostPciFunction): boolean =>
  port.extendedCapability(EXTENDED_CAPABILITY.DPC) !== undefined

/** As Linux: fatal errors only, and the port interrupts. */
export function enableContainment(port: HostPciFunction): void {
  const at = port.extendedCapability(EXTENDED_CAPABILITY.DPC)
  if (at === undefined) return
  const control = port.config.read(at + DPC.CAPABILITY_CONTROL.offset) & CONTROL_LANES & ~TRIGGER.mask
  const wanted = control | (ON_FATAL << TRIGGER.shift) | INTERRUPT_ENABLE.mask
  port.config.write(at + DPC.CAPABILITY_CONTROL.offset, wanted, CONTROL_LANES)
}

/** Whether a port contains an error. */
export function hasContained(port: HostPciFunction): boolean {
  const at = port.extendedCapability(EXTENDED_CAPABILITY.DPC)
  return at !== undefined && (port.config.read(at + DPC.STATUS.offset) & TRIGGERED.mask) !== 0
}

/** What a port contains now. Its interrupt is cleared, the containment is not. */
export function containedError(port: HostPciFunction): ContainedError | undefined {
  const at = port.extendedCapability(EXTENDED_CAPABILITY.DPC)
  if (at === undefined) return undefined
  const status = port.config.read(at + DPC.STATUS.offset)
  if ((status & TRIGGERED.mask) === 0) return undefined
  port.config.write(at + DPC.STATUS.offset, INTERRUPT.mask, STATUS_LANES)
  const reason = (status & REASON.mask) >>> REASON.shift
  const extension = (status & EXTENSION.mask) >>> EXTENSION.shift
  return {
    reason: REASONS[reason] ?? EXTENDED_REASONS[extension] ?? `reason extension ${extension}`,
    source: (status & SOURCE.mask) >>> SOURCE.shift,
  }
}

/** The link may come up again. */
export function releaseContainment(port: HostPciFunction): void {
  const at = port.extendedCapability(EXTENDED_CAPABILITY.DPC)!
  port.config.write(at + DPC.STATUS.offset, TRIGGERED.mask, STATUS_LANES)
}
