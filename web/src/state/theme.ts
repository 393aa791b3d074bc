/** Dark or light: as the system has it, until the user chooses. */
import { effect, signal } from '@preact/signals'

export type Theme = 'light' | 'dark'

const KEY = 'northbridge.theme'
const dark = matchMedia('(prefers-color-scheme: dark)')
const chosen = localStorage.getItem(KEY)

export const theme = signal<Theme>(
  chosen === 'light' || chosen === 'dark' ? chosen : dark.matches ? 'dark' : 'light',
)

export function startTheme(): void {
  dark.addEventListener('change', ({ matches }) => {
    if (localStorage.getItem(KEY) === null) theme.value = matches ? 'dark' : 'light'
  })
  effect(() => {
    document.documentElement.dataset['theme'] = theme.value
  })
}

export function switchTheme(): void {
  theme.value = theme.value === 'dark' ? 'light' : 'dark'
  localStorage.setItem(KEY, theme.value)
}
