/** What reading and writing the 82576's registers does beyond storing bits. */
import type { Saved } from '../../../core/index.ts'
import {
  CTRL,
  CTRL_EXT,
  EECD,
  EERD,
  EIAC,
  EIAM,
  EICR,
  EICS,
  EIMC,
  EIMS,
  FRTIMER,
  ICR,
  ICR_BIT,
  ICS,
  IMC,
  IMS,
  IVAR,
  MDIC,
  P2VMAILBOX,
  PVTCTRL,
  PVTEIAC,
  PVTEIAM,
  PVTEICR,
  PVTEICS,
  PVTEIMC,
  PVTEIMS,
  RDT,
  RSSRK,
  RTTBCNRC,
  RTTDQSEL,
  RXDCTL,
  STATUS,
  SWSM,
  TCTL,
  TDT,
  TXDCTL,
  V2PMAILBOX,
  VFTE,
  VTIVAR,
} from '../../formats/nic/i82576-registers.ts'
import { fieldOf, inField } from '../../formats/nic/register.ts'
import { RING_ENABLE } from '../common/descriptor-ring.ts'
import type { Parts82576 } from './chip-parts.ts'
import { FILTER_REGISTERS } from './filters.ts'
import { firstVectorOf } from './interrupts.ts'
import { QUEUE_FILTER_REGISTERS } from './queue-filters.ts'

/** The transceiver answers at this address. */
const PHY_ADDRESS = 1
const MDIC_OP = { write: 1, read: 2 } as const
/** `EECD.SIZE`: 8 Ki words. */
const NVM_SIZE = 7
const GIGABIT = 2
const FULL_MASK = 0xffff_ffff
const filterIds = new Set([...FILTER_REGISTERS, ...QUEUE_FILTER_REGISTERS].map(({ id }) => id))

export class RegisterEffects82576 {
  readonly #nic: Parts82576
  /** PFRSTD was written since the last reset of the port. */
  resetDone = false
  /** Rate-scheduler configuration of each queue, behind RTTDQSEL. */
  readonly rates = new Uint32Array(16)

  constructor(nic: Parts82576) {
    this.#nic = nic
  }

  reset(): void {
    this.resetDone = false
    this.rates.fill(0)
  }

  read(at: number): number {
    const { space, interrupts, mailbox, environment } = this.#nic
    const { map, words } = space
    switch (map.id[at]) {
      case STATUS.id:
        return this.#status()
      case EECD.id:
        return this.#eecd()
      case SWSM.id: {
        // "Software Semaphore Bit": whoever reads it as 0 has it.
        const value = words[at]!
        words[at] = value | SWSM.bits.SMBI
        return value
      }
      case ICR.id:
        return interrupts.readIcr()
      case EICR.id:
        return interrupts.readEicr()
      case ICS.id:
        return words[ICR.offset >>> 2]!
      case FRTIMER.id:
        return Math.floor(environment.clock.now / 1000) % 2 ** 32
      case P2VMAILBOX.id:
        return mailbox.readPhysical(map.index[at]!)
      case V2PMAILBOX.id:
        return mailbox.readVirtual(map.index[at]!)
      case PVTEIMS.id:
        return this.#slice(EIMS.offset, map.index[at]!)
      case PVTEIAC.id:
        return this.#slice(EIAC.offset, map.index[at]!)
      case PVTEIAM.id:
        return this.#slice(EIAM.offset, map.index[at]!)
      case PVTEICR.id:
        return this.#slice(EICR.offset, map.index[at]!)
      case RTTBCNRC.id:
        return this.rates[words[RTTDQSEL.offset >>> 2]!]!
    }
    return space.read(at)
  }

  /** Three bits of a physical function's register: those of a virtual function. */
  #slice(offset: number, vf: number): number {
    return (this.#nic.space.words[offset >>> 2]! >>> firstVectorOf(vf)) & 7
  }

  #setSlice(offset: number, vf: number, value: number): void {
    const { words } = this.#nic.space
    const shift = firstVectorOf(vf)
    words[offset >>> 2] = (words[offset >>> 2]! & ~(7 << shift)) | ((value & 7) << shift)
  }

  #status(): number {
    const { linkUp, function: fn, space } = this.#nic
    const { bits } = STATUS
    const vfs = fn.virtualFunctions.length
    const ctrl = space.words[CTRL.offset >>> 2]!
    return (
      (linkUp ? bits.LU | bits.FD | inField(bits.SPEED, GIGABIT) : 0) |
      inField(bits.LAN_ID, fn.definition.functionNumber ?? 0) |
      (vfs > 0 ? bits.IOV_MODE | inField(bits.NUM_VFS, vfs) : 0) |
      (ctrl & CTRL.bits.GIO_MASTER_DISABLE ? 0 : bits.GIO_MASTER_ENABLE)
    )
  }

  #eecd(): number {
    const value = this.#nic.space.words[EECD.offset >>> 2]!
    const { REQ, GNT, PRES, AUTO_RD, ADDR_BITS, SIZE } = EECD.bits
    const granted = value & REQ ? GNT : 0
    return (value & (REQ | 0xf)) | granted | PRES | AUTO_RD | ADDR_BITS | inField(SIZE, NVM_SIZE)
  }

  write(at: number, value: number, lanes: number): void {
    const { space } = this.#nic
    const { map, words } = space
    const id = map.id[at]!
    const index = map.index[at]!
    if (this.#command(id, index, value & lanes)) return
    const home = map.home[at]!
    const before = words[home]!
    space.write(at, value, lanes)
    if (filterIds.has(id)) this.#nic.filtersWritten()
    this.#written(id, index, home, before)
  }

  /** Registers that take a command and store nothing of it; false for others. */
  #command(id: number, index: number, value: number): boolean {
    const { interrupts, mailbox, space } = this.#nic
    const vectors = (value & 7) << firstVectorOf(index)
    switch (id) {
      case ICS.id:
        interrupts.other(value & ~ICR_BIT.INTA)
        return true
      case IMS.id:
        interrupts.setMask(value)
        return true
      case IMC.id:
        interrupts.clearMask(value)
        return true
      case EICS.id:
        interrupts.extended(value)
        return true
      case EIMS.id:
        interrupts.setExtendedMask(value)
        return true
      case EIMC.id:
        interrupts.clearExtendedMask(value)
        return true
      case P2VMAILBOX.id:
        mailbox.writePhysical(index, value)
        return true
      case V2PMAILBOX.id:
        mailbox.writeVirtual(index, value)
        return true
      case PVTEICS.id:
        interrupts.extended(vectors)
        return true
      case PVTEIMS.id:
        interrupts.setExtendedMask(vectors)
        return true
      case PVTEIMC.id:
        interrupts.clearExtendedMask(vectors)
        return true
      case PVTEICR.id:
        interrupts.clearExtendedCauses(vectors)
        return true
      case PVTEIAC.id:
        this.#setSlice(EIAC.offset, index, value)
        return true
      case PVTEIAM.id:
        this.#setSlice(EIAM.offset, index, value)
        return true
      case PVTCTRL.id:
        if (value & PVTCTRL.bits.RST) this.#nic.virtualFunctionReset(index)
        return true
      case RTTBCNRC.id:
        this.rates[space.words[RTTDQSEL.offset >>> 2]!] = value
        return true
    }
    return false
  }

  /** A register was stored that does something; `home` is where it is kept. */
  #written(id: number, index: number, home: number, before: number): void {
    const { space, interrupts, rss, receivePath, transmitPath, receiveRings, transmitRings } = this.#nic
    const now = space.words[home]!
    switch (id) {
      case CTRL.id:
        this.#control(home, now)
        break
      case CTRL_EXT.id:
        this.#extendedControl(home, now)
        break
      case EERD.id:
        if (now & EERD.bits.START) this.#readNvm(home, now)
        break
      case MDIC.id:
        this.#management(home, now)
        break
      case ICR.id:
      case EICR.id:
        interrupts.acknowledged()
        break
      case RSSRK.id:
        rss.keyChanged()
        break
      case VTIVAR.id:
        this.#virtualVectors(index, now)
        break
      case RDT.id:
        receivePath.drain()
        break
      case RXDCTL.id:
        if (now & ~before & RING_ENABLE) receiveRings[index]!.restart()
        receivePath.drain()
        break
      case TDT.id:
        transmitPath.run(index)
        break
      case TXDCTL.id:
        if (now & ~before & RING_ENABLE) transmitRings[index]!.restart()
        transmitPath.run(index)
        break
      case TCTL.id:
      case VFTE.id:
        for (const { queue } of transmitRings) transmitPath.run(queue)
        break
    }
  }

  #control(at: number, value: number): void {
    const { words } = this.#nic.space
    if (value & CTRL.bits.PHY_RST) this.#nic.phy.reset()
    if (value & CTRL.bits.RST) this.#nic.portReset()
    else words[at] = value & ~CTRL.bits.PHY_RST
  }

  #extendedControl(at: number, value: number): void {
    const { words } = this.#nic.space
    if (value & CTRL_EXT.bits.PFRSTD) {
      this.resetDone = true
      this.#nic.mailbox.resetDone()
    }
    words[at] = value & ~(CTRL_EXT.bits.PFRSTD | CTRL_EXT.bits.EE_RST)
  }

  #readNvm(at: number, value: number): void {
    const { ADDR, DATA, DONE } = EERD.bits
    const data = this.#nic.nvm.read(fieldOf(value, ADDR))
    this.#nic.space.words[at] = (value & ADDR) | inField(DATA, data) | DONE
  }

  /** "MDI Control Register": the transaction is over at once. */
  #management(at: number, value: number): void {
    const { phy, space, interrupts } = this.#nic
    const { bits } = MDIC
    const register = fieldOf(value, bits.REGADD)
    let result = (value | bits.R) & ~bits.E
    if (fieldOf(value, bits.PHYADD) !== PHY_ADDRESS) result |= bits.E
    else if (fieldOf(value, bits.OP) === MDIC_OP.read) result = (result & ~bits.DATA) | phy.read(register)
    else if (fieldOf(value, bits.OP) === MDIC_OP.write) phy.write(register, value & bits.DATA)
    space.words[at] = result
    if (value & bits.I) interrupts.other(ICR_BIT.MDAC)
  }

  /** "VT Interrupt Vector Allocation": entries of the physical function's IVAR for the virtual function's queues. */
  #virtualVectors(vf: number, value: number): void {
    const entry = (byte: number): number => {
      const wanted = (value >>> (byte * 8)) & 0xff
      return wanted & IVAR.bits.VALID ? IVAR.bits.VALID | (firstVectorOf(vf) + Math.min(wanted & 3, 2)) : 0
    }
    this.setQueueVectors(vf, entry(0), entry(1))
    this.setQueueVectors(vf + 8, entry(2), entry(3))
  }

  setQueueVectors(queue: number, receive: number, transmit: number): void {
    const { words } = this.#nic.space
    const at = (IVAR.offset >>> 2) + (queue & 7)
    const shift = queue >= 8 ? 16 : 0
    words[at] = (words[at]! & ~((0xffff << shift) & FULL_MASK)) | ((receive | (transmit << 8)) << shift)
  }

  save(): Saved {
    return { resetDone: this.resetDone, rates: this.rates.slice() }
  }

  load(saved: Saved): void {
    const state = saved as { resetDone: boolean; rates: Uint32Array }
    this.resetDone = state.resetDone
    this.rates.set(state.rates)
  }
}
