/** The document as text, with its lines numbered and what is wrong shown at its line. */
import { useSignal } from '@preact/signals'
import { useRef } from 'preact/hooks'
import { mistakes, text, write } from './draft.ts'

/** Of the stylesheet. */
const LINE_HEIGHT = 19
const PADDING = 8

export function Editor() {
  const area = useRef<HTMLTextAreaElement>(null)
  const scrolled = useSignal(0)
  const found = mistakes.value
  const count = text.value.split('\n').length
  const lines = new Map(found.map(({ line, message }) => [line, message]))
  const goTo = (line: number): void => {
    const element = area.current
    if (element === null) return
    const rows = text.value.split('\n')
    const start = rows.slice(0, line - 1).reduce((sum, row) => sum + row.length + 1, 0)
    element.focus()
    element.setSelectionRange(start, start + (rows[line - 1]?.length ?? 0))
    element.scrollTop = Math.max(0, (line - 5) * LINE_HEIGHT)
  }
  return (
    <div class="editing">
      <div class="editor">
        <div class="gutter" aria-hidden="true">
          <pre style={{ marginTop: `${-scrolled.value}px` }}>
            {Array.from({ length: count }, (_, i) => i + 1).join('\n')}
          </pre>
        </div>
        <div class="lines" aria-hidden="true">
          {[...lines].map(([line, message]) => (
            <div
              key={line}
              class="bad-line"
              style={{ top: `${PADDING + (line - 1) * LINE_HEIGHT - scrolled.value}px` }}
              title={message}
            />
          ))}
        </div>
        <textarea
          ref={area}
          aria-label="Topology document"
          aria-invalid={found.length > 0}
          aria-describedby="mistakes"
          spellcheck={false}
          wrap="off"
          value={text.value}
          onInput={event => write(event.currentTarget.value)}
          onScroll={event => {
            scrolled.value = event.currentTarget.scrollTop
          }}
        />
      </div>
      <ul id="mistakes" class="mistakes" aria-live="polite">
        {found.map(({ line, path, message }) => (
          <li key={`${path} ${message}`}>
            <button type="button" class="quiet" onClick={() => goTo(line)}>
              line {line}
            </button>{' '}
            <code>{path}</code> {message}
          </li>
        ))}
      </ul>
    </div>
  )
}
