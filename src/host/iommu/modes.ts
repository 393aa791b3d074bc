/** Legacy or scalable mode, first or second stage: what each unit is run with, as Linux decides. */
import type { UnitRegisters } from './unit-registers.ts'

/** Whose addresses a domain translates: those of the kernel's drivers, or of a user's machine. */
export type DomainUse = 'kernel' | 'user'

export interface UnitMode {
  readonly scalable: boolean
  /** Whether domains for a use get first-stage tables. */
  firstStage(use: DomainUse): boolean
}

export const LEGACY_MODE: UnitMode = { scalable: false, firstStage: () => false }

/**
 * Modes of all units of a machine, in their order. A stage counts as there if every unit has it. With both, users get
 * the second stage, whose layout a guest's own first stage can be nested in; the kernel gets the first.
 */
export function modesOf(units: readonly Pick<UnitRegisters, 'ecap'>[], wanted: boolean): UnitMode[] {
  if (!wanted) return units.map(() => LEGACY_MODE)
  const scalable = units.every(({ ecap }) => ecap.SMTS)
  const first = scalable && units.every(({ ecap }) => ecap.FSTS)
  const second = units.every(({ ecap }) => ecap.SSTS)
  const firstStage = (use: DomainUse): boolean => first && (!second || use === 'kernel')
  // A unit alone in scalable mode needs second-stage tables, which its neighbours in legacy mode walk too.
  return units.map(({ ecap }) =>
    ecap.SMTS && (first || ecap.SSTS) ? { scalable: true, firstStage } : LEGACY_MODE,
  )
}
