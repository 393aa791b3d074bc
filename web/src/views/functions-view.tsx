/** Every function and every virtual machine of the platform in one list, narrowed by words. */
import { useComputed, useSignal } from '@preact/signals'
import type { PcieFunction, VirtualMachine } from '../api.ts'
import { groupColour, kindName, shortAddress } from '../map/words.ts'
import { counted } from '../parts/counted.ts'
import { VirtualList } from '../parts/virtual-list.tsx'
import { linkTo } from '../state/place.ts'
import { functions, vms } from '../state/world.ts'

interface Row {
  readonly key: string
  readonly href: string
  readonly name: string
  readonly what: string
  readonly owner: string
  readonly group: number | null
  readonly words: string
}

const ofFunction = (fn: PcieFunction): Row => {
  const what = kindName(fn)
  const owner = fn.owner.kind === 'vm' ? `→ ${fn.owner.name}` : (fn.driver ?? 'no driver')
  return {
    key: fn.address,
    href: `function:${fn.address}`,
    name: shortAddress(fn.address),
    what,
    owner,
    group: fn.group,
    words: `${fn.address} ${what} ${owner} ${fn.remappingUnit ?? ''} group ${fn.group}`.toLowerCase(),
  }
}

const ofMachine = ({ name, vcpus, memoryMiB, devices }: VirtualMachine): Row => ({
  key: `vm ${name}`,
  href: `vm:${name}`,
  name,
  what: 'Virtual machine',
  owner: `${vcpus} vCPU · ${memoryMiB} MiB · ${counted(devices.length, 'function')}`,
  group: null,
  words: `${name} virtual machine`.toLowerCase(),
})

export function FunctionsView() {
  const wanted = useSignal('')
  const rows = useComputed(() => [...functions.value.map(ofFunction), ...vms.value.map(ofMachine)])
  const shown = useComputed(() => {
    const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean)
    return rows.value.filter(row => words.every(word => row.words.includes(word)))
  })
  return (
    <div class="page whole">
      <h2>Functions and virtual machines</h2>
      <label class="field">
        <span>find</span>
        <input
          type="search"
          placeholder="address, kind, owner, unit, group"
          value={wanted.value}
          onInput={event => {
            wanted.value = event.currentTarget.value
          }}
        />
      </label>{' '}
      <span role="status" class="hint">
        {shown.value.length} of {rows.value.length}
      </span>
      <VirtualList
        label="Functions and virtual machines"
        of={shown.value}
        keyOf={({ key }) => key}
        rowHeight={34}
        row={({ href, name, what, owner, group }) => (
          <a class="row" href={linkTo({ view: 'machine', selected: href })}>
            <span class="swatch" style={{ background: groupColour(group) }} />
            <code>{name}</code>
            <span>{what}</span>
            <span class="hint">{owner}</span>
          </a>
        )}
      />
    </div>
  )
}
