/** Registers that a reset of a function loses and that the kernel puts back, as `pci_restore_state` does on Linux. */
import { ALL_LANES } from '../../core/index.ts'
import {
  ACS,
  ATS,
  BAR_COUNT,
  BRIDGE_CONTROL,
  BUS_NUMBERS,
  barOffset,
  CAPABILITY,
  COMMAND_STATUS,
  EXPRESS,
  EXTENDED_CAPABILITY,
  INTERRUPT,
  IO_UPPER,
  IO_WINDOW,
  MEMORY_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
  PRI,
  ROM_OFFSET,
} from '../../pcie/formats/index.ts'
import { hasHotplugSlot } from './hotplug-slot.ts'
import type { HostPciFunction } from './pci-function.ts'
import type { VirtualizationRegisters } from './sriov-capability.ts'

const LOW_HALF = 0xffff
const HIGH_HALF = 0xffff_0000
/** Without the secondary latency timer. */
const BUS_NUMBERS_LANES = 0x00ff_ffff
const WINDOWS = [
  IO_UPPER,
  MEMORY_WINDOW,
  PREFETCHABLE_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
] as const

export type ConfigState = {
  readonly registers: readonly (readonly [offset: number, value: number, lanes: number])[]
  readonly virtualization: VirtualizationRegisters | null
  readonly command: number
}

/** Takes the registers of a function, or of a bridge, down. */
export function saveConfig(fn: HostPciFunction): ConfigState {
  const { config } = fn
  const saved: (readonly [offset: number, value: number, lanes: number])[] = []
  const keep = (offset: number, lanes = ALL_LANES): void => {
    saved.push([offset, config.read(offset), lanes])
  }
  if (fn.bridge) {
    for (let index = 0; index < BAR_COUNT.type1; index++) keep(barOffset(index))
    keep(ROM_OFFSET.type1)
    keep(BUS_NUMBERS.offset, BUS_NUMBERS_LANES)
    keep(IO_WINDOW.offset, LOW_HALF)
    for (const { offset } of WINDOWS) keep(offset)
    keep(BRIDGE_CONTROL.offset, HIGH_HALF)
  } else {
    for (let index = 0; index < BAR_COUNT.type0; index++) keep(barOffset(index))
    keep(ROM_OFFSET.type0)
  }
  keep(INTERRUPT.offset, INTERRUPT.f.LINE.mask)
  const express = fn.capability(CAPABILITY.EXPRESS)
  if (express !== undefined) {
    for (const register of [EXPRESS.DEVICE_CONTROL, EXPRESS.LINK_CONTROL, EXPRESS.DEVICE_CONTROL_2])
      keep(express + register.offset, LOW_HALF)
    if (fn.bridge && hasHotplugSlot(fn)) keep(express + EXPRESS.SLOT_CONTROL.offset, LOW_HALF)
  }
  const acs = fn.extendedCapability(EXTENDED_CAPABILITY.ACS)
  if (acs !== undefined) keep(acs + ACS.CONTROL.offset, HIGH_HALF)
  const ats = fn.extendedCapability(EXTENDED_CAPABILITY.ATS)
  if (ats !== undefined) keep(ats + ATS.CONTROL.offset, HIGH_HALF)
  const pri = fn.extendedCapability(EXTENDED_CAPABILITY.PRI)
  if (pri !== undefined) {
    keep(pri + PRI.ALLOCATION.offset)
    keep(pri + PRI.CONTROL.offset, PRI.CONTROL.f.ENABLE.mask)
  }
  return {
    registers: saved,
    virtualization: fn.virtualization?.snapshot() ?? null,
    command: config.read(COMMAND_STATUS.offset),
  }
}

/** Writes them back, Command last. */
export function restoreConfig(fn: HostPciFunction, state: ConfigState): void {
  for (const [offset, value, lanes] of state.registers) fn.config.write(offset, value, lanes)
  if (state.virtualization !== null) fn.virtualization?.putBack(state.virtualization)
  fn.config.write(COMMAND_STATUS.offset, state.command, LOW_HALF)
}
