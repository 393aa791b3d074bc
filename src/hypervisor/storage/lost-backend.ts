/** What is left of a disk whose medium the host has lost for good: every request fails. */
import type { Software } from '../../engine/index.ts'
import type { CopyingBackend, SavedBackend } from './backend.ts'

export class LostBackend implements CopyingBackend {
  readonly kind = 'copying'
  readonly sectors: number
  readonly read = fail
  readonly write = fail
  readonly discard = fail
  readonly flush = fail

  constructor(sectors: number) {
    this.sectors = sectors
  }

  *close(): Software {}

  save(): SavedBackend {
    return { kind: 'lost', sectors: this.sectors }
  }
}

// biome-ignore lint/correctness/useYield: software that never waits is still software
function* fail(): Software<boolean> {
  return false
}
