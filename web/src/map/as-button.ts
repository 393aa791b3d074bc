/** What makes a box of a drawn map a button: pointer, keyboard, and what it is called. */
export const asButton = (label: string, chosen: boolean, act: () => void, remove?: () => void) => ({
  role: 'button' as const,
  // SVG minds the case of attributes.
  tabindex: 0,
  'aria-label': label,
  'aria-pressed': chosen,
  onClick: act,
  onKeyDown: (event: KeyboardEvent) => {
    if (event.key === 'Delete') remove?.()
    if (event.key !== 'Enter' && event.key !== ' ') return
    event.preventDefault()
    act()
  },
})
