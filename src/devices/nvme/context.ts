/** What the commands of a controller work on. */
import type { Aggregation } from './aggregation.ts'
import type { BusMaster } from './bus.ts'
import type { ChangedNamespaces } from './changed-namespaces.ts'
import type { DataTransfer } from './data-transfer.ts'
import type { AsynchronousEvents } from './events.ts'
import type { Features } from './features.ts'
import type { Logs } from './logs.ts'
import type { Namespace } from './namespace.ts'
import type { Namespaces } from './namespaces.ts'
import type { QueueSet } from './queues.ts'
import type { Resources } from './resources.ts'
import type { NvmeSettings } from './settings.ts'

/** What a controller does with a command, for those who follow one. */
export type NvmeEvent =
  | {
      readonly step: 'command'
      readonly queue: number
      readonly id: number
      readonly opcode: number
      readonly namespace: number
      /** Blocks that a command of the NVM command set names; null for others. */
      readonly firstBlock: number | null
      readonly blocks: number | null
    }
  | { readonly step: 'completed'; readonly queue: number; readonly id: number; readonly status: number }

export interface NvmeObserver {
  /** @param controller CNTLID. */
  note(controller: number, event: NvmeEvent): void
}

/** What the controllers of a subsystem share. */
export interface SubsystemContext {
  /** Hears of commands; costs nothing while there is none. */
  readonly observer: NvmeObserver | undefined
  readonly settings: NvmeSettings
  readonly resources: Resources
  readonly logs: Logs
  readonly namespaces: Namespaces
  /** Tells a controller, by CNTLID, that what it finds under an identifier is another namespace now, or none. */
  namespaceChanged(controller: number, nsid: number): void
  /** Brings a secondary controller into the Online or Offline state. */
  setOnline(secondary: number, online: boolean): void
  /** Whether the virtual function of a secondary controller is enabled. */
  functionEnabled(secondary: number): boolean
}

export interface ControllerContext {
  readonly subsystem: SubsystemContext
  readonly bus: BusMaster
  /** -1 for the primary controller, else number of the secondary controller, from 0. */
  readonly secondary: number
  /** CNTLID. */
  readonly id: number
  readonly queues: QueueSet
  readonly features: Features
  readonly events: AsynchronousEvents
  readonly changed: ChangedNamespaces
  readonly aggregation: Aggregation
  readonly data: DataTransfer
  /** CC. */
  readonly configuration: number
  /** Bytes of the largest transfer. */
  readonly largestTransfer: number
  /** DW0 of the completion of the command that is being processed. */
  result: number
  /** Completes a command that was outstanding. False: the completion queue is full. */
  complete(queue: number, command: number, status: number, result: number): boolean
}

/** A status that says: the command stays outstanding. */
export const OUTSTANDING = -1

/** CNTLID of a secondary controller; the primary controller is 0. */
export const controllerId = (secondary: number): number => secondary + 1

/** The namespace that a command names, if it exists and is attached to the controller. */
export function namespaceOf(context: ControllerContext, nsid: number): Namespace | undefined {
  const namespace = context.subsystem.namespaces.get(nsid)
  return namespace?.attached[context.id] === 1 ? namespace : undefined
}
