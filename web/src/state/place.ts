/** Where the user is: kept in the address, so that it can be linked to, and gone back from. */
import { computed, signal } from '@preact/signals'

export const VIEWS = [
  'machine',
  'compose',
  'functions',
  'walk',
  'groups',
  'isolation',
  'events',
  'experiments',
] as const
export type View = (typeof VIEWS)[number]

export interface Place {
  readonly view: View
  readonly platform: string | undefined
  /** What is selected, e.g. `function:0000:01:10.0` or `vm:alpha`. */
  readonly selected: string | undefined
  /** Of the walk viewer. */
  readonly address: string | undefined
}

const read = (): Place => {
  const fields = new URLSearchParams(location.hash.slice(1))
  const view = VIEWS.find(each => each === fields.get('view')) ?? 'machine'
  return {
    view,
    platform: fields.get('platform') ?? undefined,
    selected: fields.get('selected') ?? undefined,
    address: fields.get('address') ?? undefined,
  }
}

export const place = signal(read())
addEventListener('hashchange', () => {
  place.value = read()
})

/** The address of a place that differs from this one. */
export function linkTo(change: Partial<Place>): string {
  const fields = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...place.value, ...change })) {
    if (value !== undefined) fields.set(name, value)
  }
  return `#${fields}`
}

export const go = (change: Partial<Place>): void => {
  location.hash = linkTo(change)
}

export type Selection =
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'vm'; readonly name: string }
  | { readonly kind: 'unit'; readonly name: string }

export const selection = computed((): Selection | undefined => {
  const [, kind, name] = /^(function|vm|unit):(.+)$/.exec(place.value.selected ?? '') ?? []
  return kind === undefined || name === undefined ? undefined : ({ kind, name } as Selection)
})

export const select = ({ kind, name }: Selection): void => go({ selected: `${kind}:${name}` })
