/**
 * "SHPC Capabilities List Item" of the Standard Hot-Plug Controller: a window through which configuration software
 * reads the controller's working registers. The registers are those of power-on: commands are not modelled.
 */
const DWORD_SELECT = { shift: 16, mask: 0xff } as const

/** After a write to DWORD Select: DWORD Data shows the register. @param at the capability's dword in `words`. */
export function selectHotPlugRegister(words: Uint32Array, at: number, registers: readonly number[]): void {
  words[at + 1] = registers[(words[at]! >>> DWORD_SELECT.shift) & DWORD_SELECT.mask] ?? 0
}
