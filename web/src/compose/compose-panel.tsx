/** What is chosen of the topology: added to, moved, named, and given attributes. */
import { useSignal } from '@preact/signals'
import { parse, stringify } from 'yaml'
import { Facts } from '../parts/facts.tsx'
import { Choice, Field, Form } from '../parts/form.tsx'
import type { Path } from './document.ts'
import {
  addFunction,
  addHostBridge,
  addSocket,
  addSwitch,
  addUnit,
  attributesOf,
  chosen,
  devices,
  draft,
  move,
  parts,
  remove,
  setAttributes,
} from './draft.ts'
import type { Part } from './tree.ts'

export function ComposePanel() {
  const part = parts.value.find(({ pointer }) => pointer === chosen.value)
  return (
    <aside class="inspector" aria-label="Selected part">
      {part === undefined ? <MachinePanel /> : <PartPanel key={part.pointer} part={part} />}
    </aside>
  )
}

function MachinePanel() {
  const { name = '', description = '', host } = draft.value
  return (
    <>
      <h2>Machine</h2>
      <Form
        label="Machine"
        action="Set"
        act={values => {
          setAttributes([], { name: values['name'], description: values['description'] })
          if (host?.commandLine !== values['commandLine'])
            setAttributes(['host'], { commandLine: values['commandLine'] })
        }}
      >
        <Field key={name} name="name" label="name" value={name} pattern="[A-Za-z0-9][A-Za-z0-9._\-]{0,62}" />
        <Field key={description} name="description" label="shows" value={description} optional />
        <Field
          key={host?.commandLine}
          name="commandLine"
          label="kernel parameters"
          value={host?.commandLine ?? 'intel_iommu=on'}
          optional
        />
      </Form>
      <section>
        <h3>Add</h3>
        <div class="buttons">
          <button type="button" onClick={addSocket}>
            Socket
          </button>
          <button type="button" onClick={addUnit}>
            Remapping unit
          </button>
          <button type="button" onClick={addHostBridge}>
            Host bridge
          </button>
        </div>
        <p class="hint">
          Choose a host bridge or a port to add below it. Drag a function to another port to move it; the
          Delete key removes what has the focus.
        </p>
      </section>
    </>
  )
}

function PartPanel({ part }: { part: Part }) {
  const { kind, path, title, detail, holds } = part
  const places = parts.value.filter(
    each => each.holds && each.pointer !== part.pointer && !each.pointer.startsWith(`${part.pointer}/`),
  )
  return (
    <>
      <h2>{title}</h2>
      <p class="hint">{detail}</p>
      <QuickAttributes part={part} />
      {holds && <AddBelow path={path} />}
      {kind === 'function' && (
        <section>
          <h3>Move</h3>
          <Form
            label="Move"
            action="Move"
            act={({ below }) => {
              const target = places.find(({ pointer }) => pointer === below)
              if (target !== undefined) move(path, target.path)
            }}
          >
            <Choice
              name="below"
              label="below"
              of={places.map(({ pointer }) => pointer)}
              say={pointer => sayPlace(places.find(each => each.pointer === pointer)!)}
            />
          </Form>
        </section>
      )}
      {kind === 'function' && <Sheet model={String(attributesOf(path)['model'] ?? '')} />}
      <AllAttributes path={path} />
      <section class="buttons">
        <button type="button" class="quiet" onClick={() => remove(path)}>
          Remove {title}
        </button>
        <button type="button" class="quiet" onClick={() => (chosen.value = undefined)}>
          Back to the machine
        </button>
      </section>
    </>
  )
}

const sayPlace = ({ title, detail }: Part): string => `${title} · ${detail}`

function AddBelow({ path }: { readonly path: Path }) {
  const isBridge = path[0] === 'hostBridges' && path.length === 2
  return (
    <section>
      <h3>Add below</h3>
      <div class="buttons">
        {isBridge && (
          <button type="button" onClick={() => addFunction(path, 'root-port')}>
            Root port
          </button>
        )}
        {!isBridge && (
          <button type="button" onClick={() => addSwitch(path)}>
            Switch
          </button>
        )}
      </div>
      <Form label="Add function" action="Add" act={({ model }) => addFunction(path, model!)}>
        <Choice
          name="model"
          label="function"
          of={devices.value.map(({ name }) => name)}
          value="intel-82576"
        />
      </Form>
    </section>
  )
}

/** What people change most, as fields; numbers stay numbers. */
function QuickAttributes({ part: { kind, path } }: { part: Part }) {
  const now = attributesOf(path)
  const say = (name: string, otherwise: string | number = ''): string => String(now[name] ?? otherwise)
  const { iommu } = draft.value
  const units = iommu?.kind === 'intel-vtd' ? iommu.units.map(({ id }) => id) : []
  const isRoot = path.length === 4
  const shown = (name: string): string => say(name, DEFAULTS[name])
  return (
    <Form
      label="Attributes"
      action="Set"
      act={values =>
        setAttributes(
          path,
          Object.fromEntries(
            Object.entries(values)
              .filter(([name, value]) => value !== shown(name))
              .map(([name, value]) => [
                name,
                value === ''
                  ? undefined
                  : NUMBERS.has(name)
                    ? Number(value)
                    : value === 'true'
                      ? true
                      : value,
              ]),
          ),
        )
      }
    >
      {kind === 'socket' && (
        <Field
          name="logicalProcessors"
          label="processors"
          type="number"
          min={1}
          max={1024}
          value={say('logicalProcessors')}
        />
      )}
      {kind === 'unit' && <Field name="id" label="name" value={say('id')} />}
      {kind === 'unit' && (
        <Choice
          name="includeAll"
          label="serves all others"
          of={['', 'true']}
          value={now['includeAll'] ? 'true' : ''}
          say={yes => (yes ? 'yes' : 'no')}
        />
      )}
      {kind === 'bridge' && (
        <Field name="bus" label="bus" type="number" min={0} max={255} value={shown('bus')} />
      )}
      {kind === 'function' && <Field name="at" label="at" value={say('at')} pattern="[01][0-9a-f]\.[0-7]" />}
      {kind === 'function' && (
        <Choice name="model" label="model" of={devices.value.map(({ name }) => name)} value={say('model')} />
      )}
      {kind === 'function' && (
        <Field
          name="numVfs"
          label="VFs at boot"
          type="number"
          min={0}
          max={65535}
          value={say('numVfs')}
          optional
        />
      )}
      {(kind === 'bridge' || (kind === 'function' && isRoot)) && (
        <Choice
          name="remappingUnit"
          label="behind"
          of={['', ...units]}
          value={say('remappingUnit')}
          say={id => id || 'as usual'}
        />
      )}
      {kind !== 'function' && (
        <Field name="numaNode" label="node" type="number" min={-1} max={1023} value={shown('numaNode')} />
      )}
    </Form>
  )
}

/** What the fields show of what the document leaves out. */
const DEFAULTS: Readonly<Record<string, string | number>> = { bus: 0, numaNode: -1 }

const NUMBERS: ReadonlySet<string> = new Set(['logicalProcessors', 'bus', 'numVfs', 'numaNode'])

/** Every attribute, as the document has them. */
function AllAttributes({ path }: { readonly path: Path }) {
  const trouble = useSignal('')
  const written = stringify(attributesOf(path))
  return (
    <details>
      <summary>All attributes</summary>
      <form
        onSubmit={event => {
          event.preventDefault()
          try {
            const values = parse(String(new FormData(event.currentTarget).get('attributes'))) ?? {}
            const gone = Object.keys(attributesOf(path)).filter(name => !(name in values))
            setAttributes(path, { ...values, ...Object.fromEntries(gone.map(name => [name, undefined])) })
            trouble.value = ''
          } catch (error) {
            trouble.value = (error as Error).message.split('\n')[0]!
          }
        }}
      >
        <textarea
          key={written}
          name="attributes"
          aria-label="All attributes"
          rows={7}
          defaultValue={written}
        />
        <button type="submit">Set all</button>
        {trouble.value !== '' && <p class="result bad">{trouble.value}</p>}
      </form>
    </details>
  )
}

/** The data sheet of a model in a few lines. */
function Sheet({ model }: { readonly model: string }) {
  const sheet = devices.value.find(({ name }) => name === model)
  if (sheet === undefined) return null
  return (
    <section>
      <h3>Data sheet</h3>
      <Facts
        of={[
          ['Device', sheet.title],
          ['Ids', <code>{`${sheet.vendorId.slice(2)}:${sheet.deviceId.slice(2)}`}</code>],
          ['Class', <code>{sheet.classCode}</code>],
          sheet.functions > 1 && ['Functions', sheet.functions],
          sheet.totalVfs > 0 && ['Virtual functions', `up to ${sheet.totalVfs}`],
          sheet.vectors > 0 && ['Vectors', sheet.vectors],
          sheet.link !== '' && ['Link', sheet.link],
        ]}
      />
    </section>
  )
}
