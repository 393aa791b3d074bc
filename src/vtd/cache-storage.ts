/** What the unit's caches share: saving their columns. Caches are state: a stale entry must survive save and load. */
import { assert, type Saved } from '../core/index.ts'

export type Column = Uint8Array | Int32Array | Uint32Array | Float64Array
export type Columns = Readonly<Record<string, Column>>

/** Columns as plain data; all are a multiple of `slots` long, and only the first `kept` slots of each are saved. */
export function saveColumns(columns: Columns, slots: number, kept: number): Saved {
  const saved: Record<string, Saved> = {}
  for (const [name, column] of Object.entries(columns)) {
    const part = column.slice(0, (column.length / slots) * kept)
    // Signed columns hold -1 in unused slots: the same bits unsigned are plain data.
    saved[name] = part instanceof Int32Array ? new Uint32Array(part.buffer) : part
  }
  return saved
}

export function loadColumns(columns: Columns, saved: Saved): void {
  const parts = saved as Readonly<Record<string, Column>>
  for (const [name, column] of Object.entries(columns)) {
    const part = parts[name]
    assert(part !== undefined && part.length <= column.length, `saved cache column ${name} fits`)
    column.set(part)
  }
}

/** Checks the number of sets of a cache, which indexing by mask needs. */
export function assertSets(sets: number): void {
  assert(sets > 0 && (sets & (sets - 1)) === 0, 'cache sets are a power of two')
}
