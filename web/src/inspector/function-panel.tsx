import { useSignal } from '@preact/signals'
import type { DmaResult, PcieFunction } from '../api.ts'
import { groupColour, kindName, shortAddress } from '../map/words.ts'
import { Facts } from '../parts/facts.tsx'
import { Choice, Field, Form } from '../parts/form.tsx'
import { assign, dma, enableVfs, interrupt, reset, takeBack } from '../state/actions.ts'
import { linkTo } from '../state/place.ts'
import { faults, groups, vms } from '../state/world.ts'

const HEX = '0x[0-9a-fA-F]{1,16}'

export function FunctionPanel({ fn }: { fn: PcieFunction }) {
  const mates =
    groups.value.find(({ id }) => id === fn.group)?.functions.filter(each => each !== fn.address) ?? []
  const recorded = faults.value.filter(({ source }) => source === fn.address)
  return (
    <>
      <h2>
        {kindName(fn)} <code>{shortAddress(fn.address)}</code>
      </h2>
      <Facts
        of={[
          ['Owner', fn.owner.kind === 'vm' ? `virtual machine ${fn.owner.name}` : (fn.driver ?? 'nobody')],
          [
            'IOMMU group',
            <>
              <span class="swatch" style={{ background: groupColour(fn.group) }} /> {fn.group ?? 'none'}
              {mates.length > 0 && ` with ${mates.map(shortAddress).join(', ')}`}
            </>,
          ],
          ['Remapping unit', fn.remappingUnit ?? 'none'],
          ['Ids', <code>{`${fn.vendorId.slice(2)}:${fn.deviceId.slice(2)}`}</code>],
          fn.capabilities.length > 0 && ['Capabilities', fn.capabilities.join(', ')],
          fn.resetMethods.length > 0 && ['Resets by', fn.resetMethods.join(', ')],
        ]}
      />
      {recorded.length > 0 && (
        <section>
          <h3>Faults</h3>
          <ul class="list">
            {recorded.map((fault, i) => (
              <li key={i}>
                <a href={linkTo({ view: 'walk', address: fault.address })}>{fault.address}</a> {fault.reason}{' '}
                {fault.name}
              </li>
            ))}
          </ul>
        </section>
      )}
      <Ownership fn={fn} />
      {fn.sriov && (
        <section>
          <h3>Virtual functions</h3>
          <Form
            label="Virtual functions"
            action="Enable"
            act={({ count }) => enableVfs(fn.address, Number(count))}
          >
            <Field
              name="count"
              label={`of ${fn.sriov.totalVfs}`}
              type="number"
              min={0}
              max={fn.sriov.totalVfs}
              value={fn.sriov.numVfs}
            />
          </Form>
        </section>
      )}
      <Dma fn={fn} />
      <section>
        <h3>Interrupt</h3>
        <Form label="Interrupt" action="Signal" act={({ vector }) => interrupt(fn.address, Number(vector))}>
          <Field name="vector" label="vector" type="number" min={0} max={2047} value={0} />
        </Form>
        {fn.resetMethods.length > 0 && (
          <button type="button" class="quiet" onClick={() => reset(fn.address)}>
            Reset the function
          </button>
        )}
      </section>
    </>
  )
}

function Ownership({ fn }: { fn: PcieFunction }) {
  const { owner } = fn
  if (owner.kind === 'vm') {
    return (
      <section>
        <h3>Assignment</h3>
        <button type="button" onClick={() => takeBack(fn.address, owner.name!)}>
          Take back from {owner.name}
        </button>
      </section>
    )
  }
  const names = vms.value.map(({ name }) => name)
  return (
    <section>
      <h3>Assignment</h3>
      {names.length === 0 ? (
        <p class="hint">There is no virtual machine yet.</p>
      ) : (
        <Form label="Assignment" action="Assign" act={({ vm }) => assign(fn.address, vm!)}>
          <Choice name="vm" label="to" of={names} />
        </Form>
      )}
    </section>
  )
}

function Dma({ fn }: { fn: PcieFunction }) {
  const result = useSignal<DmaResult | undefined>(undefined)
  const answer = result.value
  return (
    <section>
      <h3>DMA</h3>
      <Form
        label="DMA"
        action="Fire"
        act={async ({ direction, address }) => {
          result.value = await dma(
            fn.address,
            direction === 'read'
              ? { direction: 'read', address: address!, length: 64 }
              : { direction: 'write', address: address!, data: 'cafebabe' },
          )
        }}
      >
        <Choice name="direction" label="direction" of={['write', 'read']} />
        <Field name="address" label="at" value="0x1000" pattern={HEX} />
      </Form>
      {answer && (
        <div class={`result ${answer.outcome === 'completed' ? 'good' : 'bad'}`} role="status">
          {answer.parts.map(part => (
            <div key={part.address}>
              <code>{part.address}</code> {part.outcome}
              {part.physicalAddress !== undefined && (
                <>
                  {' '}
                  → <code>{part.physicalAddress}</code>
                </>
              )}
              {part.fault && ` ${part.fault.reason}: ${part.fault.name}`}
              {part.cause !== undefined && part.fault === undefined && ` (${part.cause})`}{' '}
              {fn.remappingUnit !== null && (
                <a href={linkTo({ view: 'walk', selected: `function:${fn.address}`, address: part.address })}>
                  see the tables walked
                </a>
              )}
            </div>
          ))}
        </div>
      )}
    </section>
  )
}
