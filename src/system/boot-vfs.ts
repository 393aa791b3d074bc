/** Which functions get virtual functions at boot: the document names slots, the host wants addresses. */
import { busOf, devfn, devfnOf, formatFunctionAddress, type RequesterId, requesterId } from '../core/index.ts'
import { type PlacedNode, type Platform, placedNodes } from '../platform/index.ts'

/** Offset of the dword that holds the primary, secondary and subordinate bus numbers. */
const BUS_NUMBERS = 0x18

/** Number of VFs by PF address, after firmware has numbered the buses. */
export function bootVfs({ topology, fabric }: Platform): Record<string, number> {
  const addressOf = ({ slot, parent, hostBridge }: PlacedNode): RequesterId => {
    const at = devfn(slot.device, slot.fn)
    if (parent === undefined) return requesterId(hostBridge.bus, at)
    const above = addressOf(parent)
    const buses = fabric.readConfig(hostBridge.segment, busOf(above), devfnOf(above), BUS_NUMBERS)
    return requesterId((buses >>> 8) & 0xff, at)
  }
  const wanted = topology.hostBridges.flatMap((hostBridge, i) =>
    [...placedNodes(hostBridge, i)].filter(({ node }) => (node.numVfs ?? 0) > 0),
  )
  return Object.fromEntries(
    wanted.map(placed => [
      formatFunctionAddress(placed.hostBridge.segment, addressOf(placed)),
      placed.node.numVfs!,
    ]),
  )
}
