/** Registers of the 82599 that choose queues by EtherType, SYN and five-tuple ("Receive Queue Filters"). */
import { declare } from './i82599-declarations.ts'
import { bits } from './register.ts'

export const ETQF = declare(0x5128, 'ETQF', 'RW', {
  count: 8,
  bits: { ETYPE: bits(15, 0), POOL: bits(25, 20), POOL_EN: bits(26), TIMESTAMP: bits(30), ENABLE: bits(31) },
})
export const ETQS = declare(0xec00, 'ETQS', 'RW', {
  count: 8,
  bits: { QUEUE: bits(22, 16), LLI: bits(29), QUEUE_EN: bits(31) },
})
export const SYNQF = declare(0xec30, 'SYNQF', 'RW', {
  bits: { ENABLE: bits(0), QUEUE: bits(7, 1), SYNQFP: bits(31) },
})
export const SAQF = declare(0xe000, 'SAQF', 'RW', { count: 128 })
export const DAQF = declare(0xe200, 'DAQF', 'RW', { count: 128 })
export const SDPQF = declare(0xe400, 'SDPQF', 'RW', {
  count: 128,
  bits: { SOURCE: bits(15, 0), DESTINATION: bits(31, 16) },
})
/** What a bit named `BP` leaves out is not compared. */
export const FTQF = declare(0xe600, 'FTQF', 'RW', {
  count: 128,
  bits: {
    PROTOCOL: bits(1, 0),
    PRIORITY: bits(4, 2),
    POOL: bits(13, 8),
    SOURCE_BP: bits(25),
    DESTINATION_BP: bits(26),
    SOURCE_PORT_BP: bits(27),
    DESTINATION_PORT_BP: bits(28),
    PROTOCOL_BP: bits(29),
    POOL_BP: bits(30),
    QUEUE_ENABLE: bits(31),
  },
})
export const L34T_IMIR = declare(0xe800, 'L34T_IMIR', 'RW', {
  count: 128,
  bits: { LLI: bits(20), QUEUE: bits(27, 21) },
})
