/** Ports with registers that the plain data sheets lack: hot-plug slots, containment, all errors reported. */
import type { FunctionDefinition } from '../../src/pcie/index.ts'
import { part } from './machine.ts'

/** Offsets in the root port of the data sheet, and in one made here. */
export const PORT = { express: 0x90, aer: 0x100, acs: 0x148, dpc: 0x160, msi: 0x60 } as const

/** Attention button, power controller, both indicators, surprise, hot-plug: every feature but the MRL sensor. */
const HOT_PLUG = 0x7b

/** A root port with a hot-plug slot and containment, which can report a link that goes down. */
export function hotplugPort({ surprise = true } = {}): FunctionDefinition {
  const sheet = part('root-port')
  const image = new Uint8Array(4096)
  image.set(sheet.image)
  const view = new DataView(image.buffer)
  const slot = PORT.express + 0x14
  view.setUint32(slot, view.getUint32(slot, true) | (surprise ? HOT_PLUG : HOT_PLUG & ~0x20), true)
  const link = PORT.express + 0x0c
  view.setUint32(link, view.getUint32(link, true) | 0x0028_0000, true)
  // The last extended capability gets a successor: containment, triggered by software too.
  view.setUint32(PORT.acs, (view.getUint32(PORT.acs, true) & 0xfffff) | (PORT.dpc << 20), true)
  view.setUint32(PORT.dpc, 0x0001_001d, true)
  view.setUint32(PORT.dpc + 4, 0x80, true)
  return { ...sheet, image }
}
