/** The first five minutes as a list of steps, each marked once the platform shows that it was done. */
import { computed } from '@preact/signals'
import { linkTo, type Place } from '../state/place.ts'
import { events, faults, functions, vms } from '../state/world.ts'

interface TourStep {
  readonly text: string
  readonly done: boolean
  readonly where: Partial<Place>
}

const steps = computed((): readonly TourStep[] => {
  const physical = functions.value.find(({ sriov }) => sriov !== undefined)
  const virtual = functions.value.find(({ kind }) => kind === 'VF')
  const assigned = functions.value.find(({ owner }) => owner.kind === 'vm')
  const fault = faults.value.at(-1)
  return [
    {
      text: 'Select a physical function and enable two virtual functions',
      done: virtual !== undefined,
      where: { view: 'machine', selected: physical && `function:${physical.address}` },
    },
    {
      text: 'Create a virtual machine (nothing selected, below)',
      done: vms.value.length > 0,
      where: { view: 'machine', selected: undefined },
    },
    {
      text: 'Drag a virtual function onto it',
      done: assigned !== undefined,
      where: { view: 'machine', selected: virtual && `function:${virtual.address}` },
    },
    {
      text: 'Let the function write where its virtual machine has no memory: 0x9000000',
      done: fault !== undefined,
      where: { view: 'machine', selected: assigned && `function:${assigned.address}` },
    },
    {
      text: 'See which table entry refused it, and what would repair it',
      done: events.value.some(({ kind }) => kind === 'fault') && fault !== undefined,
      where: fault
        ? { view: 'walk', selected: `function:${fault.source}`, address: fault.address }
        : { view: 'walk' },
    },
    {
      text: 'Read who is isolated from whom',
      done: vms.value.length > 1,
      where: { view: 'isolation' },
    },
  ]
})

export function Tour() {
  return (
    <section>
      <h3>First steps</h3>
      <ol class="tour">
        {steps.value.map(({ text, done, where }) => (
          <li key={text} class={done ? 'done' : ''}>
            <a href={linkTo(where)}>{text}</a>
            {done && <span class="hint"> done</span>}
          </li>
        ))}
      </ol>
    </section>
  )
}
