/** The machine that is composed, as a map: chosen, moved by dragging, removed by a key. */
import { computed, signal } from '@preact/signals'
import { asButton } from '../map/as-button.ts'
import { chosen, move, parts, remove, wrong } from './draft.ts'
import { PART, type PlacedPart, placeParts } from './tree.ts'

const layout = computed(() => placeParts(parts.value))
const dragged = signal<{ readonly part: PlacedPart; readonly x: number; readonly y: number } | undefined>(
  undefined,
)
/** Letters beyond which a name is written smaller. */
const LONG = 22
/** Pixels that a pointer moves before it drags. */
const SLACK = 6

export function ComposeMap() {
  const { placed, width, height } = layout.value
  const places = new Map(placed.map(part => [part.pointer, part]))
  const held = dragged.value
  return (
    <div class="map">
      <svg
        width={width}
        height={height}
        aria-labelledby="compose-title"
        onPointerMove={event => {
          if (held !== undefined) dragged.value = { ...held, x: event.offsetX, y: event.offsetY }
        }}
        onPointerUp={drop}
        onPointerLeave={() => {
          dragged.value = undefined
        }}
      >
        <title id="compose-title">Map of the topology</title>
        {placed.map(part => {
          const above = part.above === undefined ? undefined : places.get(part.above)
          return above && <Wire key={part.pointer} from={above} to={part} />
        })}
        {placed.map(part => (
          <PartBox key={part.pointer} part={part} target={held !== undefined && part.holds} />
        ))}
        {held && isFar(held) && (
          <text x={held.x + 12} y={held.y - 6}>
            {held.part.title}
          </text>
        )}
      </svg>
    </div>
  )
}

const isFar = ({ part, x, y }: NonNullable<typeof dragged.value>): boolean =>
  x < part.x - SLACK ||
  x > part.x + PART.width + SLACK ||
  y < part.y - SLACK ||
  y > part.y + PART.height + SLACK

function drop(event: PointerEvent): void {
  const held = dragged.value
  dragged.value = undefined
  if (held === undefined) return
  const pointer = (event.target as Element).closest('[data-part]')?.getAttribute('data-part')
  const target = parts.value.find(part => part.pointer === pointer)
  if (target?.holds && target.pointer !== held.part.pointer) move(held.part.path, target.path)
}

function Wire({ from, to }: { from: PlacedPart; to: PlacedPart }) {
  const x = from.x + PART.width
  const middle = x + PART.gapX / 2
  return (
    <path
      class="wire"
      d={`M${x},${from.y + PART.height / 2} H${middle} V${to.y + PART.height / 2} H${to.x}`}
    />
  )
}

function PartBox({ part, target }: { part: PlacedPart; target: boolean }) {
  const { x, y, kind, title, detail, pointer, path } = part
  const isChosen = chosen.value === pointer
  const isWrong = wrong.value.has(pointer)
  const button = asButton(
    `${title} ${detail}${isWrong ? ' has mistakes' : ''}`,
    isChosen,
    () => {
      chosen.value = pointer
    },
    () => remove(path),
  )
  return (
    <g
      class={`node part ${kind}${isChosen ? ' chosen' : ''}${target ? ' target' : ''}${isWrong ? ' faulty' : ''}`}
      data-part={pointer}
    >
      <g
        {...button}
        onPointerDown={event => {
          if (event.button === 0 && kind === 'function')
            dragged.value = { part, x: event.offsetX, y: event.offsetY }
        }}
      >
        <rect class="body" x={x} y={y} width={PART.width} height={PART.height} rx={6} />
        <text class={`name${title.length > LONG ? ' long' : ''}`} x={x + 12} y={y + 19}>
          {`${title} `}
        </text>
        <text class="owner" x={x + 12} y={y + 36}>
          {detail}
        </text>
      </g>
    </g>
  )
}
