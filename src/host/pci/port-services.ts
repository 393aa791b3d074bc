/**
 * What the port driver does with a port of PCI Express: which of its services tell of themselves by interrupts, how many
 * messages they need, and switching error reporting on.
 */
import { AER, CAPABILITY, DPC, EXPRESS, EXTENDED_CAPABILITY, PORT_TYPE } from '../../pcie/formats/index.ts'
import type { HostPciFunction } from './pci-function.ts'

/** Who has root error registers. */
const ROOTS: ReadonlySet<number> = new Set([PORT_TYPE.rootPort, PORT_TYPE.eventCollector])

export interface PortServiceRules {
  /** False after `pci=noaer`: errors are neither reported nor contained. */
  readonly errorReporting?: boolean
  /** Whether ports of switches get the error service too, which has nothing to do there. */
  readonly errorServiceOnSwitches: boolean
}

/** Messages that a port needs for its services: up to the highest message number that one of them uses. */
export function portMessages(
  fn: HostPciFunction,
  { errorReporting = true, errorServiceOnSwitches }: PortServiceRules,
  hotplug: boolean,
): number {
  const express = fn.capability(CAPABILITY.EXPRESS)
  if (express === undefined) return 0
  const numbers: number[] = []
  const isRoot = fn.expressType === PORT_TYPE.rootPort
  const isCollector = fn.expressType === PORT_TYPE.eventCollector
  // "Interrupt Message Number": hot-plug events, and power management events of a root port.
  if (isRoot || isCollector || hotplug)
    numbers.push(fn.config.get(express, EXPRESS.CAPABILITIES, EXPRESS.CAPABILITIES.f.MESSAGE))
  const errors = fn.extendedCapability(EXTENDED_CAPABILITY.AER)
  if (errorReporting && errors !== undefined && (isRoot || isCollector || errorServiceOnSwitches)) {
    // "Advanced Error Interrupt Message Number": other ports have no such register.
    numbers.push(
      isRoot || isCollector ? fn.config.get(errors, AER.ROOT_STATUS, AER.ROOT_STATUS.f.MESSAGE) : 0,
    )
  }
  const containment = fn.extendedCapability(EXTENDED_CAPABILITY.DPC)
  if (containment !== undefined && servesContainment(fn, { errorReporting, errorServiceOnSwitches }))
    numbers.push(fn.config.get(containment, DPC.CAPABILITY_CONTROL, DPC.CAPABILITY_CONTROL.f.MESSAGE))
  return numbers.length === 0 ? 0 : Math.max(...numbers) + 1
}

/**
 * "Error Signaling and Logging": a function with advanced reporting sends messages for all its errors. Root ports
 * interrupt for what reaches them; system errors are for platforms that handle them without the kernel.
 */
export function enableErrorReporting(fn: HostPciFunction): void {
  const express = fn.capability(CAPABILITY.EXPRESS)
  const errors = fn.extendedCapability(EXTENDED_CAPABILITY.AER)
  if (express === undefined || errors === undefined) return
  const { DEVICE_CONTROL } = EXPRESS
  for (const field of ['CERE', 'NFERE', 'FERE', 'URRE'] as const)
    fn.config.set(express, DEVICE_CONTROL, DEVICE_CONTROL.f[field], 1)
}

/** Linux contains errors where it has the error service, and the port the capability. */
export function servesContainment(
  fn: HostPciFunction,
  { errorReporting = true, errorServiceOnSwitches }: PortServiceRules,
): boolean {
  const isRoot = fn.expressType === PORT_TYPE.rootPort
  return (
    errorReporting &&
    fn.extendedCapability(EXTENDED_CAPABILITY.AER) !== undefined &&
    (isRoot || (errorServiceOnSwitches && fn.expressType === PORT_TYPE.downstreamPort))
  )
}

/** The error service of a root port or event collector. */
export function enableRootErrors(fn: HostPciFunction): void {
  const express = fn.capability(CAPABILITY.EXPRESS)
  const errors = fn.extendedCapability(EXTENDED_CAPABILITY.AER)
  if (express === undefined || errors === undefined || !ROOTS.has(fn.expressType)) return
  const { ROOT_CONTROL } = EXPRESS
  for (const field of ['SECEE', 'SENFEE', 'SEFEE'] as const)
    fn.config.set(express, ROOT_CONTROL, ROOT_CONTROL.f[field], 0)
  for (const field of ['CORRECTABLE', 'NON_FATAL', 'FATAL'] as const)
    fn.config.set(errors, AER.ROOT_COMMAND, AER.ROOT_COMMAND.f[field], 1)
}
