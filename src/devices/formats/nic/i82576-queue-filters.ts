/** Registers of the 82576 that choose queues by EtherType, SYN and five-tuple ("Receive Queue Filters"). */
import { declare } from './i82576-declarations.ts'
import { bits } from './register.ts'

/** Of five-tuple filter n: the destination port, which `PORT_BP` leaves out, and the priority. */
export const IMIR = declare(0x5a80, 'IMIR', 'RW', {
  count: 8,
  bits: { PORT: bits(15, 0), PORT_IM_EN: bits(16), PORT_BP: bits(17), PRIORITY: bits(31, 29) },
})
/** Of five-tuple filter n: length and TCP flags, from URG (13) to FIN (18), unless they are left out. */
export const IMIREXT = declare(0x5aa0, 'IMIREXT', 'RW', {
  count: 8,
  bits: { SIZE: bits(11, 0), SIZE_BP: bits(12), CTRL: bits(18, 13), CTRL_BP: bits(19) },
})
export const IMIRVP = declare(0x5ac0, 'IMIRVP', 'RW')
export const ETQF = declare(0x5cb0, 'ETQF', 'RW', {
  count: 8,
  bits: {
    ETYPE: bits(15, 0),
    QUEUE: bits(18, 16),
    ENABLE: bits(26),
    IMM_INT: bits(29),
    QUEUE_ENABLE: bits(31),
  },
})
export const SAQF = declare(0x5980, 'SAQF', 'RW', { count: 8 })
export const DAQF = declare(0x59a0, 'DAQF', 'RW', { count: 8 })
export const SPQF = declare(0x59c0, 'SPQF', 'RW', { count: 8 })
/** What the bits named `BP` leave out is not compared. */
export const FTQF = declare(0x59e0, 'FTQF', 'RW', {
  count: 8,
  bits: {
    PROTOCOL: bits(7, 0),
    QUEUE_ENABLE: bits(8),
    VF: bits(11, 9),
    VF_BP: bits(15),
    QUEUE: bits(19, 16),
    PROTOCOL_BP: bits(28),
    SOURCE_BP: bits(29),
    DESTINATION_BP: bits(30),
    SOURCE_PORT_BP: bits(31),
  },
})
export const SYNQF = declare(0x55fc, 'SYNQF', 'RW', { bits: { ENABLE: bits(0), QUEUE: bits(3, 1) } })
