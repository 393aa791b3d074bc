/** Where vdsm makes mediated devices. Source: oVirt/vdsm lib/vdsm/common/hostdev.py (_suitable_device_for_mdev_type). */
import type { Refusal } from '../model/index.ts'

export type MdevPlacement = 'compact' | 'separate'

export interface MdevCard {
  readonly name: string
  /** Types that it can make. */
  readonly types: readonly string[]
  /** Whether devices of different types may be on it at once: NVIDIA's may not. */
  readonly mixesTypes: boolean
  /** Type and name of what is on it, in order. */
  readonly instances: readonly { readonly type: string; readonly name: string }[]
  /** How many more of a type it could make; absent: as many as are asked for. */
  readonly available?: Readonly<Record<string, number>>
}

/** Compact takes the first card that will do; separate prefers one without devices of the type. */
export function placeMdev(
  type: string,
  placement: MdevPlacement,
  cards: readonly MdevCard[],
): MdevCard | Refusal {
  const suitable = cards.filter(
    ({ types, mixesTypes, instances, available }) =>
      types.includes(type) &&
      (mixesTypes || instances.every(instance => instance.type === type)) &&
      (available?.[type] ?? 1) > 0,
  )
  const alone = suitable.find(({ instances }) => instances.every(instance => instance.type !== type))
  const chosen = placement === 'separate' ? (alone ?? suitable[0]) : suitable[0]
  return (
    chosen ?? {
      errorClass: 'ResourceUnavailable',
      text: `no card can make a mediated device of type ${type}`,
    }
  )
}
