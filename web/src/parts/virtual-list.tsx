/** A list of which only what is on the screen is drawn: rows of one height, reached by scrolling and by keyboard. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

/** Rows drawn beyond what is seen, above and below. */
const BEYOND = 6

export function VirtualList<Item>({
  of,
  row,
  rowHeight,
  label,
  keyOf,
  rowClass = () => '',
}: {
  readonly of: readonly Item[]
  readonly row: (item: Item) => ComponentChildren
  /** Pixels. */
  readonly rowHeight: number
  readonly label: string
  readonly keyOf: (item: Item) => string | number
  readonly rowClass?: (item: Item) => string
}) {
  const box = useRef<HTMLElement>(null)
  const seen = useSignal({ top: 0, height: 600 })
  const look = (): void => {
    const element = box.current
    if (element !== null) seen.value = { top: element.scrollTop, height: element.clientHeight }
  }
  useLayoutEffect(() => {
    look()
    const watcher = new ResizeObserver(look)
    watcher.observe(box.current!)
    return () => watcher.disconnect()
  }, [])
  const { top, height } = seen.value
  const first = Math.max(0, Math.floor(top / rowHeight) - BEYOND)
  const last = Math.min(of.length, Math.ceil((top + height) / rowHeight) + BEYOND)
  return (
    <section
      class="virtual"
      ref={box}
      onScroll={look}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
      tabIndex={0}
      aria-label={label}
      style={`--rows: ${of.length * rowHeight + 2}px`}
    >
      <ul style={{ height: `${of.length * rowHeight}px` }} aria-label={label}>
        {of.slice(first, last).map((item, i) => (
          <li
            key={keyOf(item)}
            class={rowClass(item)}
            style={{ top: `${(first + i) * rowHeight}px`, height: `${rowHeight}px` }}
            aria-setsize={of.length}
            aria-posinset={first + i + 1}
          >
            {row(item)}
          </li>
        ))}
      </ul>
    </section>
  )
}
