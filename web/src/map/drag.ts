/** Assigning by drag: a function is taken at its box and let go over a virtual machine. */
import { signal } from '@preact/signals'
import { assign } from '../state/actions.ts'

/** The function that is being dragged, and where the pointer is, in units of the map. */
export const dragged = signal<
  { readonly address: string; readonly x: number; readonly y: number } | undefined
>(undefined)
export const zoom = signal(1)

export const startDrag = (address: string) => (event: PointerEvent) => {
  if (event.button === 0) dragged.value = { address, ...placeOf(event) }
}

export function drag(event: PointerEvent): void {
  if (dragged.value !== undefined) dragged.value = { ...dragged.value, ...placeOf(event) }
}

export function drop(event: PointerEvent): void {
  const { address } = dragged.value ?? {}
  dragged.value = undefined
  const target = (event.target as Element).closest('[data-vm]')?.getAttribute('data-vm')
  if (address !== undefined && target != null) void assign(address, target)
}

const placeOf = ({ offsetX, offsetY }: PointerEvent) => ({
  x: offsetX / zoom.value,
  y: offsetY / zoom.value,
})
