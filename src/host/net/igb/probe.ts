/** What igb does before it trusts an 82576: reset, non-volatile memory, address, PHY, link. */
import { NorthbridgeError } from '../../../core/index.ts'
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
import type { IgbRegisters } from './registers.ts'

const ALL = 0xffff_ffff
const MILLISECOND = 1_000_000
/** Words 0 to 3Fh of the non-volatile memory add up to this. */
const NVM_WORDS = 0x40
const NVM_SUM = 0xbaba
const PHY_ADDRESS = 1
const PHY_ID = [2, 3] as const
/** "Opcode" of MDIC. */
const MDIC_READ = 2
const RECEIVE_ADDRESSES = 24
/** Receive addresses from here on have registers of their own. */
const FIRST_UPPER = 16
/** "SW_FW_SYNC": software's claim to the PHY of port 0 and 1. */
const PHY_CLAIM = [1 << 1, 1 << 2] as const

export interface ProbedIgb {
  readonly mac: Uint8Array
  readonly phyId: number
}

const broken = (what: string): NorthbridgeError => new NorthbridgeError('unsupported', `igb: ${what}`)

/** "Software Reset", with bus mastering of the port quiet before it. */
export function* resetPort(registers: IgbRegisters): Software {
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
  if (!read) throw broken('the non-volatile memory was not read after the reset')
  registers.write(IMC, ALL)
  registers.write(EIMC, ALL)
  registers.read(ICR)
  registers.read(EICR)
}

/** Reset, identity and a link that is set up. Throws `unsupported` if the card is not what it should be. */
export function* probe(registers: IgbRegisters): Software<ProbedIgb> {
  yield* resetPort(registers)
  yield* checkNvm(registers)
  const low = registers.read(RAL)
  const high = registers.read(RAH)
  if ((high & RAH.bits.AV) === 0 || (low & 1) !== 0 || (low === 0 && (high & RAH.bits.RAH) === 0)) {
    throw broken('the non-volatile memory holds no MAC address')
  }
  const mac = new Uint8Array(6)
  for (let i = 0; i < 4; i++) mac[i] = low >>> (8 * i)
  for (let i = 0; i < 2; i++) mac[4 + i] = high >>> (8 * i)
  const phyId = yield* readPhyId(registers)
  initialize(registers, mac)
  return { mac, phyId }
}

function* checkNvm(registers: IgbRegisters): Software {
  let sum = 0
  for (let word = 0; word < NVM_WORDS; word++) {
    registers.write(EERD, inField(EERD.bits.ADDR, word) | EERD.bits.START)
    if (!(yield* registers.poll(EERD, EERD.bits.DONE, EERD.bits.DONE, { times: 1000, interval: 5000 }))) {
      throw broken(`word ${word} of the non-volatile memory cannot be read`)
    }
    sum = (sum + fieldOf(registers.read(EERD), EERD.bits.DATA)) & 0xffff
  }
  if (sum !== NVM_SUM) throw broken('the checksum of the non-volatile memory is wrong')
}

/** Reads the PHY's identifier under the semaphore that software and firmware share. */
function* readPhyId(registers: IgbRegisters): Software<number> {
  const port = fieldOf(registers.read(STATUS), STATUS.bits.LAN_ID)
  const claim = PHY_CLAIM[port & 1]!
  yield* takeSemaphore(registers)
  registers.set(SW_FW_SYNC, claim)
  registers.clear(SWSM, SWSM.bits.SMBI | SWSM.bits.SWESMBI)
  let id = 0
  for (const phyRegister of PHY_ID) {
    registers.write(
      MDIC,
      inField(MDIC.bits.OP, MDIC_READ) |
        inField(MDIC.bits.PHYADD, PHY_ADDRESS) |
        inField(MDIC.bits.REGADD, phyRegister),
    )
    if (!(yield* registers.poll(MDIC, MDIC.bits.R, MDIC.bits.R, { times: 64, interval: 50_000 }))) {
      throw broken('the PHY does not answer')
    }
    id = ((id << 16) | (registers.read(MDIC) & MDIC.bits.DATA)) >>> 0
  }
  registers.clear(SW_FW_SYNC, claim)
  return id
}

/** "Software Semaphore": SMBI is ours when it reads 0, SWESMBI when it reads back as written. */
function* takeSemaphore(registers: IgbRegisters): Software {
  if (!(yield* registers.poll(SWSM, SWSM.bits.SMBI, 0, { times: 200, interval: 50_000 }))) {
    throw broken('the software semaphore is held by somebody else')
  }
  registers.set(SWSM, SWSM.bits.SWESMBI)
  if ((registers.read(SWSM) & SWSM.bits.SWESMBI) === 0) throw broken('the firmware semaphore is not given')
}

/** "Initialization": filters empty but for the own address, link set up, driver loaded. */
export function initialize(registers: IgbRegisters, mac: Uint8Array): void {
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
  registers: IgbRegisters,
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
