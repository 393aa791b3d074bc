/** What reading files of any format gives: facts about a machine, and in the end a topology document. */
import type { TopologyDocument } from '../platform/index.ts'
import type { IoMemory } from './base-address-sizes.ts'
import type { CapturedFunction } from './captured-function.ts'

export interface MachineDescription {
  readonly processors: NonNullable<TopologyDocument['processors']>
  readonly memory: NonNullable<TopologyDocument['memory']>
}

export interface CapturedMachine {
  readonly name: string
  readonly functions: readonly CapturedFunction[]
  /** ACPI tables by signature. */
  readonly tables: ReadonlyMap<string, Uint8Array>
  /** Text files by name without extension: `iommu-units`, `cmdline`, `iomem`, `uname`. */
  readonly texts: ReadonlyMap<string, string>
  /** What the maker of a capture says about it. */
  readonly about: Readonly<Record<string, unknown>>
  /** Ranges that functions decode, if the format tells them otherwise than as `iomem`. */
  readonly ranges?: IoMemory
  /** Whether a machine with an IOMMU would show it here; default: whether there is any ACPI table. */
  readonly showsRemapping?: boolean
  /** Processors and memory, where the format itself tells. */
  readonly description?: Partial<MachineDescription>
}

export interface ImportedCapture {
  readonly topology: TopologyDocument
  /** What the files did not tell and was assumed, in sentences. */
  readonly notes: readonly string[]
}
