/** Everything that follows from a topology before any hardware is made: what each function is, and what lies where. */
import { pause, type Software } from '../engine/index.ts'
import { type AddressLayout, layOutAddresses } from './address-layout.ts'
import type { Board } from './board.ts'
import { FunctionCatalogue } from './function-catalogue.ts'
import { placedNodes } from './function-paths.ts'
import { makeBoard, type ResolvedFunction } from './make-board.ts'
import type { Topology } from './topology-schema.ts'

export interface PlatformPlan {
  readonly topology: Topology
  /** Parents before children, host bridges in document order. */
  readonly functions: readonly ResolvedFunction[]
  readonly layout: AddressLayout
  readonly board: Board
}

/** Functions handled between two pauses. */
export const FUNCTIONS_PER_PAUSE = 256

export function* planPlatform(topology: Topology): Software<PlatformPlan> {
  const catalogue = new FunctionCatalogue()
  const functions: ResolvedFunction[] = []
  for (const [i, hostBridge] of topology.hostBridges.entries()) {
    for (const placed of placedNodes(hostBridge, i)) {
      functions.push({ placed, definition: catalogue.definition(placed.node, placed.multifunction) })
      if (functions.length % FUNCTIONS_PER_PAUSE === 0) yield* pause()
    }
  }
  const layout = layOutAddresses(topology)
  return { topology, functions, layout, board: makeBoard(topology, layout, functions) }
}
