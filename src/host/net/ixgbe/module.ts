/** What ixgbe does about the module in a port's cage: which kind it is, and how the card says such a kind is set up. */
import { CORECTL, EERD, STATUS, SW_FW_SYNC, SWSM } from '../../../devices/formats/nic/i82599-registers.ts'
import { fieldOf } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import { broken, claim, readNvm } from '../pooled/identity.ts'
import type { NicRegisters } from '../pooled/registers.ts'
import { TwoWireBus } from './two-wire-bus.ts'

const DRIVER = 'ixgbe'
/** Bytes of the identification (SFF-8472). */
const IDENTIFIER = 0
const TEN_GIGABIT = 3
const CABLE = 8
const SFP = 3
const SR_OR_LR = 0x30
const PASSIVE_CABLE = 0x04
/** Kinds of module as the card's list numbers them, of port 0; of port 1 they are one higher. */
const KIND = { copperCable: 3, fibre: 5 } as const
/** Word of the non-volatile memory that points to the list; what ends the list and each of its sequences. */
const MODULES = 0x2b
const END = 0xffff
/** `SW_FW_SYNC`: software's claim to the bus and registers of port 0 and 1, and to those that set up the core. */
const BUS_CLAIM = [1 << 1, 1 << 2] as const
const CORE_CLAIM = 1 << 3

/** Throws `unsupported` for a module that the driver does not know; an empty cage is none of its business. */
export function* setUpModule(registers: NicRegisters): Software {
  const port = fieldOf(registers.read(STATUS), STATUS.bits.LAN_ID) & 1
  const kind = yield* kindOfModule(registers, port)
  if (kind < 0) return
  const sequence = yield* sequenceOf(registers, kind + port)
  yield* claim(DRIVER, registers, { SWSM, SW_FW_SYNC }, CORE_CLAIM)
  for (let word = sequence + 1; ; word++) {
    const value = yield* readNvm(DRIVER, registers, EERD, word)
    if (value === END) break
    registers.write(CORECTL, value)
  }
  registers.clear(SW_FW_SYNC, CORE_CLAIM)
}

/** -1 without a module. */
function* kindOfModule(registers: NicRegisters, port: number): Software<number> {
  yield* claim(DRIVER, registers, { SWSM, SW_FW_SYNC }, BUS_CLAIM[port]!)
  const bus = new TwoWireBus(registers)
  const identifier = yield* bus.read(IDENTIFIER)
  const tenGigabit = yield* bus.read(TEN_GIGABIT)
  const cable = yield* bus.read(CABLE)
  registers.clear(SW_FW_SYNC, BUS_CLAIM[port]!)
  if (identifier < 0) return -1
  if (identifier === SFP && cable & PASSIVE_CABLE) return KIND.copperCable
  if (identifier === SFP && tenGigabit & SR_OR_LR) return KIND.fibre
  throw broken(DRIVER, 'the module in the cage is none that the driver knows')
}

/** Where the sequence of a kind begins: behind a first word the list has pairs of kind and place. */
function* sequenceOf(registers: NicRegisters, kind: number): Software<number> {
  const list = yield* readNvm(DRIVER, registers, EERD, MODULES)
  if (list !== 0 && list !== END) {
    for (let word = list + 1; ; word += 2) {
      const found = yield* readNvm(DRIVER, registers, EERD, word)
      if (found === kind) return yield* readNvm(DRIVER, registers, EERD, word + 1)
      if (found === END) break
    }
  }
  throw broken(DRIVER, 'the non-volatile memory does not say how the module is set up')
}
