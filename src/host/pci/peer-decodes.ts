/**
 * Peer-to-peer between the root ports of Intel PCHs that have no ACS capability, turned off by chipset registers
 * (Linux drivers/pci/quirks.c, `pci_quirk_enable_intel_pch_acs`).
 */
import type { MachinePort } from '../../platform/machine-port.ts'
import type { HostPciFunction } from './pci-function.ts'

/** "Root Complex Base Address" of the LPC bridge: bit 0 enables, bits 31:14 are the address. */
const RCBA = { OFFSET: 0xf0, ENABLE: 1, ADDRESS: 0xffff_c000 } as const
/** "Backbone Scratch Pad": peer non-posted and peer posted cycles disabled, by soft strap. */
const BSPR = { OFFSET: 0x1104, PEERS_DISABLED: 0x300 } as const
/** "Upstream Peer Decode Configuration": a bit for each port. */
const UPDCR = { OFFSET: 0x1014, PEER_DECODE_ENABLE: 0x3f } as const
/** "Miscellaneous Port Configuration" of a root port: Invalid Receive Bus Number Check Enable. */
const MPC = { OFFSET: 0xd8, IRBNCE: 0x0400_0000 } as const

/** True if peers of the port cannot be reached any more and bus numbers are checked. */
export function disablePeerDecodes(
  port: HostPciFunction,
  lpc: HostPciFunction | undefined,
  machine: MachinePort,
): boolean {
  const base = lpc?.config.read(RCBA.OFFSET) ?? 0
  if (!(base & RCBA.ENABLE)) return false
  const registers = (base & RCBA.ADDRESS) >>> 0
  const strap = machine.readDword(registers + BSPR.OFFSET)
  if ((strap & BSPR.PEERS_DISABLED) !== BSPR.PEERS_DISABLED) {
    const decodes = machine.readDword(registers + UPDCR.OFFSET)
    if (decodes & UPDCR.PEER_DECODE_ENABLE) {
      machine.writeDword(registers + UPDCR.OFFSET, (decodes & ~UPDCR.PEER_DECODE_ENABLE) >>> 0)
    }
  }
  const configuration = port.config.read(MPC.OFFSET)
  if (!(configuration & MPC.IRBNCE)) port.config.write(MPC.OFFSET, configuration | MPC.IRBNCE)
  return true
}
