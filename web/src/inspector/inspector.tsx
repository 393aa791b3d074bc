/** What is selected: what it is, and what can be done to it. */
import { selection } from '../state/place.ts'
import { functionsByAddress, units, vms } from '../state/world.ts'
import { FunctionPanel } from './function-panel.tsx'
import { PlatformPanel } from './platform-panel.tsx'
import { UnitPanel } from './unit-panel.tsx'
import { VmPanel } from './vm-panel.tsx'

export function Inspector() {
  const chosen = selection.value
  const fn = chosen?.kind === 'function' ? functionsByAddress.value.get(chosen.name) : undefined
  const vm = chosen?.kind === 'vm' ? vms.value.find(({ name }) => name === chosen.name) : undefined
  const unit = chosen?.kind === 'unit' ? units.value.find(({ id }) => id === chosen.name) : undefined
  return (
    <aside class="inspector" aria-label="Selected">
      {fn ? (
        <FunctionPanel key={fn.address} fn={fn} />
      ) : vm ? (
        <VmPanel key={vm.name} vm={vm} />
      ) : unit ? (
        <UnitPanel key={unit.id} unit={unit} />
      ) : (
        <PlatformPanel />
      )}
    </aside>
  )
}
