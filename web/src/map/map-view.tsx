/** The machine as a map: functions, the ports that they hang below, and the virtual machines that have them. */
import { computed, signal } from '@preact/signals'
import type { PcieFunction, VirtualMachine } from '../api.ts'
import { assign } from '../state/actions.ts'
import { select, selection } from '../state/place.ts'
import { faults, functions, vms } from '../state/world.ts'
import { type Assignment, BOX, type FunctionBox, layOut, type MachineBox } from './layout.ts'
import { groupColour, kindName, ownerClass, shortAddress } from './words.ts'

const layout = computed(() => layOut(functions.value, vms.value))
/** Functions that have faulted, as remapping units recorded it. */
const faulty = computed(() => new Set(faults.value.map(({ source }) => source)))

/** The function that is being dragged, and where the pointer is. */
const dragged = signal<{ readonly address: string; readonly x: number; readonly y: number } | undefined>(
  undefined,
)
/** What is seen of a long map, in its own units: only that is drawn. */
const seen = signal({ top: 0, bottom: 2000 })
const SEEN_MARGIN = 400

export function MapView() {
  const { width, height, functions: boxes, machines, assignments } = layout.value
  const { top, bottom } = seen.value
  const near = (box: { y: number; height: number }): boolean => box.y + box.height > top && box.y < bottom
  const look = (element: HTMLElement): void => {
    seen.value = {
      top: element.scrollTop - SEEN_MARGIN,
      bottom: element.scrollTop + element.clientHeight + SEEN_MARGIN,
    }
  }
  return (
    <div
      class="map"
      ref={element => {
        if (element !== null && seen.peek().bottom === 2000) look(element)
      }}
      onScroll={event => look(event.currentTarget)}
    >
      <svg
        width={width}
        height={height}
        aria-labelledby="map-title"
        onPointerMove={event => {
          if (dragged.value !== undefined)
            dragged.value = { ...dragged.value, x: event.offsetX, y: event.offsetY }
        }}
        onPointerUp={drop}
        onPointerLeave={() => {
          dragged.value = undefined
        }}
      >
        <title id="map-title">Map of the machine</title>
        {boxes.map(
          box =>
            box.above &&
            (near(box) || near({ y: box.above.y, height: 0 })) && <Wire key={box.fn.address} box={box} />,
        )}
        {assignments.map(each => (
          <AssignmentLine key={each.function} assignment={each} />
        ))}
        {boxes.filter(near).map(box => (
          <FunctionNode key={box.fn.address} box={box} />
        ))}
        {machines.filter(near).map(box => (
          <MachineNode key={box.vm.name} box={box} />
        ))}
        {dragged.value && (
          <text class="dragged" x={dragged.value.x + 10} y={dragged.value.y - 6}>
            {shortAddress(dragged.value.address)}
          </text>
        )}
      </svg>
    </div>
  )
}

function drop(event: PointerEvent): void {
  const { address } = dragged.value ?? {}
  dragged.value = undefined
  const target = (event.target as Element).closest('[data-vm]')?.getAttribute('data-vm')
  if (address !== undefined && target != null) void assign(address, target)
}

function Wire({ box }: { box: FunctionBox }) {
  const { x, y } = box.above!
  const middle = x + (BOX.indent - BOX.width) / 2
  return <path class="wire" d={`M${x},${y} H${middle} V${box.y + BOX.height / 2} H${box.x}`} />
}

function AssignmentLine({ assignment: { function: address, vm, from, to } }: { assignment: Assignment }) {
  const bend = (to.x - from.x) / 2
  const chosen = selection.value?.name === address || selection.value?.name === vm
  return (
    <path
      class={`assignment${chosen ? ' chosen' : ''}`}
      d={`M${from.x},${from.y} C${from.x + bend},${from.y} ${to.x - bend},${to.y} ${to.x},${to.y}`}
    />
  )
}

/** What makes a box of the map a button: pointer, keyboard, and what it is called. */
const asButton = (label: string, chosen: boolean, act: () => void) => ({
  role: 'button' as const,
  // SVG minds the case of attributes.
  tabindex: 0,
  'aria-label': label,
  'aria-pressed': chosen,
  onClick: act,
  onKeyDown: (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== ' ') return
    event.preventDefault()
    act()
  },
})

const isChosen = (kind: string, name: string): boolean =>
  selection.value?.kind === kind && selection.value.name === name

/** As it is written in the box (texts end in spaces for that), so that who speaks to the page can say what he sees. */
const sayFunction = (fn: PcieFunction): string =>
  [
    kindName(fn),
    shortAddress(fn.address),
    sayOwner(fn),
    fn.sriov && `${fn.sriov.numVfs} of ${fn.sriov.totalVfs} VFs`,
    faulty.value.has(fn.address) && 'has faulted',
  ]
    .filter(Boolean)
    .join(' ')

const sayOwner = ({ owner, driver }: PcieFunction): string =>
  owner.kind === 'vm' ? `→ ${owner.name}` : (driver ?? 'no driver')

const startDrag = (address: string) => (event: PointerEvent) => {
  if (event.button === 0) dragged.value = { address, x: event.offsetX, y: event.offsetY }
}

function FunctionNode({ box }: { box: FunctionBox }) {
  const { fn, x, y, width, height, virtualFunctions, named } = box
  const chosen = isChosen('function', fn.address)
  return (
    <g
      class={`node ${ownerClass(fn)}${chosen ? ' chosen' : ''}${faulty.value.has(fn.address) ? ' faulty' : ''}`}
    >
      <g
        {...asButton(sayFunction(fn), chosen, () => select({ kind: 'function', name: fn.address }))}
        onPointerDown={startDrag(fn.address)}
      >
        <rect class="body" x={x} y={y} width={width} height={height} rx={6} />
        <rect class="group" x={x} y={y} width={5} height={height} rx={2} fill={groupColour(fn.group)} />
        <text class="name" x={x + 14} y={y + 18}>
          {`${kindName(fn)} `}
        </text>
        <text class="address" x={x + width - 8} y={y + 18} text-anchor="end">
          {`${shortAddress(fn.address)} `}
        </text>
        <text class="owner" x={x + 14} y={y + 34}>
          {`${sayOwner(fn)} `}
        </text>
        {fn.sriov && (
          <text class="owner" x={x + width - 8} y={y + 34} text-anchor="end">
            {fn.sriov.numVfs} of {fn.sriov.totalVfs} VFs
          </text>
        )}
      </g>
      {virtualFunctions.map(vf => (
        <g
          key={vf.fn.address}
          class={`vf ${ownerClass(vf.fn)}${isChosen('function', vf.fn.address) ? ' chosen' : ''}${faulty.value.has(vf.fn.address) ? ' faulty' : ''}`}
          {...asButton(sayFunction(vf.fn), isChosen('function', vf.fn.address), () =>
            select({ kind: 'function', name: vf.fn.address }),
          )}
          onPointerDown={startDrag(vf.fn.address)}
        >
          <rect x={vf.x} y={vf.y} width={vf.width} height={vf.height} rx={3} />
          {named && (
            <text x={vf.x + vf.width / 2} y={vf.y + 14} text-anchor="middle">
              {vf.fn.address.slice(-4)}
            </text>
          )}
        </g>
      ))}
    </g>
  )
}

const sayMachine = ({ vcpus, memoryMiB, devices }: VirtualMachine): string =>
  `${vcpus} vCPU · ${memoryMiB} MiB · ${devices.length} function${devices.length === 1 ? '' : 's'}`

function MachineNode({ box: { vm, x, y, width, height } }: { box: MachineBox }) {
  const chosen = isChosen('vm', vm.name)
  return (
    <g
      class={`node machine${chosen ? ' chosen' : ''}${dragged.value ? ' target' : ''}`}
      data-vm={vm.name}
      {...asButton(`Virtual machine ${vm.name} ${sayMachine(vm)}`, chosen, () =>
        select({ kind: 'vm', name: vm.name }),
      )}
    >
      <rect class="body" x={x} y={y} width={width} height={height} rx={6} />
      <text class="name" x={x + 14} y={y + 22}>
        {`${vm.name} `}
      </text>
      <text class="owner" x={x + 14} y={y + 42}>
        {sayMachine(vm)}
      </text>
    </g>
  )
}
