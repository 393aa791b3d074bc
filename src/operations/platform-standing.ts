/** What is told of a platform as a whole: known of one that rests, too. */
import type { SimulatedPlatform } from '../system/index.ts'

export interface PlatformStanding {
  /** Name of the topology that it was made from. */
  readonly topology: string
  readonly seed: number
  readonly power: 'on' | 'off'
  /** Virtual time, nanoseconds. */
  readonly timeNs: number
  /** Sequence of the newest event. */
  readonly lastEvent: number
  /** Functions that its kernel knows, if that runs. */
  readonly functions: number
  readonly vms: number
  /** Functions of the hardware, virtual ones too. */
  readonly hardwareFunctions: number
  /** Pages of RAM that were written to. */
  readonly pages: number
  /** Disks are on files of the world outside. */
  readonly usesFiles: boolean
}

export const functionsOf = ({ hardware }: SimulatedPlatform): number => hardware.fabric.functionCount

export const vmsOf = (running: SimulatedPlatform): number =>
  running.responds ? running.hypervisor.vmCount : 0

export const pagesOf = ({ hardware }: SimulatedPlatform): number => hardware.memory.populatedPages

export function standingOf(running: SimulatedPlatform): PlatformStanding {
  const { seed, powered, engine, topology, usesFiles } = running
  return {
    topology: topology.name,
    seed,
    power: powered ? 'on' : 'off',
    timeNs: engine.now,
    lastEvent: engine.trace.last,
    functions: running.responds ? running.host.functionCount : 0,
    vms: vmsOf(running),
    hardwareFunctions: functionsOf(running),
    pages: pagesOf(running),
    usesFiles,
  }
}
