/** What ixgbe does before it trusts an 82599: reset, non-volatile memory, address, module, link. */
import {
  AUTOC,
  CTRL,
  CTRL_EXT,
  DMATXCTL,
  EEC,
  EEMNGCTL,
  EERD,
  EICR,
  EIMC,
  MPSAR_HI,
  MPSAR_LO,
  MTA,
  RAH,
  RAL,
  RDRXCTL,
  RXCTRL,
  STATUS,
  UTA,
} from '../../../devices/formats/nic/i82599-registers.ts'
import { fieldOf } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import { macHigh, macLow } from '../../../net/formats/index.ts'
import { broken, checkNvm, stationAddress } from '../pooled/identity.ts'
import type { NicRegisters } from '../pooled/registers.ts'
import { setUpModule } from './module.ts'

const DRIVER = 'ixgbe'
const ALL = 0xffff_ffff
const MILLISECOND = 1_000_000
/** "EEPROM Management Control": the configuration of port 0, and of port 1, has been read. */
const CONFIGURATION_DONE = [1 << 18, 1 << 19] as const

/** "Software Reset", with bus mastering of the port quiet before it; the link goes along if there is none. */
export function* resetPort(registers: NicRegisters): Software {
  registers.clear(RXCTRL, RXCTRL.bits.RXEN)
  registers.clear(DMATXCTL, DMATXCTL.bits.TE)
  registers.write(EIMC, ALL)
  registers.read(EICR)
  registers.set(CTRL, CTRL.bits.GIO_DIS)
  // Linux waits up to 80 ms and goes on either way.
  yield* registers.poll(STATUS, STATUS.bits.GIO, 0, { times: 800, interval: 100_000 })
  const linked = (registers.read(STATUS) & STATUS.bits.LINK_UP) !== 0
  registers.set(CTRL, linked ? CTRL.bits.RST : CTRL.bits.LRST)
  const resetting = CTRL.bits.RST | CTRL.bits.LRST
  if (!(yield* registers.poll(CTRL, resetting, 0, { times: 10, interval: 1000 }))) {
    throw broken(DRIVER, 'the reset does not end')
  }
  yield* registers.wait(50 * MILLISECOND)
  const port = fieldOf(registers.read(STATUS), STATUS.bits.LAN_ID)
  const configured = CONFIGURATION_DONE[port & 1]!
  const often = { times: 10, interval: MILLISECOND }
  if (
    !(yield* registers.poll(EEC, EEC.bits.AUTO_RD, EEC.bits.AUTO_RD, often)) ||
    !(yield* registers.poll(EEMNGCTL, configured, configured, often))
  ) {
    throw broken(DRIVER, 'the non-volatile memory was not read after the reset')
  }
  if (!(yield* registers.poll(RDRXCTL, RDRXCTL.bits.DMAIDONE, RDRXCTL.bits.DMAIDONE, often))) {
    throw broken(DRIVER, 'the receive DMA is not initialized')
  }
  registers.write(EIMC, ALL)
  registers.write(EICR, ALL)
}

/** Identity, module, reset, a link that is set up; returns the address. Throws `unsupported` if the card is not what it should be. */
export function* probe(registers: NicRegisters): Software<Uint8Array> {
  yield* checkNvm(DRIVER, registers, EERD)
  yield* setUpModule(registers)
  yield* resetPort(registers)
  const mac = stationAddress(DRIVER, registers, RAL, RAH)
  initialize(registers, mac)
  return mac
}

/** Filters empty but for the own address, link set up, driver loaded. */
export function initialize(registers: NicRegisters, mac: Uint8Array): void {
  setReceiveAddress(registers, 0, mac, 0)
  for (let i = 1; i < RAL.count; i++) setReceiveAddress(registers, i, undefined, 0)
  for (let i = 0; i < MTA.count; i++) registers.write(MTA, 0, i)
  for (let i = 0; i < UTA.count; i++) registers.write(UTA, 0, i)
  registers.clear(CTRL, CTRL.bits.GIO_DIS)
  registers.set(AUTOC, AUTOC.bits.RESTART_AN)
  registers.set(CTRL_EXT, CTRL_EXT.bits.DRV_LOAD | CTRL_EXT.bits.NS_DIS)
}

/** "Receive Address" and its pools; without an address the entry is invalid. */
export function setReceiveAddress(
  registers: NicRegisters,
  entry: number,
  mac: Uint8Array | undefined,
  pool: number,
): void {
  // Invalid while it is half written.
  registers.write(RAH, 0, entry)
  registers.write(RAL, mac === undefined ? 0 : macLow(mac, 0), entry)
  registers.write(MPSAR_LO, mac === undefined || pool >= 32 ? 0 : 1 << pool, entry)
  registers.write(MPSAR_HI, mac === undefined || pool < 32 ? 0 : 1 << (pool - 32), entry)
  if (mac !== undefined) registers.write(RAH, RAH.bits.AV | macHigh(mac, 0), entry)
}
