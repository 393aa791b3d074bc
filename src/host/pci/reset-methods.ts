/** Resets that a function offers itself, best first ("Function Level Reset", "Advanced Features", power management). */
import {
  AF,
  CAPABILITY,
  type CapabilityEntry,
  EXPRESS,
  findCapability,
  PM,
} from '../../pcie/formats/index.ts'
import type { ResetMethod } from '../types.ts'
import type { ConfigSpace } from './config-space.ts'

export type FunctionReset = Exclude<ResetMethod, 'bus'>

const D3_HOT = 3

export function flavoursOfReset(config: ConfigSpace, entries: readonly CapabilityEntry[]): FunctionReset[] {
  const methods: FunctionReset[] = []
  const express = findCapability(entries, CAPABILITY.EXPRESS)
  const { DEVICE_CAPABILITIES } = EXPRESS
  if (express !== undefined && config.get(express, DEVICE_CAPABILITIES, DEVICE_CAPABILITIES.f.FLR)) {
    methods.push('flr')
  }
  const af = findCapability(entries, CAPABILITY.AF)
  if (
    af !== undefined &&
    config.get(af, AF.CAPABILITIES, AF.CAPABILITIES.f.FLR) &&
    config.get(af, AF.CAPABILITIES, AF.CAPABILITIES.f.TP)
  ) {
    methods.push('af_flr')
  }
  const pm = findCapability(entries, CAPABILITY.PM)
  if (pm !== undefined && !config.get(pm, PM.CONTROL, PM.CONTROL.f.NO_SOFT_RESET)) methods.push('pm')
  return methods
}

/** Carries one of {@link flavoursOfReset} out. Registers that the kernel needs afterwards are the caller's to keep. */
export function resetFunction(
  config: ConfigSpace,
  entries: readonly CapabilityEntry[],
  method: FunctionReset,
): void {
  switch (method) {
    case 'flr': {
      const { DEVICE_CONTROL } = EXPRESS
      const express = findCapability(entries, CAPABILITY.EXPRESS)!
      config.set(express, DEVICE_CONTROL, DEVICE_CONTROL.f.INITIATE_FLR, 1)
      return
    }
    case 'af_flr':
      config.set(findCapability(entries, CAPABILITY.AF)!, AF.CONTROL, AF.CONTROL.f.INITIATE_FLR, 1)
      return
    case 'pm': {
      const pm = findCapability(entries, CAPABILITY.PM)!
      config.set(pm, PM.CONTROL, PM.CONTROL.f.STATE, D3_HOT)
      config.set(pm, PM.CONTROL, PM.CONTROL.f.STATE, 0)
      return
    }
  }
}
