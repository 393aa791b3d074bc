/** What igb does to the registers of an 82576: 8 pools, of whose two queues the host uses the first. */
import {
  CTRL_EXT,
  DTXCTL,
  DTXSWC,
  EIAC,
  EIAM,
  EIMC,
  EIMS,
  EITR,
  GPIE,
  I82576_POOLS,
  ICR,
  ICR_BIT,
  IMC,
  IMS,
  IVAR,
  IVAR_MISC,
  MBVFICR,
  MBVFIMR,
  MRQC,
  MRQC_MODE,
  MTA,
  P2VMAILBOX,
  QDE,
  RCTL,
  RDBAH,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  RPLOLR,
  RTTBCNRC,
  RTTBCNRM,
  RTTDQSEL,
  RXDCTL,
  SRRCTL,
  STATUS,
  TCTL,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  TXDCTL,
  UTA,
  VFLRE,
  VFRE,
  VFTA,
  VFTE,
  VLVF,
  VMBMEM,
  VMOLR,
  VMVIR,
  VT_CTL,
  WVBR,
} from '../../../devices/formats/nic/i82576-registers.ts'
import { fieldOf, inField } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import {
  CAUSE,
  type PooledPort,
  type PoolRules,
  type ReceiveQueue,
  STANDARD_FRAME,
  type TransmitQueue,
} from '../pooled/port.ts'
import { limitQueues } from '../pooled/rate-factor.ts'
import type { NicRegisters } from '../pooled/registers.ts'
import { igbMessages } from './messages.ts'
import { initialize, probe, RECEIVE_ADDRESSES, resetPort, setReceiveAddress } from './probe.ts'

const ALL = 0xffff_ffff
const OTHER_VECTOR = 0
/** Mb/s by STATUS.SPEED. */
const SPEEDS = [10, 100, 1000, 1000] as const
const SPEED_SHIFT = 6
/** What Linux's igb writes before it limits a rate. */
const RATE_MEMORY = 0x14
/** Enabled, with prefetch and host thresholds of 8 descriptors and a write-back threshold of 4. */
const QUEUE_CONTROL =
  RXDCTL.bits.ENABLE |
  inField(RXDCTL.bits.PTHRESH, 8) |
  inField(RXDCTL.bits.HTHRESH, 8) |
  inField(RXDCTL.bits.WTHRESH, 4)

export class IgbPort implements PooledPort {
  readonly driver: string = 'igb'
  readonly pools = I82576_POOLS
  /** From the last down, as Linux's igb does for virtual functions. */
  readonly addressEntries = Array.from({ length: RECEIVE_ADDRESSES - 1 }, (_, i) => RECEIVE_ADDRESSES - 1 - i)
  readonly vlanEntries = VLVF.count
  readonly multicastTable = MTA
  readonly vlanTable = VFTA
  readonly lowestRate = 1
  readonly namesSpoofers = true
  readonly mailboxControl = P2VMAILBOX
  readonly mailboxMemory = VMBMEM
  readonly messages = igbMessages
  readonly registers: NicRegisters

  constructor(registers: NicRegisters) {
    this.registers = registers
  }

  get gone(): boolean {
    return this.registers.read(STATUS) === ALL
  }

  get carrier(): boolean {
    return (this.registers.read(STATUS) & STATUS.bits.LU) !== 0
  }

  get speedMbps(): number {
    return SPEEDS[(this.registers.read(STATUS) >>> SPEED_SHIFT) & 3]!
  }

  // From reset to work

  probe(): Software<Uint8Array> {
    return probe(this.registers)
  }

  reset(): Software {
    return resetPort(this.registers)
  }

  initialize(mac: Uint8Array): void {
    initialize(this.registers, mac)
  }

  configure(ownPool: number, vectors: number, intervalMicroseconds: number): void {
    const { registers } = this
    registers.write(MRQC, inField(MRQC.bits.ENABLE, MRQC_MODE.vmdq))
    registers.write(VT_CTL, inField(VT_CTL.bits.DEF_PL, ownPool) | VT_CTL.bits.RPL_EN)
    registers.write(DTXSWC, DTXSWC.bits.LOOPBACK_EN)
    registers.set(DTXCTL, DTXCTL.bits.VLAN_ADDED | DTXCTL.bits.SPOOF_INT)
    registers.write(RPLOLR, RPLOLR.bits.STRVLAN | RPLOLR.bits.STRCRC)
    registers.write(QDE, ALL)
    registers.set(RCTL, RCTL.bits.VFE)
    registers.write(VFRE, 0)
    registers.write(VFTE, 0)
    this.#configureInterrupts(vectors, intervalMicroseconds)
    registers.write(TCTL, TCTL.bits.EN | TCTL.bits.PSP | TCTL.bits.RTLC)
  }

  #configureInterrupts(vectors: number, intervalMicroseconds: number): void {
    const { registers } = this
    const { MULTIPLE_MSIX, PBA, EIAME, NSICR } = GPIE.bits
    registers.write(GPIE, MULTIPLE_MSIX | PBA | EIAME | NSICR)
    registers.write(EIAC, vectorMask(vectors))
    registers.write(EIAM, vectorMask(vectors))
    // Byte 1: causes that are no queue's.
    registers.write(IVAR_MISC, (IVAR.bits.VALID | OTHER_VECTOR) << 8)
    for (let vector = 0; vector < vectors; vector++) {
      registers.write(EITR, inField(EITR.bits.INTERVAL, intervalMicroseconds), vector)
    }
    registers.write(MBVFIMR, 0xff)
  }

  // biome-ignore lint/correctness/useYield: other chips wait where this one does not
  *enableReceiver(): Software {
    const { RXEN, SECRC, BAM } = RCTL.bits
    this.registers.set(RCTL, RXEN | SECRC | BAM)
  }

  goLive(vectors: number): void {
    const { registers } = this
    registers.write(IMS, ICR_BIT.LSC | ICR_BIT.VMMB | ICR_BIT.DOUTSYNC | ICR_BIT.DRSTA)
    registers.write(EIMS, vectorMask(vectors))
    // Virtual functions wait for this after every reset of the port.
    registers.set(CTRL_EXT, CTRL_EXT.bits.PFRSTD)
  }

  quiesce(): void {
    const { registers } = this
    registers.write(IMC, ALL)
    registers.write(EIMC, ALL)
    registers.write(RCTL, 0)
    registers.write(TCTL, TCTL.bits.PSP)
  }

  // Interrupts

  otherVector(): number {
    return OTHER_VECTOR
  }

  /** "Interrupt Vector Allocation": bytes 0 and 1 are the receive and transmit queue of the pool's number. */
  route(pool: number, vector: number): void {
    const entry = IVAR.bits.VALID | vector
    const kept = this.registers.read(IVAR, pool) & 0xffff_0000
    this.registers.write(IVAR, kept | entry | (entry << 8), pool)
  }

  unmask(vector: number): void {
    this.registers.write(EIMS, 1 << vector)
  }

  takeCauses(): number {
    const causes = this.registers.read(ICR)
    return (
      (causes & ICR_BIT.VMMB ? CAUSE.mailbox : 0) |
      (causes & ICR_BIT.DOUTSYNC ? CAUSE.spoofing : 0) |
      (causes & ICR_BIT.LSC ? CAUSE.link : 0)
    )
  }

  // Queues

  receiveQueue(pool: number): ReceiveQueue {
    return { index: pool, RDBAL, RDBAH, RDLEN, RDH, RDT, SRRCTL, RXDCTL, control: QUEUE_CONTROL }
  }

  transmitQueue(pool: number): TransmitQueue {
    return { index: pool, TDBAL, TDBAH, TDLEN, TDH, TDT, TXDCTL, control: QUEUE_CONTROL }
  }

  // Pools and filters

  enablePool(pool: number, on: boolean): void {
    this.enableReceive(pool, on)
    this.registers.put(VFTE, 1 << pool, on)
  }

  enableReceive(pool: number, on: boolean): void {
    this.registers.put(VFRE, 1 << pool, on)
  }

  /** Tags and check sequences are always taken off, and put where descriptors say them. */
  setPool(pool: number, { untagged, multicastHash, allMulticast, unicastHash }: PoolRules): void {
    const { LPE, RLPML, AUPE, ROMPE, ROPE, BAM, MPE, STRVLAN, STRCRC } = VMOLR.bits
    const rules =
      (untagged ? AUPE : 0) |
      (multicastHash ? ROMPE : 0) |
      (allMulticast ? MPE : 0) |
      (unicastHash ? ROPE : 0)
    const length = LPE | inField(RLPML, STANDARD_FRAME)
    this.registers.write(VMOLR, length | BAM | STRVLAN | STRCRC | rules, pool)
  }

  setPortVlan(pool: number, vlan: number): void {
    const { DEFAULT, PORT_VLAN } = VMVIR.bits
    this.registers.write(VMVIR, vlan === 0 ? 0 : DEFAULT | inField(PORT_VLAN, vlan), pool)
  }

  setSpoofCheck(pool: number, on: boolean): void {
    const { MACAS, VLANAS } = DTXSWC.bits
    this.registers.put(DTXSWC, inField(MACAS, 1 << pool) | inField(VLANAS, 1 << pool), on)
  }

  setRate(pool: number, megabits: number): void {
    const scheduler = { RTTDQSEL, RTTBCNRM, RTTBCNRC }
    const queues = [pool, pool + I82576_POOLS]
    limitQueues(this.registers, scheduler, queues, RATE_MEMORY, megabits, this.speedMbps)
  }

  setReceiveAddress(entry: number, mac: Uint8Array | undefined, pool: number): void {
    setReceiveAddress(this.registers, entry, mac, 1 << pool)
  }

  setVlan(entry: number, vlan: number, pools: number): void {
    const { VLAN_ID, POOLSEL, VI_EN } = VLVF.bits
    const value = pools === 0 ? 0 : VI_EN | inField(POOLSEL, pools) | inField(VLAN_ID, vlan)
    this.registers.write(VLVF, value, entry)
  }

  setPromiscuous(on: boolean): void {
    const { registers } = this
    registers.put(RCTL, RCTL.bits.UPE | RCTL.bits.MPE, on)
    // With every bit of the unicast table set, every address that is nobody's reaches the host's pool.
    for (let i = 0; i < UTA.count; i++) registers.write(UTA, on ? ALL : 0, i)
  }

  // Virtual functions

  /** Their queues drop what finds no descriptor (`QDE`) from the start. */
  virtualFunctionReady(): void {}

  takeResets(): number {
    const resets = this.registers.read(VFLRE)
    this.registers.write(VFLRE, resets)
    return resets
  }

  /** Acknowledgements need no answer but to be noted. */
  takeRequests(): number {
    const causes = this.registers.read(MBVFICR)
    this.registers.write(MBVFICR, causes)
    return fieldOf(causes, MBVFICR.bits.VFREQ)
  }

  /** "Wrong VM Behavior Register": a bit for each pool and check. */
  takeSpoofers(): number {
    const wrong = this.registers.read(WVBR)
    return (wrong | (wrong >>> I82576_POOLS)) & 0xff
  }
}

const vectorMask = (vectors: number): number => (1 << vectors) - 1
