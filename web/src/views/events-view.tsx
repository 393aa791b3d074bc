/** What has happened on the platform, newest first. */
import { useSignal } from '@preact/signals'
import { events } from '../state/world.ts'

const SHOWN = 300

export function EventsView() {
  const kind = useSignal('')
  const kinds = [...new Set(events.value.map(event => event.kind))].sort()
  const matching = events.value.filter(event => kind.value === '' || event.kind === kind.value)
  return (
    <div class="page">
      <h2>Events</h2>
      <label class="field">
        <span>kind</span>
        <select
          value={kind.value}
          onChange={event => {
            kind.value = event.currentTarget.value
          }}
        >
          <option value="">all ({events.value.length})</option>
          {kinds.map(each => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </label>
      <ol class="events" aria-live="polite">
        {matching
          .slice(-SHOWN)
          .reverse()
          .map(event => (
            <li key={event.sequence} class={event.kind}>
              <code>{(event.timeNs / 1000).toFixed(1)} µs</code>
              <span class="kind">{event.kind}</span>
              <span>{event.message}</span>
            </li>
          ))}
      </ol>
    </div>
  )
}
