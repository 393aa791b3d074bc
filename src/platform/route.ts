/** Inspection: the way of one memory request, hop by hop, without anything being changed. */
import type { PageNumber } from '../core/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import {
  type AcsBitName,
  ADDRESS_TYPE,
  type Fabric,
  type FunctionNode,
  MemoryRequest,
  type PcieFunction,
  type RouteEvent,
  type RouteObserver,
  STATUS,
  type Status,
  TARGET,
} from '../pcie/index.ts'
import type { RemappingUnit } from '../vtd/index.ts'

/** What is asked about. */
export interface RoutedRequest {
  readonly page: PageNumber
  readonly offset: number
  readonly length: number
  readonly write: boolean
  /** `ADDRESS_TYPE` */
  readonly addressType: number
  readonly relaxedOrdering: boolean
}

export interface RouteStep {
  readonly function: FunctionNode
  readonly event: RouteEvent
  readonly acs?: AcsBitName
}

export interface Route {
  readonly steps: readonly RouteStep[]
  /** Where it ends: at a peer, in the root complex, or nowhere. */
  readonly target: 'peer' | 'memory' | 'interrupt' | 'none'
  readonly status: Status
  /** As the root complex or the peer saw it, after bridges. */
  readonly requesterId: number
  /** The remapping unit on the way, if there is one. */
  readonly unit?: RemappingUnit
  /** What that unit decided, and the address it made of it. */
  readonly translation?: string
  readonly physicalPage?: PageNumber
}

export interface RouteEnvironment {
  readonly fabric: Fabric
  readonly memory: PhysicalMemory
  readonly unitAt: (entry: PcieFunction) => RemappingUnit | undefined
}

const NO_DATA = new Uint8Array(4096)

export function explainRoute(
  fn: PcieFunction,
  { page, offset, length, write, addressType, relaxedOrdering }: RoutedRequest,
  { fabric, memory, unitAt }: RouteEnvironment,
): Route {
  const request = new MemoryRequest()
  Object.assign(request, { page, offset, length, write, addressType, relaxedOrdering, data: NO_DATA })
  const steps: RouteStep[] = []
  const observer: RouteObserver = {
    note: (at, event, acs) => steps.push({ function: at, event, ...(acs !== undefined && { acs }) }),
  }
  request.observer = observer
  fn.issue(request)
  const last = steps.at(-1)
  const end = (target: Route['target'], more: Partial<Route> = {}): Route => ({
    steps,
    target,
    status: request.status,
    requesterId: request.requesterId,
    ...more,
  })
  if (last?.event !== 'rootComplex') {
    return end(request.target === TARGET.peer ? 'peer' : 'none', peerPage(request))
  }
  const entry = last.function as PcieFunction
  const unit = unitAt(entry.physicalFunction ?? entry)
  const onWay = unit === undefined ? {} : { unit }
  const inInterruptRange = page >= INTERRUPT_FIRST_PAGE && page <= INTERRUPT_LAST_PAGE
  if (inInterruptRange && addressType === ADDRESS_TYPE.untranslated) return end('interrupt', onWay)
  if (unit === undefined) {
    if (addressType !== ADDRESS_TYPE.untranslated) {
      request.status = STATUS.unsupportedRequest
      return end('none')
    }
    request.physicalPage = page
  } else {
    const explanation = unit.explain(request.requesterId, page, offset, write, {
      pasid: -1,
      addressType,
      privileged: false,
      execute: false,
      atomic: false,
      zeroLength: false,
    })
    const { outcome, physicalAddress } = explanation
    if (physicalAddress === undefined) {
      request.status = STATUS.remappingFault
      return end('none', { ...onWay, translation: outcome })
    }
    request.physicalPage = Math.floor(Number(physicalAddress) / 4096)
    Object.assign(onWay, { translation: outcome })
  }
  if (memory.page(request.physicalPage) !== undefined) {
    return end('memory', { ...onWay, physicalPage: request.physicalPage })
  }
  fabric.request(request, entry.physicalFunction ?? entry)
  return end(request.target === TARGET.peer ? 'peer' : 'none', { ...onWay, ...peerPage(request) })
}

const peerPage = ({ target, physicalPage }: MemoryRequest): Partial<Route> =>
  target === TARGET.peer ? { physicalPage } : {}
