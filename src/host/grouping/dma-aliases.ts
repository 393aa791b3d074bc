/** Under which requester ids the requests of a function reach the root complex. */
import { PORT_TYPE } from '../../pcie/formats/index.ts'
import type { GroupingFunction } from './grouping-function.ts'
import { isDisguisedExpressBridge } from './quirks.ts'

/** A requester id that a function's requests may carry, and the function that stamps it. */
export interface DmaAlias {
  readonly rid: number
  readonly stampedBy: GroupingFunction
}

/**
 * Every requester id of a function's requests on their way up, its own first ("requester id aliasing" of PCIe-to-PCI
 * bridges: secondary bus, device 0, function 0; of conventional bridges: their own).
 */
export function dmaAliases(fn: GroupingFunction): readonly DmaAlias[] {
  const aliases: DmaAlias[] = [fn.rid, ...fn.quirkAliases].map(rid => ({ rid, stampedBy: fn }))
  for (let bridge = fn.above; bridge !== undefined; bridge = bridge.above) {
    switch (bridge.expressType) {
      case PORT_TYPE.rootPort:
      case PORT_TYPE.upstreamPort:
      case PORT_TYPE.downstreamPort:
        continue
      case PORT_TYPE.pcieToPciBridge:
        aliases.push({ rid: bridge.secondaryBus << 8, stampedBy: bridge })
        continue
      default: {
        const rid = isDisguisedExpressBridge(bridge) ? bridge.secondaryBus << 8 : bridge.rid
        aliases.push({ rid, stampedBy: bridge })
      }
    }
  }
  return aliases
}

/** Whether requests of one function of a bus may carry the requester id of the other. */
export const areAliases = (a: GroupingFunction, b: GroupingFunction): boolean =>
  a.quirkAliases.includes(b.rid) || b.quirkAliases.includes(a.rid)
