/** The state of a function as plain data. */
import type { Saved } from '../core/index.ts'

export type SavedFunction = {
  readonly version: 1
  /** Captured from configuration writes. */
  readonly bus: number
  readonly config: Uint32Array
  readonly port: Saved
  /** Null if it never interrupted. */
  readonly messages: Saved
  readonly vitalProductData: Saved
  /** Virtual time from which on it answers. */
  readonly readyAt: number
  /** Missing if nothing ever broke. */
  readonly faults?: Saved
  readonly virtualFunctionsReady: number
  readonly translation: Saved
  /** In the order of the definition's BARs. */
  readonly regions: readonly Saved[]
  readonly virtualFunctions: readonly Saved[]
  /** Missing where nothing is behind the BARs but storage. */
  readonly model?: Saved
}
