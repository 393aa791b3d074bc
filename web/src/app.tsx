/** The page: what is looked at above, what is seen of it below. */
import { useSignal } from '@preact/signals'
import { api, token } from './api.ts'
import { Inspector } from './inspector/inspector.tsx'
import { MapView } from './map/map-view.tsx'
import { Choice, Field, Form } from './parts/form.tsx'
import { TourCard } from './parts/tour-card.tsx'
import { go, linkTo, place, VIEWS, type View } from './state/place.ts'
import { switchTheme, theme } from './state/theme.ts'
import {
  attempt,
  connected,
  faults,
  locked,
  platform,
  platforms,
  refreshPlatforms,
  trouble,
} from './state/world.ts'
import { ComposeView } from './views/compose-view.tsx'
import { EventsView } from './views/events-view.tsx'
import { ExperimentsView } from './views/experiments-view.tsx'
import { FunctionsView } from './views/functions-view.tsx'
import { GroupsView } from './views/groups-view.tsx'
import { IsolationView } from './views/isolation-view.tsx'
import { WalkView } from './views/walk-view.tsx'

const NAMES: Readonly<Record<View, string>> = {
  machine: 'Machine',
  compose: 'Compose',
  functions: 'Functions',
  walk: 'Walk',
  groups: 'Groups',
  isolation: 'Isolation',
  events: 'Live',
  experiments: 'Experiments',
}

export function App() {
  const { view } = place.value
  return (
    <>
      <Header />
      {trouble.value !== undefined && (
        <div class="trouble" role="alert">
          {trouble.value}
          <button
            type="button"
            class="quiet"
            onClick={() => {
              trouble.value = undefined
            }}
          >
            Dismiss
          </button>
        </div>
      )}
      {locked.value && <Unlock />}
      <main class={view}>
        {view === 'machine' && (
          <>
            <MapView />
            <Inspector />
          </>
        )}
        {view === 'compose' && <ComposeView />}
        {view === 'functions' && <FunctionsView />}
        {view === 'walk' && <WalkView />}
        {view === 'groups' && <GroupsView />}
        {view === 'isolation' && <IsolationView />}
        {view === 'events' && <EventsView />}
        {view === 'experiments' && <ExperimentsView />}
      </main>
      <TourCard />
    </>
  )
}

function Unlock() {
  return (
    <div class="page">
      <p>
        This server asks for a token: <code>northbridge token create</code> makes one.
      </p>
      <Form
        label="Token"
        action="Enter"
        act={values => {
          token.value = values['token']
        }}
      >
        <Field name="token" label="token" value="" />
      </Form>
    </div>
  )
}

function Header() {
  const composing = useSignal(false)
  return (
    <header>
      <h1>
        <img src="/icon.svg" alt="" width={22} height={22} /> Northbridge
      </h1>
      <label class="field">
        <span>platform</span>
        <select
          value={platform.value?.id}
          onChange={event =>
            go({ platform: event.currentTarget.value, selected: undefined, address: undefined })
          }
        >
          {platforms.value.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      <button
        type="button"
        class="quiet"
        aria-expanded={composing.value}
        onClick={() => (composing.value = !composing.value)}
      >
        New…
      </button>
      {composing.value && <Compose done={() => (composing.value = false)} />}
      <nav aria-label="Views">
        {VIEWS.map(view => (
          <a key={view} href={linkTo({ view })} aria-current={place.value.view === view ? 'page' : undefined}>
            {NAMES[view]}{' '}
            {view === 'walk' && faults.value.length > 0 && <span class="count">{faults.value.length}</span>}
          </a>
        ))}
      </nav>
      <span class={`line ${connected.value ? 'up' : 'down'}`} role="status">
        {connected.value ? 'live' : 'no connection'}
      </span>
      <button type="button" class="quiet" onClick={switchTheme}>
        {theme.value === 'dark' ? 'Light' : 'Dark'}
      </button>
    </header>
  )
}

/** A platform from a topology of the catalogue. */
function Compose({ done }: { readonly done: () => void }) {
  const names = useSignal<readonly string[] | undefined>(undefined)
  if (names.value === undefined) {
    names.value = []
    void attempt(() => api.topologies()).then(answer => {
      names.value = answer?.items.map(({ name }) => name) ?? []
    })
  }
  return (
    <Form
      label="New platform"
      action="Build and power on"
      act={async ({ topology }) => {
        const made = await attempt(() => api.createPlatform({ topology: topology! }))
        if (made === undefined) return
        await refreshPlatforms()
        go({ platform: made.id, selected: undefined })
        done()
      }}
    >
      <Choice key={names.value.length} name="topology" label="topology" of={names.value} />
    </Form>
  )
}
