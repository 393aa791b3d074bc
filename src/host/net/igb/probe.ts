/** What igb does before it trusts an 82576: reset, non-volatile memory, address, PHY, link. */
import {
  CTRL,
  CTRL_EXT,
  EECD,
  EERD,
  EICR,
  EIMC,
  ICR,
  IMC,
  MDIC,
  MTA,
  RAH,
  RAH_UPPER,
  RAL,
  RAL_UPPER,
  RCTL,
  STATUS,
  SW_FW_SYNC,
  SWSM,
  TCTL,
  UTA,
} from '../../../devices/formats/nic/i82576-registers.ts'
import { fieldOf, inField } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import { macHigh, macLow } from '../../../net/formats/index.ts'
import { broken, checkNvm, claim, stationAddress } from '../pooled/identity.ts'
import type { NicRegisters } from '../pooled/registers.ts'

const DRIVER = 'igb'
const ALL = 0xffff_ffff
const MILLISECOND = 1_000_000
const PHY_ADDRESS = 1
const PHY_ID = [2, 3] as const
/** The transceiver's identifier, without its revision. */
const IGP03E1000 = 0x02a8_0390
const REVISION_MASK = 0xffff_fff0
/** "Opcode" of MDIC. */
const MDIC_READ = 2
export const RECEIVE_ADDRESSES = 24
/** Receive addresses from here on have registers of their own. */
const FIRST_UPPER = 16
/** "SW_FW_SYNC": software's claim to the PHY of port 0 and 1. */
const PHY_CLAIM = [1 << 1, 1 << 2] as const

/** "Software Reset", with bus mastering of the port quiet before it. */
export function* resetPort(registers: NicRegisters): Software {
  registers.set(CTRL, CTRL.bits.GIO_MASTER_DISABLE)
  // Linux waits up to 80 ms and goes on either way.
  yield* registers.poll(STATUS, STATUS.bits.GIO_MASTER_ENABLE, 0, { times: 800, interval: 100_000 })
  registers.write(IMC, ALL)
  registers.write(RCTL, 0)
  registers.write(TCTL, TCTL.bits.PSP)
  yield* registers.wait(10 * MILLISECOND)
  registers.set(CTRL, CTRL.bits.RST)
  const read = yield* registers.poll(EECD, EECD.bits.AUTO_RD, EECD.bits.AUTO_RD, {
    times: 10,
    interval: MILLISECOND,
  })
  if (!read) throw broken(DRIVER, 'the non-volatile memory was not read after the reset')
  registers.write(IMC, ALL)
  registers.write(EIMC, ALL)
  registers.read(ICR)
  registers.read(EICR)
}

/** Reset, identity, a link that is set up; returns the address. Throws `unsupported` if the card is not what it should be. */
export function* probe(registers: NicRegisters): Software<Uint8Array> {
  yield* resetPort(registers)
  yield* checkNvm(DRIVER, registers, EERD)
  const mac = stationAddress(DRIVER, registers, RAL, RAH)
  yield* checkPhy(registers)
  initialize(registers, mac)
  return mac
}

function* checkPhy(registers: NicRegisters): Software {
  const port = fieldOf(registers.read(STATUS), STATUS.bits.LAN_ID)
  const mask = PHY_CLAIM[port & 1]!
  yield* claim(DRIVER, registers, { SWSM, SW_FW_SYNC }, mask)
  let id = 0
  for (const phyRegister of PHY_ID) {
    const { OP, PHYADD, REGADD, R, DATA } = MDIC.bits
    const command = inField(OP, MDIC_READ) | inField(PHYADD, PHY_ADDRESS) | inField(REGADD, phyRegister)
    registers.write(MDIC, command)
    if (!(yield* registers.poll(MDIC, R, R, { times: 64, interval: 50_000 }))) {
      throw broken(DRIVER, 'the PHY does not answer')
    }
    id = ((id << 16) | (registers.read(MDIC) & DATA)) >>> 0
  }
  registers.clear(SW_FW_SYNC, mask)
  if ((id & REVISION_MASK) >>> 0 !== IGP03E1000) {
    throw broken(DRIVER, `the PHY is none that the driver knows: 0x${id.toString(16)}`)
  }
}

/** "Initialization": filters empty but for the own address, link set up, driver loaded. */
export function initialize(registers: NicRegisters, mac: Uint8Array): void {
  setReceiveAddress(registers, 0, mac, 0)
  for (let i = 1; i < RECEIVE_ADDRESSES; i++) setReceiveAddress(registers, i, undefined, 0)
  for (let i = 0; i < MTA.count; i++) registers.write(MTA, 0, i)
  for (let i = 0; i < UTA.count; i++) registers.write(UTA, 0, i)
  registers.clear(CTRL, CTRL.bits.FRCSPD | CTRL.bits.FRCDPLX | CTRL.bits.GIO_MASTER_DISABLE)
  registers.set(CTRL, CTRL.bits.SLU)
  registers.set(CTRL_EXT, CTRL_EXT.bits.DRV_LOAD)
}

/** "Receive Address": `pools` is a mask. Without an address the entry is invalid. */
export function setReceiveAddress(
  registers: NicRegisters,
  index: number,
  mac: Uint8Array | undefined,
  pools: number,
): void {
  const upper = index >= FIRST_UPPER
  const at = upper ? index - FIRST_UPPER : index
  const [low, high] = upper ? [RAL_UPPER, RAH_UPPER] : [RAL, RAH]
  // Invalid while it is half written.
  registers.write(high, 0, at)
  registers.write(low, mac === undefined ? 0 : macLow(mac, 0), at)
  if (mac !== undefined) {
    registers.write(high, RAH.bits.AV | inField(RAH.bits.POOLSEL, pools) | macHigh(mac, 0), at)
  }
}
