/**
 * Where everything stands on the map: a band for each socket with its remapping units on the left, a tree from left to
 * right of what is behind them, virtual functions as small squares in the box of their physical function, virtual machines
 * in a column on the right, or, where they are many, as squares too. Pure: the same world, the same map.
 */
import type { PcieFunction, RemappingUnit, VirtualMachine } from '../api.ts'

export const BOX = { width: 216, height: 44, gap: 10, indent: 250 } as const
export const UNIT = { width: 128, height: 44 } as const
export const BAND = { title: 26, padding: 12 } as const
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

interface Point {
  readonly x: number
  readonly y: number
}

/** A socket, or what belongs to none. */
export interface Band extends Box {
  readonly title: string
}

export interface UnitBox extends Box {
  /** Undefined where no modelled unit is on the way. */
  readonly unit: RemappingUnit | undefined
  readonly roots: number
}

export interface FunctionBox extends Box {
  readonly fn: PcieFunction
  readonly virtualFunctions: readonly (Box & { readonly fn: PcieFunction })[]
  readonly named: boolean
  /** Of the box of the port or unit above. */
  readonly above: Point
}

export interface MachineBox extends Box {
  readonly vm: VirtualMachine
}

export interface Assignment {
  readonly function: string
  readonly vm: string
  readonly from: Point
  readonly to: Point
}

export interface MapLayout {
  readonly width: number
  readonly height: number
  readonly bands: readonly Band[]
  readonly units: readonly UnitBox[]
  readonly functions: readonly FunctionBox[]
  readonly machines: readonly MachineBox[]
  /** Whether virtual machines have room for their names. */
  readonly machinesNamed: boolean
  readonly assignments: readonly Assignment[]
}

const MARGIN = 16
const MACHINE = { width: 190, height: 56, gap: 12 } as const
const MACHINE_DOT = { size: 14, gap: 4, perRow: 24 } as const
const MOST_NAMED_MACHINES = 48
/** Between the functions and the machines: room for the lines. */
const GAP = 48

export function layOut(
  functions: readonly PcieFunction[],
  vms: readonly VirtualMachine[],
  known: readonly RemappingUnit[],
): MapLayout {
  const byAddress = new Map(functions.map(fn => [fn.address, fn]))
  const below = new Map<string | null, PcieFunction[]>()
  for (const fn of functions) {
    if (fn.kind === 'VF' && fn.physicalFunction !== undefined && byAddress.has(fn.physicalFunction)) continue
    const list = below.get(fn.parent) ?? []
    list.push(fn)
    below.set(fn.parent, list)
  }
  const boxes: FunctionBox[] = []
  const unitBoxes: UnitBox[] = []
  const bands: { title: string; y: number; height: number }[] = []
  const left = MARGIN + BAND.padding
  const first = left + UNIT.width + (BOX.indent - BOX.width)
  let y = MARGIN
  let right = first + BOX.width
  const place = (fn: PcieFunction, depth: number, above: Point): void => {
    const x = first + depth * BOX.indent
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
  const sockets = grouped(below.get(null) ?? [], fn => fn.numaNode)
  for (const [node, roots] of sockets) {
    const top = y
    y += BAND.title
    for (const [name, behind] of grouped(roots, fn => fn.remappingUnit)) {
      const unit = known.find(({ id }) => id === name)
      unitBoxes.push({ unit, roots: behind.length, x: left, y, ...UNIT })
      const above = { x: left + UNIT.width, y: y + UNIT.height / 2 }
      const until = y + UNIT.height + BOX.gap
      for (const fn of behind) place(fn, 0, above)
      y = Math.max(y, until)
    }
    const title = node < 0 ? (sockets.length === 1 ? 'Socket 0' : 'No socket') : `Socket ${node}`
    bands.push({ title, y: top, height: y - top })
    y += BOX.gap
  }

  const column = right + BAND.padding + GAP
  const machinesNamed = vms.length <= MOST_NAMED_MACHINES
  const machines = vms.map((vm, i) => ({ vm, ...machineBox(i, column, machinesNamed) }))
  const bottom = Math.max(y, ...machines.slice(-1).map(box => box.y + box.height + BOX.gap))
  const machineRight = machinesNamed
    ? column + MACHINE.width
    : column + MACHINE_DOT.perRow * (MACHINE_DOT.size + MACHINE_DOT.gap)
  return {
    width: vms.length === 0 ? right + BAND.padding + MARGIN : machineRight + MARGIN,
    height: bottom + MARGIN,
    bands: bands.map(band => ({ ...band, x: MARGIN, width: right + BAND.padding - MARGIN })),
    units: unitBoxes,
    functions: boxes,
    machines,
    machinesNamed,
    assignments: assignmentsOf(boxes, machines),
  }
}

/** Items by a key, ascending as they come first. */
function grouped<Item, Key>(
  items: readonly Item[],
  keyOf: (item: Item) => Key,
): readonly (readonly [Key, Item[]])[] {
  const groups = new Map<Key, Item[]>()
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item])
  return [...groups]
}

function machineBox(i: number, column: number, named: boolean): Box {
  if (named) {
    const { width, height, gap } = MACHINE
    return { x: column, y: MARGIN + i * (height + gap), width, height }
  }
  const { size, gap, perRow } = MACHINE_DOT
  return {
    x: column + (i % perRow) * (size + gap),
    y: MARGIN + BAND.title + Math.floor(i / perRow) * (size + gap),
    width: size,
    height: size,
  }
}

function boxOf(
  fn: PcieFunction,
  x: number,
  y: number,
  above: Point,
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
