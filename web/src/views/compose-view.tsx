/** A topology composed by hand in a map, or as a document; either way the server judges it while it changes. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type TopologyDocument } from '../api.ts'
import { ComposeMap } from '../compose/compose-map.tsx'
import { ComposePanel } from '../compose/compose-panel.tsx'
import {
  begin,
  draft,
  format,
  judging,
  mistakes,
  redo,
  save,
  setFormat,
  startDraft,
  steps,
  undo,
  verdict,
} from '../compose/draft.ts'
import { Editor } from '../compose/editor.tsx'
import { counted } from '../parts/counted.ts'
import { Choice, Form } from '../parts/form.tsx'
import { go } from '../state/place.ts'
import { attempt, refreshPlatforms } from '../state/world.ts'

let started = false

export function ComposeView() {
  const names = useSignal<readonly string[]>([])
  const saved = useSignal('')
  useEffect(() => {
    if (!started) startDraft()
    started = true
    void attempt(() => api.topologies()).then(answer => {
      names.value = answer?.items.map(({ name }) => name) ?? []
    })
  }, [])
  const sound = verdict.value !== undefined
  const build = async (): Promise<void> => {
    const made = await attempt(() => api.createPlatform({ topology: draft.value as TopologyDocument }))
    if (made === undefined) return
    await refreshPlatforms()
    go({ view: 'machine', platform: made.id, selected: undefined })
  }
  return (
    <>
      <div class="bar">
        <Form
          label="Start from"
          action="Start from it"
          act={async ({ topology }) => {
            if (topology === 'nothing') begin(undefined)
            else begin(await attempt(() => api.topology({ name: topology! })))
          }}
        >
          <Choice
            key={names.value.length}
            name="topology"
            label="topology"
            of={['nothing', ...names.value]}
          />
        </Form>
        <div class="buttons">
          <button type="button" class="quiet" disabled={steps.value.back === 0} onClick={undo}>
            Undo
          </button>
          <button type="button" class="quiet" disabled={steps.value.forth === 0} onClick={redo}>
            Redo
          </button>
          <label class="field">
            <span>as</span>
            <select
              value={format.value}
              onChange={event => setFormat(event.currentTarget.value === 'json' ? 'json' : 'yaml')}
            >
              <option value="yaml">YAML</option>
              <option value="json">JSON</option>
            </select>
          </label>
        </div>
        <span class={`verdict ${sound ? 'good' : 'bad'}`} role="status">
          {verdict.value
            ? `keeps every rule: ${counted(verdict.value.functions, 'function')}`
            : judging.value
              ? 'is judged…'
              : counted(mistakes.value.length, 'mistake')}
        </span>
        <div class="buttons">
          <button
            type="button"
            class="quiet"
            disabled={!sound}
            onClick={async () => {
              const stored = await save()
              saved.value = stored === undefined ? '' : `stored as ${stored.name}`
            }}
          >
            Save
          </button>
          <button type="button" disabled={!sound} onClick={build}>
            Build and power on
          </button>
          {saved.value !== '' && <span role="status">{saved.value}</span>}
        </div>
      </div>
      <div class="composing">
        <ComposeMap />
        <Editor />
        <ComposePanel />
      </div>
    </>
  )
}
