/** What reading and writing the 82599's registers does beyond storing bits. */
import type { Saved } from '../../../core/index.ts'
import {
  AUTOC,
  CTRL,
  CTRL_EXT,
  DMATXCTL,
  EEC,
  EERD,
  EICR,
  EICS,
  EICS_EX,
  EIMC,
  EIMC_EX,
  EIMS,
  EIMS_EX,
  ESDP,
  FRTIMER,
  I2CCTL,
  I82599_QUEUES,
  LINKS,
  MSCA,
  MSRWD,
  PFMAILBOX,
  PFVFLRE_HIGH,
  PFVFLRE_LOW,
  PFVFLREC,
  PVFCTRL,
  PVFMAILBOX,
  PVTEICS,
  PVTEIMC,
  PVTEIMS,
  QDE,
  RSSRK,
  RTTBCNRC,
  RTTDQSEL,
  RX_LOWER,
  RX_UPPER,
  RXCTRL,
  STATUS,
  SWSM,
  TDT,
  TXDCTL,
  VFTE,
} from '../../formats/nic/i82599-registers.ts'
import { fieldOf, inField } from '../../formats/nic/register.ts'
import { RING_ENABLE } from '../common/descriptor-ring.ts'
import type { Parts82599 } from './chip-parts.ts'
import { FILTER_REGISTERS } from './filters.ts'
import { QUEUE_FILTER_REGISTERS } from './queue-filters.ts'
import { SfpModule } from './sfp-module.ts'

/** `EEC.SIZE`: 16 Ki words. */
const NVM_SIZE = 8
const TEN_GIGABIT = 3
const filterIds = new Set([...FILTER_REGISTERS, ...QUEUE_FILTER_REGISTERS].map(({ id }) => id))
/** What an MDIO read of a port without an external transceiver returns. */
const NO_TRANSCEIVER = 0xffff

export class RegisterEffects82599 {
  readonly #nic: Parts82599
  /** PFRSTD was written since the last reset of the port. */
  resetDone = false
  readonly rates = new Uint32Array(I82599_QUEUES)
  readonly #module: SfpModule

  constructor(nic: Parts82599) {
    this.#nic = nic
    this.#module = new SfpModule(serialNumber(nic.mac))
  }

  reset(): void {
    this.resetDone = false
    this.rates.fill(0)
    this.#module.drive(true, true)
  }

  read(at: number): number {
    const { space, interrupts, mailbox, environment, dropEnable } = this.#nic
    const { map, words } = space
    switch (map.id[at]) {
      case STATUS.id:
        return this.#status()
      case LINKS.id:
        return this.#nic.linkUp ? LINKS.bits.UP | inField(LINKS.bits.SPEED, TEN_GIGABIT) : 0
      case EEC.id:
        return this.#eec()
      case ESDP.id: {
        // The cage is never empty.
        const value = words[at]!
        return value & ESDP.bits.SDP2_IODIR ? value : value | ESDP.bits.SDP2_DATA
      }
      case I2CCTL.id: {
        const { CLK_OUT, DATA_OUT, CLK_IN, DATA_IN } = I2CCTL.bits
        const driven = words[at]! & (CLK_OUT | DATA_OUT)
        return driven | (driven & CLK_OUT ? CLK_IN : 0) | (this.#module.data ? DATA_IN : 0)
      }
      case SWSM.id: {
        // "Software Semaphore Bit": whoever reads it as 0 has it.
        const value = words[at]!
        words[at] = value | SWSM.bits.SMBI
        return value
      }
      case EICR.id:
        return interrupts.readCauses()
      case EICS.id:
        // Reads as EICR, and clears nothing: how drivers get around an erratum of EICR.
        return interrupts.causes
      case EIMS.id:
        return interrupts.readMask()
      case FRTIMER.id:
        return Math.floor(environment.clock.now / 1000) % 2 ** 32
      case PFMAILBOX.id:
        return mailbox.readPhysical(map.index[at]!)
      case PVFMAILBOX.id:
        return mailbox.readVirtual(map.index[at]!)
      case RTTBCNRC.id:
        return this.rates[words[RTTDQSEL.offset >>> 2]!]!
      case QDE.id: {
        const queue = fieldOf(words[at]!, QDE.bits.IDX)
        return inField(QDE.bits.IDX, queue) | dropEnable[queue]!
      }
    }
    return space.read(at)
  }

  #status(): number {
    const { linkUp, function: fn, space } = this.#nic
    const { bits } = STATUS
    const vfs = fn.virtualFunctions.length
    return (
      (linkUp ? bits.LINK_UP : 0) |
      inField(bits.LAN_ID, fn.definition.functionNumber ?? 0) |
      (vfs > 0 ? bits.IOV_ACTIVE | inField(bits.NUM_VFS, vfs) : 0) |
      (space.words[CTRL.offset >>> 2]! & CTRL.bits.GIO_DIS ? 0 : bits.GIO)
    )
  }

  #eec(): number {
    const value = this.#nic.space.words[EEC.offset >>> 2]!
    const { REQ, GNT, PRES, AUTO_RD, ADDR_SIZE, SIZE } = EEC.bits
    return (
      (value & (REQ | 0x3f)) | (value & REQ ? GNT : 0) | PRES | AUTO_RD | ADDR_SIZE | inField(SIZE, NVM_SIZE)
    )
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
    switch (id) {
      case EICR.id:
        interrupts.acknowledge(value)
        return true
      case EICS.id:
        interrupts.setCauses(value)
        return true
      case EIMS.id:
        interrupts.setMask(value)
        return true
      case EIMC.id:
        interrupts.clearMask(value)
        return true
      case EICS_EX.id:
        interrupts.vectorCauses(index, value)
        return true
      case EIMS_EX.id:
        interrupts.setVectorMask(index, value)
        return true
      case EIMC_EX.id:
        interrupts.clearVectorMask(index, value)
        return true
      case PFMAILBOX.id:
        mailbox.writePhysical(index, value)
        return true
      case PVFMAILBOX.id:
        mailbox.writeVirtual(index, value)
        return true
      case PVTEICS.id:
        interrupts.virtualCauses(index, value & 7)
        return true
      case PVTEIMS.id:
        interrupts.setVirtualMask(index, value)
        return true
      case PVTEIMC.id:
        interrupts.clearVirtualMask(index, value)
        return true
      case PVFCTRL.id:
        if (value & PVFCTRL.bits.RST) this.#nic.virtualFunctionReset(index)
        return true
      case PFVFLREC.id:
        space.words[(index === 0 ? PFVFLRE_LOW : PFVFLRE_HIGH).offset >>> 2]! &= ~value
        return true
      case RTTBCNRC.id:
        this.rates[space.words[RTTDQSEL.offset >>> 2]!] = value
        return true
    }
    return false
  }

  /** A register was stored that does something; `home` is where it is kept. */
  #written(id: number, index: number, home: number, before: number): void {
    const { space, rss, receivePath, transmitPath, transmitRings } = this.#nic
    const now = space.words[home]!
    switch (id) {
      case CTRL.id:
        if (now & (CTRL.bits.RST | CTRL.bits.LRST)) this.#nic.portReset()
        break
      case CTRL_EXT.id:
        if (now & CTRL_EXT.bits.PFRSTD) this.#resetDone(home, now)
        break
      case EERD.id:
        if (now & EERD.bits.START) this.#readNvm(home, now)
        break
      case MSCA.id:
        this.#management(home, now)
        break
      case I2CCTL.id:
        this.#module.drive((now & I2CCTL.bits.CLK_OUT) !== 0, (now & I2CCTL.bits.DATA_OUT) !== 0)
        break
      case AUTOC.id:
        space.words[home] = now & ~AUTOC.bits.RESTART_AN
        break
      case QDE.id:
        if (now & QDE.bits.WRITE) this.#nic.dropEnable[fieldOf(now, QDE.bits.IDX)] = now & QDE.bits.ENABLE
        receivePath.drain()
        break
      case RSSRK.id:
        rss.keyChanged()
        break
      case RX_LOWER.RDT.id:
      case RX_UPPER.RDT.id:
      case RXCTRL.id:
        receivePath.drain()
        break
      case RX_LOWER.RXDCTL.id:
        this.#receiveControl(index, before, now)
        break
      case RX_UPPER.RXDCTL.id:
        this.#receiveControl(index + 64, before, now)
        break
      case TDT.id:
        transmitPath.run(index)
        break
      case TXDCTL.id:
        if (now & ~before & RING_ENABLE) transmitRings[index]!.restart()
        transmitPath.run(index)
        break
      case DMATXCTL.id:
      case VFTE.id:
        for (const { queue } of transmitRings) transmitPath.run(queue)
        break
    }
  }

  #resetDone(at: number, value: number): void {
    this.resetDone = true
    this.#nic.mailbox.resetDone()
    this.#nic.space.words[at] = value & ~CTRL_EXT.bits.PFRSTD
  }

  #readNvm(at: number, value: number): void {
    const { ADDR, DATA, DONE } = EERD.bits
    const data = this.#nic.nvm.read(fieldOf(value, ADDR))
    this.#nic.space.words[at] = (value & ADDR) | inField(DATA, data) | DONE
  }

  /** "MDI Single Command and Address": over at once; there is no external transceiver behind an SFP+ port. */
  #management(at: number, value: number): void {
    const { words } = this.#nic.space
    words[at] = value & ~MSCA.bits.MDI_CMD
    const data = MSRWD.offset >>> 2
    words[data] = (words[data]! & MSRWD.bits.WRITE) | inField(MSRWD.bits.READ, NO_TRANSCEIVER)
  }

  #receiveControl(queue: number, before: number, now: number): void {
    if (now & ~before & RING_ENABLE) this.#nic.receiveRings[queue]!.restart()
    this.#nic.receivePath.drain()
  }

  save(): Saved {
    return { resetDone: this.resetDone, rates: this.rates.slice(), module: this.#module.save() }
  }

  load(saved: Saved): void {
    const state = saved as { resetDone: boolean; rates: Uint32Array; module: Saved }
    this.resetDone = state.resetDone
    this.rates.set(state.rates)
    this.#module.load(state.module)
  }
}

/** Of the module: made from the port's address, so that each is another. */
const serialNumber = (mac: Uint8Array): string =>
  `NB${Array.from(mac, byte => byte.toString(16).padStart(2, '0').toUpperCase()).join('')}`
