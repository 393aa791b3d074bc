/**
 * An invented network controller, for the mode ("switchdev") in which the host's software switches what virtual functions
 * send: the register file of the 82576, and one register more. No real controller has this register.
 *
 * While `ESWMODE.SWITCHDEV` is set, with pools and a default pool, no filter chooses pools. What comes from the wire, and
 * what any other pool sends, goes to the default pool; its receive descriptor names the source (`RX_INFO.SOURCE`). What
 * the default pool sends goes where its descriptor says (`TX_DATA.DESTINATION`): to one pool, or to the wire.
 */
import { I82576_REGISTERS } from './i82576-registers.ts'
import { bits, type NicRegisterFile, registerDeclarations } from './register.ts'

const { declared, declare } = registerDeclarations(I82576_REGISTERS.registers)

/** "E-Switch Mode". A reset of the port clears it. */
export const ESWMODE = declare(0x1_8000, 'ESWMODE', 'RW', { writable: 1, bits: { SWITCHDEV: bits(0) } })

export const SYNTHETIC_ESWITCH_REGISTERS: NicRegisterFile = {
  size: I82576_REGISTERS.size,
  registers: declared,
}
