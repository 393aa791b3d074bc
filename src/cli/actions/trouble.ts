/** Trouble that passes, told without being tiresome: an outage makes many attempts fail alike. */
export function changesOnly(tell: (reason: string) => void): (reason: string) => void {
  let last = ''
  return reason => {
    if (reason !== last) tell(reason)
    last = reason
  }
}
