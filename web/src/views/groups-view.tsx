/** IOMMU groups: what can only be given away together, and why. */
import { useSignal } from '@preact/signals'
import type { IommuGroup } from '../api.ts'
import { groupColour, shortAddress } from '../map/words.ts'
import { VirtualList } from '../parts/virtual-list.tsx'
import { linkTo } from '../state/place.ts'
import { groups } from '../state/world.ts'

/** More than these are not named in a row. */
const MOST_NAMED = 8

export function GroupsView() {
  const chosen = useSignal<number | undefined>(undefined)
  const together = useSignal(false)
  const shown = together.value ? groups.value.filter(({ functions }) => functions.length > 1) : groups.value
  const group = groups.value.find(({ id }) => id === chosen.value)
  return (
    <div class="page whole">
      <h2>IOMMU groups</h2>
      <p class="hint">
        The functions of a group cannot be kept apart: they go to one owner, or stay where they are.
      </p>
      <label class="field">
        <input
          type="checkbox"
          checked={together.value}
          onChange={event => {
            together.value = event.currentTarget.checked
          }}
        />
        <span>only those of several functions</span>
      </label>
      {group && <Why group={group} />}
      <VirtualList
        label="IOMMU groups"
        of={shown}
        keyOf={({ id }) => id}
        rowHeight={44}
        rowClass={({ id }) => (id === chosen.value ? 'chosen' : '')}
        row={({ id, owner, functions, why }) => (
          <div class="row" style={{ borderLeft: `5px solid ${groupColour(id)}` }}>
            <b>Group {id}</b>
            <span class="hint">{owner.kind === 'vm' ? `→ ${owner.name}` : (owner.name ?? 'nobody')}</span>
            <span>
              {functions.slice(0, MOST_NAMED).map(address => (
                <a
                  key={address}
                  class="chip"
                  href={linkTo({ view: 'machine', selected: `function:${address}` })}
                >
                  {shortAddress(address)}
                </a>
              ))}
              {functions.length > MOST_NAMED && ` and ${functions.length - MOST_NAMED} more`}
            </span>
            {why.some(({ rule }) => rule !== 'founder') && (
              <button
                type="button"
                class="quiet"
                aria-expanded={id === chosen.value}
                onClick={() => (chosen.value = id === chosen.value ? undefined : id)}
              >
                Why
              </button>
            )}
          </div>
        )}
      />
    </div>
  )
}

function Why({ group: { id, why } }: { readonly group: IommuGroup }) {
  return (
    <section class="why" aria-label={`Why group ${id} stays together`}>
      <b>Group {id} stays together:</b>
      <ul>
        {why
          .filter(({ rule }) => rule !== 'founder')
          .map(({ function: address, text }) => (
            <li key={address}>{text}</li>
          ))}
      </ul>
    </section>
  )
}
