import { Facts } from '../parts/facts.tsx'
import { Field, Form } from '../parts/form.tsx'
import { createVm, power } from '../state/actions.ts'
import { visit } from '../state/tour.ts'
import { functions, groups, platform, units, vms } from '../state/world.ts'

export function PlatformPanel() {
  const shown = platform.value
  if (shown === undefined) return <p class="hint">There is no platform yet: compose one above.</p>
  const on = shown.power === 'on'
  return (
    <>
      <h2>{shown.name}</h2>
      <Facts
        of={[
          ['Topology', shown.topology],
          ['Power', shown.power],
          ['Virtual time', `${(shown.timeNs / 1e6).toFixed(3)} ms`],
          ['Functions', functions.value.length],
          ['IOMMU groups', groups.value.length],
          ['Remapping units', units.value.map(({ id }) => id).join(', ') || 'none'],
          ['Virtual machines', vms.value.length],
        ]}
      />
      <section>
        <h3>Power</h3>
        <button type="button" onClick={() => power(on ? 'off' : 'on')}>
          {on ? 'Switch off' : 'Switch on'}
        </button>
      </section>
      {on && (
        <section>
          <h3>New virtual machine</h3>
          <Form
            label="New virtual machine"
            action="Create"
            act={({ name, vcpus, memory }) => createVm(name!, Number(vcpus), Number(memory))}
          >
            <Field name="name" label="name" value={`vm${vms.value.length + 1}`} />
            <Field name="vcpus" label="vCPUs" type="number" min={1} max={64} value={1} />
            <Field name="memory" label="MiB" type="number" min={1} max={65536} value={64} />
          </Form>
        </section>
      )}
      {on && (
        <section>
          <h3>New here?</h3>
          <button type="button" class="quiet" onClick={() => visit(0)}>
            Take the tour
          </button>
        </section>
      )}
    </>
  )
}
