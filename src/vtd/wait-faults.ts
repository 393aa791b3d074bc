/** What goes wrong with the completion of wait descriptors: stimulus. Later descriptors never overtake a late one. */
import type { Saved } from '../core/index.ts'

export class WaitFaults {
  /** How many completions never come: neither status nor event. */
  lost = 0
  /** How many come late, after those, and by how many nanoseconds. */
  late = 0
  lateness = 0

  /** Whether the completion that is due now is lost. */
  loses(): boolean {
    if (this.lost === 0) return false
    if (this.lost !== Number.MAX_SAFE_INTEGER) this.lost--
    return true
  }

  /** How long the completion that is due now is held back. */
  delay(): number {
    if (this.late === 0) return 0
    if (this.late !== Number.MAX_SAFE_INTEGER) this.late--
    return this.lateness
  }

  clear(): void {
    this.lost = 0
    this.late = 0
    this.lateness = 0
  }

  save(): Saved {
    return { lost: this.lost, late: this.late, lateness: this.lateness }
  }

  load(saved: Saved): void {
    const { lost, late, lateness } = saved as { lost: number; late: number; lateness: number }
    this.lost = lost
    this.late = late
    this.lateness = lateness
  }
}
