/** IOMMU groups: what can only be given away together, and why. */
import { groupColour, shortAddress } from '../map/words.ts'
import { linkTo } from '../state/place.ts'
import { groups } from '../state/world.ts'

export function GroupsView() {
  return (
    <div class="page">
      <h2>IOMMU groups</h2>
      <p class="hint">
        The functions of a group cannot be kept apart: they go to one owner, or stay where they are.
      </p>
      <ul class="cards">
        {groups.value.map(group => (
          <li key={group.id} style={{ borderLeftColor: groupColour(group.id) }}>
            <b>Group {group.id}</b>
            <span class="hint">
              {group.owner.kind === 'vm'
                ? `virtual machine ${group.owner.name}`
                : (group.owner.name ?? 'nobody')}
            </span>
            <div>
              {group.functions.map(address => (
                <a
                  key={address}
                  class="chip"
                  href={linkTo({ view: 'machine', selected: `function:${address}` })}
                >
                  {shortAddress(address)}
                </a>
              ))}
            </div>
            {group.why
              .filter(({ rule }) => rule !== 'founder')
              .map(({ function: address, text }) => (
                <p key={address} class="hint">
                  {text}
                </p>
              ))}
          </li>
        ))}
      </ul>
    </div>
  )
}
