/** Puts right what lets a function reach more than it was given: table entries, interrupt entries, access control. */
import { hex, NorthbridgeError } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { findFunction, type KernelParts } from './kernel-parts.ts'

export type IsolationDefect =
  /** An entry of a function's paging tables. */
  | { readonly kind: 'translation'; readonly function: string; readonly entry: number }
  /** The context or PASID entry of a function. */
  | { readonly kind: 'requester'; readonly function: string }
  /** An interrupt remapping table entry, which is to accept this function alone. */
  | { readonly kind: 'interrupt'; readonly function: string; readonly entry: number }
  /** P2P Request Redirect of a function is off. */
  | { readonly kind: 'redirect'; readonly function: string }

/** Throws `notFound`, with nothing changed, for what the kernel did not make. */
export function* mend({ functions, iommu, accessControl }: KernelParts, defect: IsolationDefect): Software {
  const fn = findFunction(functions, defect.function)
  const state = iommu.stateOf(fn)
  const domain = state?.domain
  switch (defect.kind) {
    case 'translation': {
      const mended = domain !== undefined && (yield* domain.mend(defect.entry))
      if (!mended) throw unknown(defect.entry)
      return
    }
    case 'requester':
      if (state === undefined || domain === undefined)
        throw new NorthbridgeError('notFound', `${fn.address} is in no domain`)
      return yield* iommu.update(state, domain)
    case 'interrupt': {
      const table = iommu.interruptUnitOf(fn)?.interrupts
      const mended = table !== undefined && (yield* table.restrict(defect.entry, fn.rid))
      if (!mended) throw unknown(defect.entry)
      return
    }
    case 'redirect':
      if (!accessControl.redirect(fn))
        throw new NorthbridgeError('notFound', `${fn.address} offers no P2P Request Redirect`)
  }
}

/**
 * What {@link mend} would write at a physical address in place of an entry of a function's paging tables: the leaf of a
 * mapping, or nothing. Undefined if the kernel made no such entry.
 */
export function wantedEntry(
  { functions, iommu }: KernelParts,
  address: string,
  entry: number,
): 'leaf' | 'nothing' | undefined {
  const wanted = iommu.stateOf(findFunction(functions, address))?.domain?.wantedEntry(entry)
  return typeof wanted === 'object' ? 'leaf' : wanted
}

const unknown = (entry: number): NorthbridgeError =>
  new NorthbridgeError('notFound', `the host did not make the entry at ${hex(entry)}`)
