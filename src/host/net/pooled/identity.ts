/** What both drivers read of a card before they trust it: non-volatile memory, address, and who may touch its pins. */
import { NorthbridgeError } from '../../../core/index.ts'
import { fieldOf, inField, type NicRegister } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import type { NicRegisters } from './registers.ts'

/** Words 0 to 3Fh of the non-volatile memory add up to this. */
const NVM_WORDS = 0x40
const NVM_SUM = 0xbaba

export const broken = (driver: string, what: string): NorthbridgeError =>
  new NorthbridgeError('unsupported', `${driver}: ${what}`)

/** "EEPROM Read": one word. */
export function* readNvm(
  driver: string,
  registers: NicRegisters,
  EERD: NicRegister<'START' | 'DONE' | 'ADDR' | 'DATA'>,
  word: number,
): Software<number> {
  const { START, DONE, ADDR, DATA } = EERD.bits
  registers.write(EERD, inField(ADDR, word) | START)
  if (!(yield* registers.poll(EERD, DONE, DONE, { times: 1000, interval: 5000 }))) {
    throw broken(driver, `word ${word} of the non-volatile memory cannot be read`)
  }
  return fieldOf(registers.read(EERD), DATA)
}

export function* checkNvm(
  driver: string,
  registers: NicRegisters,
  EERD: NicRegister<'START' | 'DONE' | 'ADDR' | 'DATA'>,
): Software {
  let sum = 0
  for (let word = 0; word < NVM_WORDS; word++) sum += yield* readNvm(driver, registers, EERD, word)
  if ((sum & 0xffff) !== NVM_SUM) throw broken(driver, 'the checksum of the non-volatile memory is wrong')
}

/** The address that the hardware has taken from its non-volatile memory into the first receive address. */
export function stationAddress(
  driver: string,
  registers: NicRegisters,
  RAL: NicRegister,
  RAH: NicRegister<'RAH' | 'AV'>,
): Uint8Array {
  const low = registers.read(RAL)
  const high = registers.read(RAH)
  if ((high & RAH.bits.AV) === 0 || (low & 1) !== 0 || (low === 0 && (high & RAH.bits.RAH) === 0)) {
    throw broken(driver, 'the non-volatile memory holds no MAC address')
  }
  return Uint8Array.of(low, low >>> 8, low >>> 16, low >>> 24, high, high >>> 8)
}

export interface Semaphores {
  readonly SWSM: NicRegister<'SMBI' | 'SWESMBI'>
  readonly SW_FW_SYNC: NicRegister
}

/**
 * "Software Semaphore": claims what software and firmware share. SMBI is ours when it reads 0, SWESMBI when it reads back
 * as written; both only guard SW_FW_SYNC, which has a bit for each thing that is shared.
 */
export function* claim(
  driver: string,
  registers: NicRegisters,
  { SWSM, SW_FW_SYNC }: Semaphores,
  mask: number,
): Software {
  const { SMBI, SWESMBI } = SWSM.bits
  if (!(yield* registers.poll(SWSM, SMBI, 0, { times: 200, interval: 50_000 }))) {
    throw broken(driver, 'the software semaphore is held by somebody else')
  }
  registers.set(SWSM, SWESMBI)
  if ((registers.read(SWSM) & SWESMBI) === 0) throw broken(driver, 'the firmware semaphore is not given')
  const taken = (registers.read(SW_FW_SYNC) & mask) !== 0
  if (!taken) registers.set(SW_FW_SYNC, mask)
  registers.clear(SWSM, SMBI | SWESMBI)
  if (taken) throw broken(driver, 'what software and firmware share is held by somebody else')
}
