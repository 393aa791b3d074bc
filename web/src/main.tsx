import { render } from 'preact'
import { App } from './app.tsx'
import { startTheme } from './state/theme.ts'
import { begin } from './state/world.ts'
import './style.css'

startTheme()
begin()
render(<App />, document.getElementById('app')!)
