/** What happens on the platform while it happens: how much of each kind, and every event, newest first. */
import { useComputed, useSignal } from '@preact/signals'
import { VirtualList } from '../parts/virtual-list.tsx'
import { startTraffic, stopTraffic, traffic } from '../state/traffic.ts'
import { counts, events, rates } from '../state/world.ts'

/** What people look for first, in words; the trace has more kinds. */
const KINDS = {
  dma: 'DMA',
  fault: 'Faults',
  interrupt: 'Interrupts',
  vmExit: 'VM exits',
  invalidation: 'Invalidations',
} as const

const CURVE = { width: 120, height: 28 } as const

export function EventsView() {
  const kind = useSignal('')
  const held = useSignal<typeof events.value | undefined>(undefined)
  const kinds = [...counts.value.keys()].sort()
  const shown = useComputed(() => {
    const all = held.value ?? events.value
    const matching = kind.value === '' ? all : all.filter(event => event.kind === kind.value)
    return [...matching].reverse()
  })
  return (
    <div class="page whole">
      <h2>Live</h2>
      <ul class="meters">
        {Object.entries(KINDS).map(([name, words]) => (
          <li key={name}>
            <button
              type="button"
              class="meter quiet"
              aria-pressed={kind.value === name}
              onClick={() => (kind.value = kind.value === name ? '' : name)}
            >
              <span>{words}</span> <b>{counts.value.get(name) ?? 0}</b>
              <Curve of={rates.value.get(name) ?? []} />
            </button>
          </li>
        ))}
      </ul>
      <div class="bar plain">
        <label class="field">
          <span>kind</span>
          <select
            value={kind.value}
            onChange={event => {
              kind.value = event.currentTarget.value
            }}
          >
            <option value="">all</option>
            {kinds.map(each => (
              <option key={each} value={each}>
                {each} ({counts.value.get(each)})
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          class="quiet"
          aria-pressed={held.value !== undefined}
          onClick={() => (held.value = held.value === undefined ? events.value : undefined)}
        >
          {held.value === undefined ? 'Hold still' : 'Go on'}
        </button>
        <button type="button" class="quiet" onClick={traffic.value ? stopTraffic : startTraffic}>
          {traffic.value ? 'Stop the traffic' : 'Make traffic'}
        </button>
      </div>
      <VirtualList
        label="Events, newest first"
        of={shown.value}
        keyOf={({ sequence }) => sequence}
        rowHeight={30}
        rowClass={event => event.kind}
        row={event => (
          <div class="row event">
            <code>{(event.timeNs / 1000).toFixed(1)} µs</code>
            <span class="kind">{event.kind}</span>
            <span class="message" title={event.message}>
              {event.message}
            </span>
          </div>
        )}
      />
    </div>
  )
}

/** Events a second over the last minute. */
function Curve({ of }: { readonly of: readonly number[] }) {
  const { width, height } = CURVE
  const top = Math.max(1, ...of)
  const step = width / Math.max(1, of.length - 1)
  const points = of.map(
    (value, i) => `${(i * step).toFixed(1)},${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`,
  )
  return (
    <svg class="curve" width={width} height={height} aria-hidden="true">
      <polyline points={points.join(' ')} />
    </svg>
  )
}
