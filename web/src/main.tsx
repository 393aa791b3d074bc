import { effect, untracked } from '@preact/signals'
import { render } from 'preact'
import { App } from './app.tsx'
import { startTheme } from './state/theme.ts'
import { startTour } from './state/tour.ts'
import { begin, platforms } from './state/world.ts'
import './style.css'

startTheme()
begin()
effect(() => {
  if (platforms.value.length > 0) untracked(startTour)
})
render(<App />, document.getElementById('app')!)
