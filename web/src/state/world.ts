/** The platform that is looked at, as the server tells it: asked for anew whenever something has happened there. */
import { batch, computed, effect, signal, untracked } from '@preact/signals'
import {
  api,
  type Fault,
  type IommuGroup,
  NorthbridgeProblem,
  type PcieFunction,
  type Platform,
  type RemappingUnit,
  token,
  type VirtualMachine,
  type WorldEvent,
} from '../api.ts'
import { follow } from './events.ts'
import { go, place } from './place.ts'

const MOST_EVENTS = 2000
/** Milliseconds: what happens within them is shown together. */
const SETTLE = 120
/** A large platform takes long to be told: so many times as long passes before it is asked for again. */
const REST = 4
/** Seconds of which rates are shown. */
const RATE_SECONDS = 60
/** Kinds of events that leave functions, machines and groups as they were. */
const PASSING: ReadonlySet<string> = new Set([
  'dma',
  'interrupt',
  'vmEntry',
  'vmExit',
  'invalidation',
  'network',
  'experiment',
])

export const platforms = signal<readonly Platform[]>([])
export const functions = signal<readonly PcieFunction[]>([])
export const vms = signal<readonly VirtualMachine[]>([])
export const units = signal<readonly RemappingUnit[]>([])
export const groups = signal<readonly IommuGroup[]>([])
export const faults = signal<readonly Fault[]>([])
export const events = signal<readonly WorldEvent[]>([])
/** Events of each kind since the page follows the platform. */
export const counts = signal<ReadonlyMap<string, number>>(new Map())
/** Events of each kind in each of the last seconds. */
export const rates = signal<ReadonlyMap<string, readonly number[]>>(new Map())
export const connected = signal(true)
/** What went wrong last, for the user to read and dismiss. */
export const trouble = signal<string | undefined>(undefined)
/** The server wants to know who asks. */
export const locked = signal(false)
/** Grows with each reading of the platform. */
export const reading = signal(0)

/** The platform of `npm start` that the tour leads through. */
export const TOUR = 'tour'

export const platform = computed(
  () =>
    platforms.value.find(({ id }) => id === place.value.platform) ??
    platforms.value.find(({ id }) => id === TOUR) ??
    platforms.value[0],
)
export const functionsByAddress = computed(() => new Map(functions.value.map(each => [each.address, each])))

/** Does something that the server may refuse; a refusal is shown. */
export async function attempt<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    const result = await work()
    trouble.value = undefined
    return result
  } catch (error) {
    trouble.value =
      error instanceof NorthbridgeProblem
        ? error.message
        : `The server does not answer: ${(error as Error).message}`
    return undefined
  } finally {
    refreshSoon()
  }
}

export async function refreshPlatforms(): Promise<void> {
  platforms.value = (await api.platforms()).items
}

/** Reads the whole platform. One reading at a time. */
async function refresh(): Promise<void> {
  const id = platform.value?.id
  if (id === undefined) return
  const of = { platform: id }
  try {
    const [list, found, machines, remapping, apart] = await Promise.all([
      api.platforms(),
      api.functions(of),
      api.vms(of),
      api.units(of),
      api.groups(of),
    ])
    const recorded = await faultsOf(id, remapping.items)
    if (platform.value?.id !== id) return
    batch(() => {
      platforms.value = list.items
      functions.value = found.items
      vms.value = machines.items
      units.value = remapping.items
      groups.value = apart.items
      faults.value = recorded
      reading.value++
    })
  } catch (error) {
    // A platform that is off has no functions to list.
    if (!(error instanceof NorthbridgeProblem)) return
    batch(() => {
      functions.value = []
      vms.value = []
      units.value = []
      groups.value = []
      faults.value = []
    })
    await refreshPlatforms()
  }
}

async function faultsOf(id: string, of: readonly RemappingUnit[]): Promise<readonly Fault[]> {
  const known = await Promise.all(
    of.filter(unit => unit.kind === 'intel-vtd').map(unit => api.faults({ platform: id, unit: unit.id })),
  )
  return known.flatMap(({ items }) => items)
}

let due: number | undefined
let busy = false
let earliest = 0

/** Reads the platform as soon as what happens has settled, and not more often than the server and this page can bear. */
export function refreshSoon(): void {
  if (due !== undefined) return
  const wait = Math.max(SETTLE, earliest - performance.now())
  due = window.setTimeout(async () => {
    due = undefined
    if (busy) return refreshSoon()
    busy = true
    const began = performance.now()
    await refresh()
    earliest = performance.now() + REST * (performance.now() - began)
    busy = false
  }, wait)
}

// What passes by.

let recent: { readonly kind: string; readonly second: number }[] = []
const secondNow = (): number => Math.floor(performance.now() / 1000)

function receive(came: readonly WorldEvent[]): void {
  const second = secondNow()
  const sums = new Map(counts.value)
  for (const { kind } of came) {
    sums.set(kind, (sums.get(kind) ?? 0) + 1)
    recent.push({ kind, second })
  }
  batch(() => {
    events.value = [...events.value, ...came].slice(-MOST_EVENTS)
    counts.value = sums
  })
  if (came.some(({ kind }) => !PASSING.has(kind))) refreshSoon()
}

function tellRates(): void {
  const now = secondNow()
  recent = recent.filter(({ second }) => second > now - RATE_SECONDS)
  const told = new Map<string, number[]>()
  for (const { kind, second } of recent) {
    const curve = told.get(kind) ?? new Array<number>(RATE_SECONDS).fill(0)
    curve[RATE_SECONDS - 1 - (now - second)]!++
    told.set(kind, curve)
  }
  rates.value = told
}

/** Events that come one by one are shown frame by frame. */
function byFrame(receive: (came: readonly WorldEvent[]) => void): (came: readonly WorldEvent[]) => void {
  let waiting: WorldEvent[] = []
  return came => {
    if (waiting.length === 0) {
      const tell = (): void => {
        const all = waiting
        waiting = []
        receive(all)
      }
      // A page that nobody sees has no frames.
      if (document.hidden) setTimeout(tell, 1000)
      else requestAnimationFrame(tell)
    }
    waiting.push(...came)
  }
}

async function enter(): Promise<void> {
  try {
    await refreshPlatforms()
    locked.value = false
  } catch (error) {
    if (error instanceof NorthbridgeProblem && error.status === 401) locked.value = true
    else connected.value = false
  }
}

/** Follows the platform in the address, from one to the next. */
export function begin(): void {
  effect(() => {
    // A token that was given is tried at once.
    void token.value
    void enter()
  })
  setInterval(tellRates, 1000)
  const id = computed(() => platform.value?.id)
  effect(() => {
    const followed = id.value
    if (followed === undefined) return
    const over = new AbortController()
    untracked(() => {
      batch(() => {
        events.value = []
        counts.value = new Map()
        rates.value = new Map()
      })
      recent = []
      if (place.value.platform !== followed) go({ platform: followed })
      earliest = 0
      refreshSoon()
    })
    void follow(
      `/v1/platforms/${encodeURIComponent(followed)}/events`,
      0,
      over.signal,
      byFrame(came => {
        if (!over.signal.aborted) receive(came)
      }),
      yes => {
        connected.value = yes
      },
    )
    return () => over.abort()
  })
}
