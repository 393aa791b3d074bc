/** The topology that is being composed: its text, what the server says of it, and the steps that can be taken back. */
import { batch, computed, effect, signal } from '@preact/signals'
import type { Document, YAMLMap } from 'yaml'
import {
  api,
  type DeviceSummary,
  NorthbridgeProblem,
  type TopologyDocument,
  type TopologySummary,
} from '../api.ts'
import { attempt } from '../state/world.ts'
import {
  append,
  changed,
  type Draft,
  type Format,
  inFormat,
  type Mistake,
  moveNode,
  type Path,
  pathOf,
  pointerOf,
  readText,
} from './document.ts'
import { freePlace, partsOf } from './tree.ts'

const KEY = 'northbridge.draft'
/** Milliseconds without a key pressed, after which the server is asked. */
const PAUSE = 250
const MOST_STEPS = 200

const EMPTY = `name: my-machine
description: ""
processors:
  - { logicalProcessors: 4 }
memory:
  - { sizeMiB: 4096 }
iommu:
  kind: intel-vtd
  units:
    - { id: dmar0, includeAll: true }
hostBridges:
  - devices:
      - { at: "00.0", model: host-bridge }
`

export const text = signal(localStorage.getItem(KEY) ?? EMPTY)
export const format = signal<Format>(text.value.trimStart().startsWith('{') ? 'json' : 'yaml')
export const devices = signal<readonly DeviceSummary[]>([])
/** Pointer of the part that is selected. */
export const chosen = signal<string | undefined>(undefined)
/** What the server makes of a document that keeps every rule. */
export const verdict = signal<TopologySummary | undefined>(undefined)
export const judging = signal(false)
const refusals = signal<readonly { readonly path: string; readonly message: string }[]>([])

const read = computed(() => readText(text.value))
/** The last document that could be read: the map goes on showing it while a line is half typed. */
let last: Draft = {}
export const draft = computed((): Draft => {
  const { value } = read.value
  if (value !== undefined) last = value
  return last
})
export const parts = computed(() => partsOf(draft.value))
export const mistakes = computed((): readonly Mistake[] => {
  const { mistakes: own, lineOf } = read.value
  return own.length > 0 ? own : refusals.value.map(issue => ({ ...issue, line: lineOf(issue.path) }))
})
/** Parts that something is wrong with, or below. */
export const wrong = computed(
  () =>
    new Set(
      mistakes.value.flatMap(({ path }) => pathOf(path).map((_, i, all) => pointerOf(all.slice(0, i + 1)))),
    ),
)

const undone: string[] = []
const done: string[] = []
export const steps = signal({ back: 0, forth: 0 })
const tellSteps = (): void => {
  steps.value = { back: done.length, forth: undone.length }
}

/** Puts another text in the place of this one; what it was can be had back. */
export function write(now: string): void {
  if (now === text.value) return
  done.push(text.value)
  if (done.length > MOST_STEPS) done.shift()
  undone.length = 0
  text.value = now
  tellSteps()
}

export function undo(): void {
  const before = done.pop()
  if (before === undefined) return
  undone.push(text.value)
  text.value = before
  tellSteps()
}

export function redo(): void {
  const after = undone.pop()
  if (after === undefined) return
  done.push(text.value)
  text.value = after
  tellSteps()
}

export function setFormat(wanted: Format): void {
  if (read.value.value === undefined) return
  batch(() => {
    format.value = wanted
    write(inFormat(text.value, wanted))
  })
}

export const begin = (document: TopologyDocument | undefined): void =>
  batch(() => {
    chosen.value = undefined
    write(
      document === undefined
        ? inFormat(EMPTY, format.value)
        : inFormat(JSON.stringify({ ...document, name: `my-${document.name}` }), format.value),
    )
  })

/** Follows what is typed: keeps it, and lets the server judge it. */
export function startDraft(): void {
  void api.devices().then(({ items }) => {
    devices.value = items
  })
  let asked = 0
  effect(() => {
    const { value } = read.value
    localStorage.setItem(KEY, text.value)
    const number = ++asked
    verdict.value = undefined
    if (value === undefined) return
    judging.value = true
    setTimeout(() => {
      if (number === asked) void judge(value, () => number === asked)
    }, PAUSE)
  })
}

async function judge(value: Draft, current: () => boolean): Promise<void> {
  let found: typeof refusals.value = []
  let summary: TopologySummary | undefined
  try {
    summary = (await api.validateTopology({ body: value as TopologyDocument })).topology
  } catch (error) {
    const message = (error as Error).message
    found = (error instanceof NorthbridgeProblem ? error.problem.issues : undefined) ?? [
      { path: '', message },
    ]
  }
  if (!current()) return
  batch(() => {
    refusals.value = found.map(({ path, message }) => ({
      path: path.replace(/^\/document(?=\/|$)/, ''),
      message,
    }))
    verdict.value = summary
    judging.value = false
  })
}

/** Stores the topology under its name, in the place of an earlier one of the user's. */
export async function save(): Promise<TopologySummary | undefined> {
  const body = draft.value as TopologyDocument
  const stored = (await api.topologies()).items.some(({ name, shipped }) => name === body.name && !shipped)
  return attempt(() =>
    stored ? api.replaceTopology({ name: body.name, body }) : api.createTopology({ body }),
  )
}

// Changes by hand.

const edit = (change: (document: Document.Parsed) => void): void =>
  write(changed(text.value, format.value, change))

const select = (path: Path | undefined): void => {
  chosen.value = path && pointerOf(path)
}

export function addSocket(): void {
  const nodes = (draft.value.processors ?? []).map(({ numaNode = -1 }) => numaNode)
  const numaNode = Math.max(-1, ...nodes) + 1
  edit(document => {
    select(append(document, ['processors'], { numaNode, logicalProcessors: 4 }))
    append(document, ['memory'], { numaNode, sizeMiB: 4096 })
  })
}

export function addUnit(): void {
  const { iommu } = draft.value
  const units = iommu?.kind === 'intel-vtd' ? iommu.units : []
  const id = free(name => !units.some(unit => unit.id === name), 'dmar')
  edit(document => {
    if (iommu?.kind !== 'intel-vtd')
      document.set('iommu', document.createNode({ kind: 'intel-vtd', units: [] }))
    append(document, ['iommu', 'units'], { id })
    // The unit that serves what no other does is the last one.
    const list = document.getIn(['iommu', 'units'], true) as { items: YAMLMap[] }
    list.items.sort((a, b) => Number(a.get('includeAll') ?? false) - Number(b.get('includeAll') ?? false))
    select(['iommu', 'units', list.items.findIndex(each => each.get('id') === id)])
  })
}

export function addHostBridge(): void {
  const taken = (draft.value.hostBridges ?? []).map(({ bus = 0 }) => bus)
  const bus = taken.length === 0 ? 0 : Math.min(0xe0, Math.max(...taken) + 0x40)
  edit(document => select(append(document, ['hostBridges'], { bus, devices: [] })))
}

const valueAt = (path: Path): unknown =>
  path.reduce<unknown>(
    (value, name) => (value as Record<string | number, unknown> | undefined)?.[name],
    draft.value,
  )

type Node = { readonly at?: string; readonly model?: string; readonly devices?: readonly Node[] }

const placeBelow = (path: Path): string => {
  const above = valueAt(path) as Node | undefined
  return freePlace(above?.devices ?? [], above?.model ?? '')
}

export const addFunction = (below: Path, model: string): void =>
  edit(document => select(append(document, [...below, 'devices'], { at: placeBelow(below), model })))

/** An upstream port and two downstream ports that isolate. */
export const addSwitch = (below: Path): void =>
  edit(document =>
    select(
      append(document, [...below, 'devices'], {
        at: placeBelow(below),
        model: 'switch-upstream-port',
        devices: ['00.0', '01.0'].map(at => ({ at, model: 'switch-downstream-port-acs' })),
      }),
    ),
  )

export function remove(path: Path): void {
  edit(document => {
    if (path[0] === 'processors') {
      const numaNode = (valueAt(path) as { numaNode?: number }).numaNode ?? -1
      const at = (draft.value.memory ?? []).findIndex(each => (each.numaNode ?? -1) === numaNode)
      if (at >= 0) document.deleteIn(['memory', at])
    }
    document.deleteIn(path)
  })
  select(undefined)
}

/** Puts a function, with what is below it, below another port. */
export function move(from: Path, below: Path): void {
  const [source, target] = [pointerOf(from), pointerOf(below)]
  if (target === source || target.startsWith(`${source}/`)) return
  const at = placeBelow(below)
  edit(document => moveNode(document, from, below, node => node.set('at', at)))
  select(undefined)
}

/** Sets attributes of a part; undefined takes one away. A unit that gets another name keeps what it serves. */
export function setAttributes(path: Path, values: Readonly<Record<string, unknown>>): void {
  const before = valueAt(path) as Readonly<Record<string, unknown>>
  edit(document => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) document.deleteIn([...path, name])
      else document.setIn([...path, name], document.createNode(value))
    }
    const id = values['id']
    if (path[0] !== 'iommu' || id === undefined || id === before['id']) return
    for (const { kind, path: place } of parts.value) {
      if (kind !== 'bridge' && kind !== 'function') continue
      if (document.getIn([...place, 'remappingUnit']) === before['id'])
        document.setIn([...place, 'remappingUnit'], id)
    }
  })
}

export const attributesOf = (path: Path): Readonly<Record<string, unknown>> => {
  const { devices: _below, ...rest } = (valueAt(path) ?? {}) as Readonly<Record<string, unknown>>
  return rest
}

const free = (isFree: (name: string) => boolean, stem: string): string => {
  for (let n = 0; ; n++) if (isFree(`${stem}${n}`)) return `${stem}${n}`
}
