/** Names for functions before any bus has a number: the path of device and function numbers from a root bus. */
import type { BoardPath } from './board.ts'
import type { TopologyHostBridge, TopologyNode } from './topology-schema.ts'

export interface Slot {
  /** 0 to 31. */
  readonly device: number
  /** 0 to 7. */
  readonly fn: number
}

/** Device and function of `at`, e.g. "1f.2". */
export function slotOf(at: string): Slot {
  const [device = '', fn = ''] = at.split('.')
  return { device: Number.parseInt(device, 16), fn: Number(fn) }
}

/** A function of the document in its place. */
export interface PlacedNode {
  readonly node: TopologyNode
  readonly hostBridge: TopologyHostBridge
  /** The function whose secondary bus it is on; undefined on a root bus. */
  readonly parent: PlacedNode | undefined
  readonly slot: Slot
  /** Whether the document has more functions of the same device, and whether one of them is number 0. */
  readonly multifunction: boolean
  readonly hasFunction0: boolean
  /** Where it stands in the document. */
  readonly hostBridgeIndex: number
  readonly index: number
}

/** Every function below a host bridge, parents before children, siblings in document order. */
export function* placedNodes(hostBridge: TopologyHostBridge, hostBridgeIndex: number): Generator<PlacedNode> {
  const pending: PlacedNode[] = []
  const push = (nodes: readonly TopologyNode[], parent: PlacedNode | undefined): void => {
    const slots = nodes.map(node => slotOf(node.at))
    const functions = new Uint16Array(32)
    const functions0 = new Uint8Array(32)
    for (const { device, fn } of slots) {
      functions[device]!++
      if (fn === 0) functions0[device] = 1
    }
    for (let index = nodes.length - 1; index >= 0; index--) {
      const slot = slots[index]!
      const multifunction = functions[slot.device]! > 1
      const hasFunction0 = functions0[slot.device] === 1
      const node = nodes[index]!
      pending.push({
        node,
        hostBridge,
        parent,
        slot,
        multifunction,
        hasFunction0,
        hostBridgeIndex,
        index,
      })
    }
  }
  push(hostBridge.devices, undefined)
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield next
    if (next.node.devices !== undefined) push(next.node.devices, next)
  }
}

/** JSON pointer to a function in its document. */
export function pointerOf({ hostBridgeIndex, parent, index }: PlacedNode): string {
  return `${parent === undefined ? `/hostBridges/${hostBridgeIndex}` : pointerOf(parent)}/devices/${index}`
}

/** The ancestor on the root bus, or the function itself. */
export function rootFunctionOf(placed: PlacedNode): PlacedNode {
  let at = placed
  while (at.parent !== undefined) at = at.parent
  return at
}

export function boardPathOf(placed: PlacedNode): BoardPath {
  const steps: Slot[] = []
  for (let at: PlacedNode | undefined = placed; at !== undefined; at = at.parent) steps.unshift(at.slot)
  return { segment: placed.hostBridge.segment, rootBus: placed.hostBridge.bus, steps }
}

/** "00:1c.0/00.0": root bus, then the slots on the way down. */
export function pathText({ rootBus, steps }: BoardPath): string {
  const hex = (value: number): string => value.toString(16).padStart(2, '0')
  return `${hex(rootBus)}:${steps.map(({ device, fn }) => `${hex(device)}.${fn}`).join('/')}`
}
