/** Bits of status registers that a device shows its own way, whatever happens: overrides of its definition. */
import type { FunctionDefinition } from './definition.ts'

/** Bits of a dword that an override makes read-only: hardware does not change them either. */
export function pinnedBits({ overrides = [] }: FunctionDefinition, offset: number): number {
  let mask = 0
  for (const override of overrides) if (override.offset === offset) mask |= override.readOnly ?? 0
  return mask
}

/** Bits of a dword whose value after reset an override says. */
export function presetBits({ overrides = [] }: FunctionDefinition, offset: number): number {
  let mask = 0
  for (const override of overrides) if (override.offset === offset) mask |= override.reset?.mask ?? 0
  return mask
}
