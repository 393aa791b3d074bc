import { BRIDGE_CONTROL } from '../../pcie/formats/index.ts'
import type { HostPciFunction } from './pci-function.ts'

/** "Secondary Bus Reset": resets everything below a bridge. Below a port with a slot, it resets the card in the slot. */
export function resetSecondaryBus({ config }: HostPciFunction): void {
  config.set(0, BRIDGE_CONTROL, BRIDGE_CONTROL.f.SBR, 1)
  config.set(0, BRIDGE_CONTROL, BRIDGE_CONTROL.f.SBR, 0)
}
