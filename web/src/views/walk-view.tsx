/** The walk viewer: how a remapping unit would translate a request, entry by entry, each decoded. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Explanation } from '../api.ts'
import { shortAddress } from '../map/words.ts'
import { Choice, Field, Form } from '../parts/form.tsx'
import { explain } from '../state/actions.ts'
import { go, place, selection } from '../state/place.ts'
import { functions, functionsByAddress, reading } from '../state/world.ts'

const HEX = '0x[0-9a-fA-F]{1,16}'

export function WalkView() {
  const walkable = functions.value.filter(({ remappingUnit }) => remappingUnit !== null)
  const name = selection.value?.kind === 'function' ? selection.value.name : walkable[0]?.address
  const fn = name === undefined ? undefined : functionsByAddress.value.get(name)
  const unit = fn?.remappingUnit ?? undefined
  const { address = '0x1000' } = place.value
  const access = useSignal<'read' | 'write'>('write')
  const explanation = useSignal<Explanation | undefined>(undefined)
  const read = reading.value
  // Asked again whenever the platform has been read anew.
  useEffect(() => {
    let current = true
    if (fn !== undefined && unit !== undefined) {
      void explain(unit, fn.address, address, access.value).then(answer => {
        if (current) explanation.value = answer
      })
    }
    return () => {
      current = false
    }
  }, [fn?.address, unit, address, access.value, read > 0])
  const shown = explanation.value
  return (
    <div class="page">
      <h2>How a request is translated</h2>
      <Form
        label="Request"
        action="Walk"
        act={values => {
          access.value = values['access'] === 'read' ? 'read' : 'write'
          go({ selected: `function:${values['source']}`, address: values['address'] })
        }}
      >
        <Choice
          key={name}
          name="source"
          label="function"
          of={walkable.map(each => each.address)}
          value={name}
        />
        <Field key={address} name="address" label="address" value={address} pattern={HEX} />
        <Choice name="access" label="access" of={['write', 'read']} value={access.value} />
      </Form>
      {fn && unit === undefined && (
        <p class="hint">No remapping unit is on the way of {shortAddress(fn.address)}.</p>
      )}
      {shown && <Steps explanation={shown} />}
    </div>
  )
}

function Steps({
  explanation: { steps, outcome, physicalAddress, fault, repair },
}: {
  explanation: Explanation
}) {
  const good = fault === undefined && outcome !== 'blocked'
  return (
    <>
      <ol class="walk">
        {steps.map((step, i) => (
          <li key={i} class={step.outcome}>
            <div class="check">
              <b>{step.check}</b>
              {step.from !== undefined && <span class="from">{wordsOf(step.from)}</span>}
              {step.section !== undefined && <cite>{step.section}</cite>}
            </div>
            {step.entryAddress !== undefined && (
              <div class="where">
                entry at <code>{step.entryAddress}</code>
              </div>
            )}
            {step.raw !== undefined && <code class="raw">{grouped(step.raw)}</code>}
            {step.fields && (
              <ul class="fields">
                {Object.entries(step.fields).map(([field, value]) => (
                  <li key={field} class={value === 0 || value === '0x0' ? 'zero' : ''}>
                    <span>{field}</span>
                    <code>{String(value)}</code>
                  </li>
                ))}
              </ul>
            )}
          </li>
        ))}
      </ol>
      <div class={`result ${good ? 'good' : 'bad'}`} role="status">
        {good ? (
          <>
            {wordsOf(outcome)} {physicalAddress !== undefined && <code>{physicalAddress}</code>}
          </>
        ) : (
          <>
            <b>{fault === undefined ? wordsOf(outcome) : `Fault ${fault.reason}: ${fault.name}`}</b>
            {repair !== undefined && <div>What would repair it: {repair}</div>}
          </>
        )}
      </div>
    </>
  )
}

/** `pagingStructureCache` as people say it. */
const wordsOf = (name: string): string => name.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)

/** Hexadecimal digits by sixteen bits. */
const grouped = (raw: string): string =>
  raw
    .replace(/^0x/, '')
    .replace(/(?=(?:[0-9a-f]{4})+$)/g, ' ')
    .trim()
