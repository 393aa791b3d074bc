/**
 * Putting a unit into the state that a recording goes on from, after a step in which the two rightly differed. The state
 * goes through the unit's own save and load; nothing else reaches in.
 */
import type { Saved } from '../core/index.ts'
import { FECTL, FSTS } from '../vtd/formats/index.ts'
import type { RemappingUnit } from '../vtd/index.ts'
import { type FaultRecord, FSTS_CONDITIONS } from './fault-state.ts'

/** Members of a unit's saved state that are no caches. */
const NO_CACHES = new Set(['version', 'registers', 'latches', 'control'])

/** A unit's saved state, as far as it matters here. */
export type SavedUnit = { readonly [member: string]: Saved } & { readonly registers: Uint32Array }

/** A unit, or what stands for one. */
export type StatefulUnit = Pick<RemappingUnit, 'save' | 'load'>

/** The doors to one unit's state. */
export class UnitState {
  readonly #unit: StatefulUnit
  readonly #emptyCaches: Readonly<Record<string, Saved>>

  /** @param unit just out of reset: its caches are empty. */
  constructor(unit: StatefulUnit) {
    this.#unit = unit
    this.#emptyCaches = Object.fromEntries(
      Object.entries(unit.save() as SavedUnit).filter(([name]) => !NO_CACHES.has(name)),
    )
  }

  save(): SavedUnit {
    return this.#unit.save() as SavedUnit
  }

  /** The register page as words. */
  registers(): Uint32Array {
    return this.save().registers.slice()
  }

  /** Goes on from a saved state, with caches that hold nothing. */
  loadWithoutCaches(saved: SavedUnit): void {
    this.#unit.load({ ...saved, ...this.#emptyCaches })
  }

  /** Replaces the registers by what `change` makes of them, and empties the caches if asked to. */
  changeRegisters(change: (words: Uint32Array) => Uint32Array, dropCaches: boolean): void {
    const saved = this.save()
    const changed = { ...saved, registers: change(saved.registers.slice()) }
    if (dropCaches) this.loadWithoutCaches(changed)
    else this.#unit.load(changed)
  }
}

/** Writes a fault state into register words: FSTS, and the first fault recording register. */
export function putFaults(
  words: Uint32Array,
  fsts: number,
  record: FaultRecord | undefined,
  recordAt: number,
): void {
  words[FSTS.at] = fsts
  const at = recordAt >>> 2
  if (record === undefined) words[at + 3]! &= 0x7fff_ffff
  else {
    const [low, high] = record
    words.set(
      [low, low >> 32n, high, high >> 32n].map(part => Number(part & 0xffff_ffffn)),
      at,
    )
  }
}

/** FECTL after a step that took FSTS from one value to another: IP is set if an event arose and could not be sent. */
export function fectlAfter(fectl: number, before: number, after: number): number {
  const { IP, IM } = FECTL.f
  if ((after & FSTS_CONDITIONS) === 0) return (fectl & ~IP.mask) >>> 0
  const arose = (before & FSTS_CONDITIONS) === 0
  return arose && (fectl & IM.mask) !== 0 ? (fectl | IP.mask) >>> 0 : fectl
}
