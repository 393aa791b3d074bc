/** A topology document as things with places: sockets, remapping units, host bridges, and the functions below them. */
import type { TopologyNode } from '../api.ts'
import { type Draft, type Path, pointerOf } from './document.ts'

export interface Part {
  readonly kind: 'socket' | 'unit' | 'bridge' | 'function'
  readonly path: Path
  /** Its place as text, which is its key too. */
  readonly pointer: string
  readonly title: string
  readonly detail: string
  /** Pointer of the part that it hangs below, or is part of. */
  readonly above: string | undefined
  /** Whether something can hang below it. */
  readonly holds: boolean
}

const list = <Item>(items: readonly Item[] | undefined): readonly Item[] =>
  Array.isArray(items) ? items : []
const isObject = <Value>(value: Value): value is Value & object => typeof value === 'object' && value !== null

/** In the order in which they are drawn: each behind what it hangs below. */
export function partsOf(draft: Draft): readonly Part[] {
  const sockets = socketsOf(draft)
  const units = unitsOf(draft, sockets)
  const bridges = list(draft.hostBridges)
    .filter(isObject)
    .flatMap((bridge, i) => {
      const path = ['hostBridges', i]
      const segment = bridge.segment ?? 0
      const unit =
        units.find(({ id }) => id === bridge.remappingUnit) ??
        units.find(each => each.includeAll && each.segment === segment)
      const bus = (bridge.bus ?? 0).toString(16).padStart(2, '0')
      const top: Part = {
        kind: 'bridge',
        path,
        pointer: pointerOf(path),
        title: `Host bridge ${segment === 0 ? '' : `${segment.toString(16).padStart(4, '0')}:`}${bus}`,
        detail: unit === undefined ? 'not remapped' : `behind ${unit.id}`,
        above: unit?.part.pointer ?? socketOf(sockets, bridge.numaNode)?.pointer,
        holds: true,
      }
      return [top, ...functionsOf(list(bridge.devices), path)]
    })
  return [...sockets.map(({ part }) => part), ...units.map(({ part }) => part), ...bridges]
}

interface Socket {
  readonly part: Part
  readonly numaNode: number
}

function socketsOf({ processors, memory }: Draft): readonly Socket[] {
  return list(processors)
    .filter(isObject)
    .map(({ numaNode = -1, logicalProcessors }, i) => {
      const path = ['processors', i]
      const mine = list(memory).find(each => (each?.numaNode ?? -1) === numaNode)
      const part: Part = {
        kind: 'socket',
        path,
        pointer: pointerOf(path),
        title: `Socket ${i}${numaNode < 0 ? '' : ` · node ${numaNode}`}`,
        detail: `${logicalProcessors} CPUs${mine === undefined ? '' : ` · ${mine.sizeMiB} MiB`}`,
        above: undefined,
        holds: false,
      }
      return { part, numaNode }
    })
}

const socketOf = (sockets: readonly Socket[], numaNode = -1): Part | undefined =>
  (sockets.find(socket => socket.numaNode === numaNode) ?? sockets[0])?.part

function unitsOf({ iommu }: Draft, sockets: readonly Socket[]) {
  if (!isObject(iommu) || iommu.kind !== 'intel-vtd') return []
  return list(iommu.units)
    .filter(isObject)
    .map(({ id, includeAll = false, numaNode, segment = 0 }, i) => {
      const path = ['iommu', 'units', i]
      const part: Part = {
        kind: 'unit',
        path,
        pointer: pointerOf(path),
        title: `Unit ${id}`,
        detail: includeAll ? 'serves all others' : 'serves what names it',
        above: socketOf(sockets, numaNode)?.pointer,
        holds: false,
      }
      return { id, includeAll, segment, part }
    })
}

function functionsOf(nodes: readonly TopologyNode[], above: Path): readonly Part[] {
  return nodes.filter(isObject).flatMap((node, i) => {
    const path = [...above, 'devices', i]
    const name = node.model ?? node.imported?.name ?? 'no model'
    const part: Part = {
      kind: 'function',
      path,
      pointer: pointerOf(path),
      title: name,
      detail: [node.at, node.numVfs !== undefined && `${node.numVfs} VFs`].filter(Boolean).join(' · '),
      above: pointerOf(above),
      holds: isPort(name) || list(node.devices).length > 0,
    }
    return [part, ...functionsOf(list(node.devices), path)]
  })
}

export const isPort = (model: string): boolean => /(?:port|bridge)/.test(model) && model !== 'host-bridge'
/** Below it is a link with one device. */
const isLink = (model: string): boolean => /(?:root-port|downstream-port)/.test(model)

/** A free place for one more function below a part. */
export function freePlace(siblings: readonly { readonly at?: string }[], aboveModel: string): string {
  const taken = new Set(siblings.map(({ at }) => at))
  const places = isLink(aboveModel)
    ? Array.from({ length: 8 }, (_, fn) => `00.${fn}`)
    : Array.from({ length: 32 }, (_, device) => `${device.toString(16).padStart(2, '0')}.0`)
  return places.find(place => !taken.has(place)) ?? places[0]!
}

export interface PlacedPart extends Part {
  readonly x: number
  readonly y: number
}

export const PART = { width: 180, height: 46, gapX: 24, gapY: 10 } as const
const MARGIN = 16

/** Sockets, units, host bridges and what is below, column by column; the first thing below stands beside what it hangs below. */
export function placeParts(parts: readonly Part[]): {
  readonly placed: readonly PlacedPart[]
  readonly width: number
  readonly height: number
} {
  const below = new Map<string | undefined, Part[]>()
  for (const part of parts) below.set(part.above, [...(below.get(part.above) ?? []), part])
  const column = (part: Part): number =>
    part.kind === 'socket'
      ? 0
      : part.kind === 'unit'
        ? 1
        : part.path.filter(each => each === 'devices').length + 2
  const placed: PlacedPart[] = []
  let y = MARGIN
  const place = (part: Part): void => {
    placed.push({ ...part, x: MARGIN + column(part) * (PART.width + PART.gapX), y })
    const top = y
    for (const child of below.get(part.pointer) ?? []) place(child)
    y = Math.max(y, top + PART.height + PART.gapY)
  }
  for (const part of below.get(undefined) ?? []) place(part)
  return {
    placed,
    width: Math.max(0, ...placed.map(({ x }) => x)) + PART.width + MARGIN,
    height: y + MARGIN,
  }
}
