/** The guided tour: a card that says what to look at, and what it speaks of pointed at. */
import { useEffect } from 'preact/hooks'
import { endTour, here, visit } from '../state/tour.ts'

/** Milliseconds between looks for what is pointed at: views draw it when they have it. */
const LOOK = 200

export function TourCard() {
  const now = here.value
  useEffect(() => {
    if (now === undefined) return
    let pointed: Element | undefined
    const point = (): void => {
      const found = document.querySelector(now.target) ?? undefined
      if (found === pointed && found?.classList.contains('pointed') !== false) return
      pointed?.classList.remove('pointed')
      found?.classList.add('pointed')
      if (found !== undefined && pointed === undefined) found.scrollIntoView({ block: 'nearest' })
      pointed = found
    }
    point()
    const timer = setInterval(point, LOOK)
    return () => {
      clearInterval(timer)
      pointed?.classList.remove('pointed')
    }
  }, [now?.number, now?.target])
  if (now === undefined) return null
  const { title, text, done, number, of } = now
  return (
    <aside class="tour-card" aria-label="Guided tour">
      <div class="hint">
        {number + 1} of {of}
        {done && <span class="done"> ✓ done</span>}
      </div>
      <h2>{title}</h2>
      <p aria-live="polite">{text}</p>
      <div class="buttons">
        <button type="button" class="quiet" disabled={number === 0} onClick={() => visit(number - 1)}>
          Back
        </button>
        {number + 1 < of ? (
          <button type="button" onClick={() => visit(number + 1)}>
            Next
          </button>
        ) : (
          <button type="button" onClick={endTour}>
            Finish
          </button>
        )}
        <button type="button" class="quiet" onClick={endTour}>
          Close the tour
        </button>
      </div>
    </aside>
  )
}
