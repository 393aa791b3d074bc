/**
 * Where everything stands on the map: a tree from left to right, root buses first, virtual functions as small squares
 * in the box of their physical function, virtual machines in a column on the right. Pure: the same world, the same map.
 */
import type { PcieFunction, VirtualMachine } from '../api.ts'

export const BOX = { width: 216, height: 44, gap: 10, indent: 250 } as const
/** Virtual functions as they are drawn: named while there are few, squares beyond. */
export const CHIP = { width: 48, height: 20, gap: 4, perRow: 4 } as const
export const DOT = { size: 10, gap: 3, perRow: 15 } as const
const MOST_CHIPS = 16

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface FunctionBox extends Box {
  readonly fn: PcieFunction
  readonly virtualFunctions: readonly (Box & { readonly fn: PcieFunction })[]
  readonly named: boolean
  /** Of the box of the port above. */
  readonly above: { readonly x: number; readonly y: number } | undefined
}

export interface MachineBox extends Box {
  readonly vm: VirtualMachine
}

export interface Assignment {
  readonly function: string
  readonly vm: string
  readonly from: { readonly x: number; readonly y: number }
  readonly to: { readonly x: number; readonly y: number }
}

export interface MapLayout {
  readonly width: number
  readonly height: number
  readonly functions: readonly FunctionBox[]
  readonly machines: readonly MachineBox[]
  readonly assignments: readonly Assignment[]
}

const MARGIN = 16
const MACHINE = { width: 190, height: 56, gap: 12 } as const

export function layOut(functions: readonly PcieFunction[], vms: readonly VirtualMachine[]): MapLayout {
  const byAddress = new Map(functions.map(fn => [fn.address, fn]))
  const below = new Map<string | null, PcieFunction[]>()
  for (const fn of functions) {
    if (fn.kind === 'VF' && fn.physicalFunction !== undefined && byAddress.has(fn.physicalFunction)) continue
    const list = below.get(fn.parent) ?? []
    list.push(fn)
    below.set(fn.parent, list)
  }
  const boxes: FunctionBox[] = []
  let y = MARGIN
  let right = MARGIN + BOX.width
  const place = (fn: PcieFunction, depth: number, above: FunctionBox['above']): void => {
    const x = MARGIN + depth * BOX.indent
    const box = boxOf(fn, x, y, above, byAddress)
    boxes.push(box)
    right = Math.max(right, x + BOX.width)
    const children = below.get(fn.address) ?? []
    if (children.length === 0) {
      y += box.height + BOX.gap
      return
    }
    // The first child stands beside its port, the others below it.
    for (const child of children) place(child, depth + 1, { x: x + BOX.width, y: box.y + BOX.height / 2 })
    y = Math.max(y, box.y + box.height + BOX.gap)
  }
  for (const fn of below.get(null) ?? []) place(fn, 0, undefined)

  const column = right + 120
  const machines = vms.map((vm, i) => ({
    vm,
    x: column,
    y: MARGIN + i * (MACHINE.height + MACHINE.gap),
    width: MACHINE.width,
    height: MACHINE.height,
  }))
  const bottom = Math.max(y, (machines.at(-1)?.y ?? 0) + MACHINE.height + BOX.gap)
  return {
    width: vms.length === 0 ? right + MARGIN : column + MACHINE.width + MARGIN,
    height: bottom + MARGIN,
    functions: boxes,
    machines,
    assignments: assignmentsOf(boxes, machines),
  }
}

function boxOf(
  fn: PcieFunction,
  x: number,
  y: number,
  above: FunctionBox['above'],
  byAddress: ReadonlyMap<string, PcieFunction>,
): FunctionBox {
  const found = (fn.virtualFunctions ?? []).flatMap(address => byAddress.get(address) ?? [])
  const named = found.length <= MOST_CHIPS
  const columns = named ? CHIP.perRow : DOT.perRow
  const size = named ? CHIP : { width: DOT.size, height: DOT.size, gap: DOT.gap }
  const virtualFunctions = found.map((each, i) => ({
    fn: each,
    x: x + 8 + (i % columns) * (size.width + size.gap),
    y: y + BOX.height + Math.floor(i / columns) * (size.height + size.gap),
    width: size.width,
    height: size.height,
  }))
  const rows = Math.ceil(found.length / columns)
  const height = BOX.height + (rows === 0 ? 0 : rows * (size.height + size.gap) + 4)
  return { fn, x, y, width: BOX.width, height, virtualFunctions, named, above }
}

function assignmentsOf(
  boxes: readonly FunctionBox[],
  machines: readonly MachineBox[],
): readonly Assignment[] {
  const places = new Map<string, Box>()
  for (const box of boxes) {
    places.set(box.fn.address, box)
    for (const vf of box.virtualFunctions) places.set(vf.fn.address, vf)
  }
  return machines.flatMap(machine =>
    machine.vm.devices.flatMap(({ function: address }, i) => {
      const from = places.get(address)
      if (from === undefined) return []
      const step = machine.height / (machine.vm.devices.length + 1)
      return {
        function: address,
        vm: machine.vm.name,
        from: { x: from.x + from.width, y: from.y + Math.min(from.height, BOX.height) / 2 },
        to: { x: machine.x, y: machine.y + step * (i + 1) },
      }
    }),
  )
}
