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

export const platforms = signal<readonly Platform[]>([])
export const functions = signal<readonly PcieFunction[]>([])
export const vms = signal<readonly VirtualMachine[]>([])
export const units = signal<readonly RemappingUnit[]>([])
export const groups = signal<readonly IommuGroup[]>([])
export const faults = signal<readonly Fault[]>([])
export const events = signal<readonly WorldEvent[]>([])
export const connected = signal(true)
/** What went wrong last, for the user to read and dismiss. */
export const trouble = signal<string | undefined>(undefined)
/** The server wants to know who asks. */
export const locked = signal(false)
/** Grows with each reading of the platform. */
export const reading = signal(0)

export const platform = computed(
  () => platforms.value.find(({ id }) => id === place.value.platform) ?? platforms.value[0],
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
    void refresh()
  }
}

export async function refreshPlatforms(): Promise<void> {
  platforms.value = (await api.platforms()).items
}

export async function refresh(): Promise<void> {
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
    const recorded = await Promise.all(
      remapping.items
        .filter(unit => unit.kind === 'intel-vtd')
        .map(unit => api.faults({ ...of, unit: unit.id })),
    )
    if (platform.value?.id !== id) return
    batch(() => {
      platforms.value = list.items
      functions.value = found.items
      vms.value = machines.items
      units.value = remapping.items
      groups.value = apart.items
      faults.value = recorded.flatMap(({ items }) => items)
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

let due: number | undefined
function refreshSoon(): void {
  if (due !== undefined) return
  due = window.setTimeout(() => {
    due = undefined
    void refresh()
  }, SETTLE)
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
  const id = computed(() => platform.value?.id)
  effect(() => {
    const followed = id.value
    if (followed === undefined) return
    const over = new AbortController()
    untracked(() => {
      events.value = []
      if (place.value.platform !== followed) go({ platform: followed })
      void refresh()
    })
    void follow(
      `/v1/platforms/${encodeURIComponent(followed)}/events`,
      0,
      over.signal,
      came => {
        events.value = [...events.value, ...came].slice(-MOST_EVENTS)
        refreshSoon()
      },
      yes => {
        connected.value = yes
      },
    )
    return () => over.abort()
  })
}
