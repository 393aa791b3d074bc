/** The machine as a map: sockets, remapping units, ports and functions behind them, and the virtual machines that have them. */
import { computed, signal } from '@preact/signals'
import { useRef } from 'preact/hooks'
import { selection } from '../state/place.ts'
import { functions, units, vms } from '../state/world.ts'
import { drag, dragged, drop, zoom } from './drag.ts'
import { type Assignment, BOX, type FunctionBox, layOut } from './layout.ts'
import { BandBox, FunctionNode, MachineNode, UnitNode } from './nodes.tsx'
import { shortAddress } from './words.ts'

const layout = computed(() => layOut(functions.value, vms.value, units.value))

/** What is seen of a long map, in its own units: only that is drawn. */
const seen = signal({ top: 0, bottom: 2000 })
const SEEN_MARGIN = 300
/** Below this the map is looked at from afar. */
const FAR = 0.5
const ZOOMS = [0.2, 0.3, 0.45, 0.7, 1, 1.4] as const
/** Lines that are drawn all at once; of more, only those of what is selected. */
const MOST_LINES = 120

export function MapView() {
  const box = useRef<HTMLDivElement>(null)
  const { width, height, bands, units: unitBoxes, functions: boxes, machines, machinesNamed } = layout.value
  const { top, bottom } = seen.value
  const scale = zoom.value
  const far = scale < FAR
  const near = (each: { y: number; height: number }): boolean => each.y + each.height > top && each.y < bottom
  const look = (): void => {
    const element = box.current
    if (element === null) return
    seen.value = {
      top: element.scrollTop / zoom.value - SEEN_MARGIN,
      bottom: (element.scrollTop + element.clientHeight) / zoom.value + SEEN_MARGIN,
    }
  }
  const setZoom = (wanted: number): void => {
    zoom.value = wanted
    requestAnimationFrame(look)
  }
  return (
    <div class="mapping">
      <div
        class="map"
        ref={element => {
          box.current = element
          if (element !== null && seen.peek().bottom === 2000) look()
        }}
        onScroll={look}
      >
        <svg
          width={width * scale}
          height={height * scale}
          viewBox={`0 0 ${width} ${height}`}
          aria-labelledby="map-title"
          onPointerMove={drag}
          onPointerUp={drop}
          onPointerLeave={() => {
            dragged.value = undefined
          }}
        >
          <title id="map-title">Map of the machine</title>
          {bands.filter(near).map(band => (
            <BandBox key={band.title} band={band} />
          ))}
          {!machinesNamed && machines[0] && (
            <text x={machines[0].x} y={machines[0].y - 9}>
              {machines.length} virtual machines
            </text>
          )}
          {boxes.map(
            each =>
              (near(each) || near({ y: each.above.y, height: 0 })) && (
                <Wire key={each.fn.address} box={each} />
              ),
          )}
          <Lines />
          {unitBoxes.filter(near).map(each => (
            <UnitNode key={`${each.unit?.id} ${each.y}`} box={each} />
          ))}
          {boxes.filter(near).map(each => (
            <FunctionNode key={each.fn.address} box={each} far={far} />
          ))}
          {machines.filter(near).map(each => (
            <MachineNode key={each.vm.name} box={each} named={machinesNamed} />
          ))}
          {dragged.value && (
            <text class="dragged" x={dragged.value.x + 10} y={dragged.value.y - 6}>
              {shortAddress(dragged.value.address)}
            </text>
          )}
        </svg>
      </div>
      <div class="zooming" role="toolbar" aria-label="Size of the map">
        <button
          type="button"
          class="quiet"
          aria-label="Smaller"
          onClick={() => setZoom(ZOOMS.findLast(each => each < scale) ?? ZOOMS[0])}
        >
          −
        </button>
        <button
          type="button"
          class="quiet"
          onClick={() =>
            setZoom(Math.max(ZOOMS[0], Math.min(1, (box.current?.clientWidth ?? width) / width)))
          }
        >
          Fit
        </button>
        <button
          type="button"
          class="quiet"
          aria-label="Larger"
          onClick={() => setZoom(ZOOMS.find(each => each > scale) ?? ZOOMS.at(-1)!)}
        >
          +
        </button>
      </div>
    </div>
  )
}

function Wire({ box }: { box: FunctionBox }) {
  const { x, y } = box.above
  const middle = x + (BOX.indent - BOX.width) / 2
  return <path class="wire" d={`M${x},${y} H${middle} V${box.y + BOX.height / 2} H${box.x}`} />
}

/** Which function belongs to which virtual machine. */
function Lines() {
  const all = layout.value.assignments
  const name = selection.value?.name
  const shown =
    all.length <= MOST_LINES ? all : all.filter(each => each.function === name || each.vm === name)
  return (
    <>
      {shown.map(each => (
        <Line key={each.function} assignment={each} chosen={each.function === name || each.vm === name} />
      ))}
    </>
  )
}

function Line({ assignment: { from, to }, chosen }: { assignment: Assignment; chosen: boolean }) {
  const bend = (to.x - from.x) / 2
  return (
    <path
      class={`assignment${chosen ? ' chosen' : ''}`}
      d={`M${from.x},${from.y} C${from.x + bend},${from.y} ${to.x - bend},${to.y} ${to.x},${to.y}`}
    />
  )
}
