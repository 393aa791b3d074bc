/**
 * What ixgbe does to the registers of an 82599: always 64 pools of two queues, of which the host uses the first of each
 * of its pools; virtual functions have both and the hash.
 */
import {
  CTRL_EXT,
  DMATXCTL,
  EIAC,
  EIAM_EX,
  EICR,
  EICS,
  EIMC,
  EIMC_EX,
  EIMS,
  EIMS_EX,
  EITR,
  EITR_UPPER,
  FCTRL,
  GCR_EXT,
  GPIE,
  HLREG0,
  I82599_POOLS,
  IVAR,
  IVAR_MISC,
  LINKS,
  MAXFRS,
  MCSTCTRL,
  MRQC,
  MRQC_MODE,
  MTA,
  MTQC,
  PFDTXGSWC,
  PFMAILBOX,
  PFMBICR,
  PFMBIMR,
  PFMBMEM,
  PFVFLRE_HIGH,
  PFVFLRE_LOW,
  PFVFLREC,
  PFVFSPOOF,
  QDE,
  RDRXCTL,
  RETA,
  RSSRK,
  RTTBCNRC,
  RTTBCNRM,
  RTTDCS,
  RTTDQSEL,
  RX_LOWER,
  RX_UPPER,
  RXCTRL,
  SECRXCTRL,
  SECRXSTAT,
  STATUS,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  TDWBAH,
  TDWBAL,
  TXDCTL,
  UTA,
  VFRE,
  VFTA,
  VFTE,
  VLNCTRL,
  VLVF,
  VLVFB,
  VMECM,
  VMOLR,
  VMVIR,
  VT_CTL,
} from '../../../devices/formats/nic/i82599-registers.ts'
import { inField } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import {
  CAUSE,
  type PooledPort,
  type PoolRules,
  type ReceiveQueue,
  type TransmitQueue,
} from '../pooled/port.ts'
import { limitQueues } from '../pooled/rate-factor.ts'
import type { NicRegisters } from '../pooled/registers.ts'
import { ixgbeMessages, QUEUES_PER_POOL } from './messages.ts'
import { initialize, probe, resetPort, setReceiveAddress } from './probe.ts'

const ALL = 0xffff_ffff
/** Mb/s by LINKS.SPEED. */
const SPEEDS = [0, 100, 1000, 10_000] as const
const SPEED_SHIFT = 28
/** "MMW_SIZE" without jumbo frames, as Linux's ixgbe writes it. */
const RATE_MEMORY = 0x4
/** Linux's ixgbe refuses limits of 10 Mb/s and less. */
const LOWEST_RATE = 11
/** Fields of `MRQC` that are hashed: TCP and IP of both versions. */
const HASHED = (1 << 16) | (1 << 17) | (1 << 20) | (1 << 21)
/** Microsoft's verification key, which is as good as any: Linux takes a random one. */
const HASH_KEY = [
  0xda56_5a6d, 0xc20e_5b25, 0x3d25_6741, 0xb08f_a343, 0xcb2b_cad0, 0xb430_7bae, 0xa32d_cb77, 0x0cf2_3080,
  0x3bb7_426a, 0xfa01_acbe,
] as const
/** "Number of TCs or Number of TX Queues": 64 pools; `GCR_EXT.VT_MODE` and `GPIE.VT_MODE` say the same. */
const POOLS_64_MTQC = 1
const POOLS_64 = 3
/** Frames without tag and with check sequence. */
const MAXIMUM_FRAME = 1518
/** Enabled, with tags taken off. */
const RECEIVE_CONTROL = RX_LOWER.RXDCTL.bits.ENABLE | RX_LOWER.RXDCTL.bits.VME
/** Enabled, with a prefetch threshold of 32 descriptors and host and write-back thresholds of 1. */
const TRANSMIT_CONTROL = TXDCTL.bits.ENABLE | (1 << 16) | (1 << 8) | 32
const OTHER_CAUSES = EICR.bits.LSC | EICR.bits.MAILBOX
const QUEUE_CAUSES = EICR.bits.RTXQ
const POLL_SECURITY = { times: 40, interval: 1000 } as const

export class IxgbePort implements PooledPort {
  readonly driver = 'ixgbe'
  readonly pools = I82599_POOLS
  /** From the first up, as Linux's ixgbe does. */
  readonly addressEntries = Array.from({ length: 127 }, (_, i) => i + 1)
  readonly vlanEntries = VLVF.count
  readonly multicastTable = MTA
  readonly vlanTable = VFTA
  readonly lowestRate = LOWEST_RATE
  /** "Switch Security Violation Packet Count" counts all of them together. */
  readonly namesSpoofers = false
  readonly mailboxControl = PFMAILBOX
  readonly mailboxMemory = PFMBMEM
  readonly messages = ixgbeMessages
  readonly registers: NicRegisters

  constructor(registers: NicRegisters) {
    this.registers = registers
  }

  get gone(): boolean {
    return this.registers.read(STATUS) === ALL
  }

  get carrier(): boolean {
    return (this.registers.read(LINKS) & LINKS.bits.UP) !== 0
  }

  get speedMbps(): number {
    return SPEEDS[(this.registers.read(LINKS) >>> SPEED_SHIFT) & 3]!
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
    this.#configurePools(ownPool)
    this.#configureFrames()
    this.#configureInterrupts(vectors, intervalMicroseconds)
    this.registers.set(DMATXCTL, DMATXCTL.bits.TE)
  }

  #configurePools(ownPool: number): void {
    const { registers } = this
    const { VT_ENA, POOL, REPLEN } = VT_CTL.bits
    registers.write(VT_CTL, VT_ENA | inField(POOL, ownPool) | REPLEN)
    for (const half of [0, 1]) {
      registers.write(VFRE, 0, half)
      registers.write(VFTE, 0, half)
    }
    registers.write(PFDTXGSWC, PFDTXGSWC.bits.LBE)
    registers.write(GCR_EXT, GCR_EXT.bits.MSIX_EN | inField(GCR_EXT.bits.VT_MODE, POOLS_64))
    registers.write(MRQC, inField(MRQC.bits.MRQE, MRQC_MODE.vmdqRss64) | HASHED)
    for (const [i, word] of HASH_KEY.entries()) registers.write(RSSRK, word, i)
    // Every other entry leads to a pool's second queue; those of the host use none of it (`PSRTYPE.RQPL` is 0).
    for (let i = 0; i < RETA.count; i++) registers.write(RETA, 0x0100_0100, i)
    // The transmitter's queues may be divided only while nothing arbitrates between them.
    registers.set(RTTDCS, RTTDCS.bits.ARBDIS)
    registers.write(MTQC, MTQC.bits.VT_ENA | inField(MTQC.bits.NUM_TC_OR_Q, POOLS_64_MTQC))
    registers.clear(RTTDCS, RTTDCS.bits.ARBDIS)
  }

  #configureFrames(): void {
    const { registers } = this
    const { BAM, DPF, PMCF } = FCTRL.bits
    registers.write(FCTRL, BAM | DPF | PMCF)
    registers.set(VLNCTRL, VLNCTRL.bits.VFE)
    // The size is locked at what `MAXFRS` says.
    registers.set(HLREG0, HLREG0.bits.JUMBOEN | HLREG0.bits.RXCRCSTRP)
    registers.write(MAXFRS, inField(MAXFRS.bits.MFS, MAXIMUM_FRAME))
    registers.clear(RDRXCTL, RDRXCTL.bits.RSCFRSTSIZE)
    registers.set(RDRXCTL, RDRXCTL.bits.CRCSTRIP)
    registers.write(MCSTCTRL, MCSTCTRL.bits.MFE)
  }

  #configureInterrupts(vectors: number, intervalMicroseconds: number): void {
    const { registers } = this
    const { MSIX_MODE, PBA, OCD, EIAME, VT_MODE } = GPIE.bits
    registers.write(GPIE, MSIX_MODE | PBA | OCD | EIAME | inField(VT_MODE, POOLS_64))
    registers.write(EIAC, QUEUE_CAUSES)
    for (const half of [0, 1]) registers.write(EIAM_EX, ALL, half)
    registers.write(IVAR_MISC, (IVAR.bits.VALID | this.otherVector(vectors)) << 8)
    for (let vector = 0; vector < vectors; vector++) {
      const value = inField(EITR.bits.INTERVAL, intervalMicroseconds / 2)
      if (vector < EITR.count) registers.write(EITR, value, vector)
      else registers.write(EITR_UPPER, value, vector - EITR.count)
    }
    for (let i = 0; i < PFMBIMR.count; i++) registers.write(PFMBIMR, ALL, i)
  }

  /** The security engine is stopped meanwhile: frames that come then could stop the receiver for good (an erratum). */
  *enableReceiver(): Software {
    const { registers } = this
    registers.set(SECRXCTRL, SECRXCTRL.bits.RX_DIS)
    // Linux goes on either way.
    yield* registers.poll(SECRXSTAT, SECRXSTAT.bits.SECRX_RDY, SECRXSTAT.bits.SECRX_RDY, POLL_SECURITY)
    registers.set(RXCTRL, RXCTRL.bits.RXEN)
    registers.clear(SECRXCTRL, SECRXCTRL.bits.RX_DIS)
  }

  goLive(vectors: number): void {
    const { registers } = this
    registers.write(EIMS, OTHER_CAUSES)
    for (const half of [0, 1]) registers.write(EIMS_EX, vectorMask(vectors - 32 * half), half)
    // Virtual functions wait for this after every reset of the port.
    registers.set(CTRL_EXT, CTRL_EXT.bits.PFRSTD)
  }

  quiesce(): void {
    const { registers } = this
    registers.write(EIMC, ALL)
    for (const half of [0, 1]) registers.write(EIMC_EX, ALL, half)
    registers.clear(RXCTRL, RXCTRL.bits.RXEN)
    registers.clear(DMATXCTL, DMATXCTL.bits.TE)
  }

  // Interrupts

  /** The last. */
  otherVector(vectors: number): number {
    return vectors - 1
  }

  /** "Interrupt Vector Allocation": bytes 0 and 1 of a pool's register are the receive and transmit queue of its first. */
  route(pool: number, vector: number): void {
    const entry = IVAR.bits.VALID | vector
    const kept = this.registers.read(IVAR, pool) & 0xffff_0000
    this.registers.write(IVAR, kept | entry | (entry << 8), pool)
  }

  unmask(vector: number): void {
    this.registers.write(EIMS_EX, 1 << (vector & 31), vector >>> 5)
  }

  /** Read at `EICS`, which clears nothing (an erratum of `EICR`), and cleared by being written. */
  takeCauses(): number {
    const causes = this.registers.read(EICS) & ~QUEUE_CAUSES
    this.registers.write(EICR, causes)
    return (causes & EICR.bits.MAILBOX ? CAUSE.mailbox : 0) | (causes & EICR.bits.LSC ? CAUSE.link : 0)
  }

  // Queues

  receiveQueue(pool: number): ReceiveQueue {
    const queue = pool * QUEUES_PER_POOL
    const lower = queue < RX_LOWER.RDBAL.count
    const index = lower ? queue : queue - RX_LOWER.RDBAL.count
    return { ...(lower ? RX_LOWER : RX_UPPER), index, control: RECEIVE_CONTROL }
  }

  transmitQueue(pool: number): TransmitQueue {
    const index = pool * QUEUES_PER_POOL
    return { index, TDBAL, TDBAH, TDLEN, TDH, TDT, TXDCTL, control: TRANSMIT_CONTROL }
  }

  // Pools and filters

  enablePool(pool: number, on: boolean): void {
    this.enableReceive(pool, on)
    this.registers.put(VFTE, 1 << (pool & 31), on, pool >>> 5)
  }

  enableReceive(pool: number, on: boolean): void {
    this.registers.put(VFRE, 1 << (pool & 31), on, pool >>> 5)
  }

  setPool(pool: number, { untagged, multicastHash, allMulticast, unicastHash }: PoolRules): void {
    const { AUPE, ROMPE, ROPE, BAM, MPE } = VMOLR.bits
    const rules =
      (untagged ? AUPE : 0) |
      (multicastHash ? ROMPE : 0) |
      (allMulticast ? MPE : 0) |
      (unicastHash ? ROPE : 0)
    this.registers.write(VMOLR, BAM | rules, pool)
  }

  setPortVlan(pool: number, vlan: number): void {
    const { DEFAULT, PORT_VLAN } = VMVIR.bits
    this.registers.write(VMVIR, vlan === 0 ? 0 : DEFAULT | inField(PORT_VLAN, vlan), pool)
  }

  setSpoofCheck(pool: number, on: boolean): void {
    const { MACAS, VLANAS } = PFVFSPOOF.bits
    const bit = 1 << (pool & 7)
    this.registers.put(PFVFSPOOF, inField(MACAS, bit) | inField(VLANAS, bit), on, pool >>> 3)
  }

  setRate(pool: number, megabits: number): void {
    const scheduler = { RTTDQSEL, RTTBCNRM, RTTBCNRC }
    limitQueues(this.registers, scheduler, queuesOf(pool), RATE_MEMORY, megabits, this.speedMbps)
  }

  setReceiveAddress(entry: number, mac: Uint8Array | undefined, pool: number): void {
    setReceiveAddress(this.registers, entry, mac, pool)
  }

  setVlan(entry: number, vlan: number, poolsLow: number, poolsHigh: number): void {
    const { VLAN_ID, VI_EN } = VLVF.bits
    const { registers } = this
    registers.write(VLVFB, poolsLow, 2 * entry)
    registers.write(VLVFB, poolsHigh, 2 * entry + 1)
    registers.write(VLVF, (poolsLow | poolsHigh) === 0 ? 0 : VI_EN | inField(VLAN_ID, vlan), entry)
  }

  setPromiscuous(on: boolean): void {
    const { registers } = this
    registers.put(FCTRL, FCTRL.bits.UPE | FCTRL.bits.MPE, on)
    // With every bit of the unicast table set, every address that is nobody's reaches the host's pool.
    for (let i = 0; i < UTA.count; i++) registers.write(UTA, on ? ALL : 0, i)
  }

  // Virtual functions

  /** Its queues drop what finds no descriptor, what it lies is counted, and it finds no head write-back of before. */
  virtualFunctionReady(vf: number, portVlan: number): void {
    const { registers } = this
    const { ENABLE, HIDE_VLAN, IDX, WRITE } = QDE.bits
    for (const queue of queuesOf(vf)) {
      registers.write(QDE, WRITE | ENABLE | (portVlan === 0 ? 0 : HIDE_VLAN) | inField(IDX, queue))
      registers.write(TDWBAH, 0, queue)
      registers.write(TDWBAL, 0, queue)
    }
    registers.set(VMECM, 1 << (vf & 31), vf >>> 5)
  }

  takeResets(half: number): number {
    const resets = this.registers.read(half === 0 ? PFVFLRE_LOW : PFVFLRE_HIGH)
    this.registers.write(PFVFLREC, resets, half)
    return resets
  }

  /** A register has 16 virtual functions. Acknowledgements need no answer but to be noted. */
  takeRequests(half: number): number {
    return this.#takeCauses(2 * half) | (this.#takeCauses(2 * half + 1) << 16)
  }

  #takeCauses(index: number): number {
    const causes = this.registers.read(PFMBICR, index)
    this.registers.write(PFMBICR, causes, index)
    return causes & 0xffff
  }

  takeSpoofers(): number {
    return 0
  }
}

const queuesOf = (pool: number): readonly number[] =>
  Array.from({ length: QUEUES_PER_POOL }, (_, queue) => pool * QUEUES_PER_POOL + queue)

/** Bits of so many vectors, as far as they are among 32. */
const vectorMask = (vectors: number): number => (vectors >= 32 ? ALL : vectors <= 0 ? 0 : (1 << vectors) - 1)
