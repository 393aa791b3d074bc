import type { VirtualMachine } from '../api.ts'
import { shortAddress } from '../map/words.ts'
import { Facts } from '../parts/facts.tsx'
import { deleteVm, takeBack } from '../state/actions.ts'
import { linkTo } from '../state/place.ts'

export function VmPanel({ vm }: { vm: VirtualMachine }) {
  return (
    <>
      <h2>
        Virtual machine <code>{vm.name}</code>
      </h2>
      <Facts
        of={[
          ['Virtual processors', vm.vcpus],
          ['Memory', `${vm.memoryMiB} MiB`],
          ['Interrupts', vm.interrupts],
        ]}
      />
      <section>
        <h3>Functions</h3>
        {vm.devices.length === 0 && (
          <p class="hint">None. Drag a function here, or select one and assign it.</p>
        )}
        <ul class="list">
          {vm.devices.map(device => (
            <li key={device.function}>
              <a href={linkTo({ selected: `function:${device.function}` })}>
                {shortAddress(device.function)}
              </a>
              , in the guest <code>{shortAddress(device.guestAddress)}</code>,{' '}
              {device.vectors.reduce((sum, { delivered }) => sum + delivered, 0)} interrupts
              <button type="button" class="quiet" onClick={() => takeBack(device.function, vm.name)}>
                Take back
              </button>
            </li>
          ))}
        </ul>
      </section>
      <section>
        <button type="button" class="quiet" onClick={() => deleteVm(vm.name)}>
          Delete {vm.name}
        </button>
      </section>
    </>
  )
}
