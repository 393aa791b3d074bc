/** "Receive Side Scaling": which of a frame's fields are hashed, and to which queue the hash leads. */
import { type FrameHeaders, IP_PROTOCOL, RSS_KEY_SIZE, ToeplitzHash } from '../../../net/index.ts'
import { RSS_TYPE } from '../../formats/nic/descriptors.ts'

/** Enable bits of MRQC, the same in both chips. */
const FIELD = {
  tcpIpv4: 1 << 16,
  ipv4: 1 << 17,
  tcpIpv6Ex: 1 << 18,
  ipv6Ex: 1 << 19,
  ipv6: 1 << 20,
  tcpIpv6: 1 << 21,
  udpIpv4: 1 << 22,
  udpIpv6: 1 << 23,
  udpIpv6Ex: 1 << 24,
} as const

export class ReceiveSideScaling {
  hash = 0
  type: number = RSS_TYPE.none
  readonly #toeplitz = new ToeplitzHash()
  readonly #words: Uint32Array
  readonly #keyAt: number
  readonly #tableAt: number
  #keyChanged = true

  /** @param keyAt word of the first RSSRK. @param tableAt word of the first RETA. */
  constructor(words: Uint32Array, keyAt: number, tableAt: number) {
    this.#words = words
    this.#keyAt = keyAt
    this.#tableAt = tableAt
  }

  keyChanged(): void {
    this.#keyChanged = true
  }

  /** Fills `hash` and `type`; both 0 for a frame that is not hashed. @param mrqc the register with the enable bits. */
  look(mrqc: number, bytes: Uint8Array, headers: FrameHeaders): void {
    this.hash = 0
    this.type = typeOf(mrqc, headers)
    if (this.type === RSS_TYPE.none) return
    if (this.#keyChanged) this.#loadKey()
    const { networkStart, transportStart, ipVersion } = headers
    const from = networkStart + (ipVersion === 4 ? 12 : 8)
    const size = ipVersion === 4 ? 8 : 32
    let hash = this.#toeplitz.add(0, 0, bytes, from, size)
    if (hasPorts(this.type)) hash = this.#toeplitz.add(hash, size, bytes, transportStart, 4)
    this.hash = hash >>> 0
  }

  /** The redirection table's entry for the hash: 128 of them, four to a register. */
  get entry(): number {
    const at = this.hash & 127
    return (this.#words[this.#tableAt + (at >>> 2)]! >>> ((at & 3) * 8)) & 0xff
  }

  #loadKey(): void {
    const key = new Uint8Array(RSS_KEY_SIZE)
    for (let i = 0; i < RSS_KEY_SIZE; i++) {
      key[i] = this.#words[this.#keyAt + (i >>> 2)]! >>> ((i & 3) * 8)
    }
    this.#toeplitz.setKey(key)
    this.#keyChanged = false
  }
}

const hasPorts = (type: number): boolean =>
  type !== RSS_TYPE.ipv4 && type !== RSS_TYPE.ipv6 && type !== RSS_TYPE.ipv6Ex

function typeOf(mrqc: number, headers: FrameHeaders): number {
  const { ipVersion, transportStart, protocol } = headers
  const tcp = transportStart > 0 && protocol === IP_PROTOCOL.tcp
  const udp = transportStart > 0 && protocol === IP_PROTOCOL.udp
  if (ipVersion === 4) {
    if (tcp && mrqc & FIELD.tcpIpv4) return RSS_TYPE.tcpIpv4
    if (udp && mrqc & FIELD.udpIpv4) return RSS_TYPE.udpIpv4
    return mrqc & FIELD.ipv4 ? RSS_TYPE.ipv4 : RSS_TYPE.none
  }
  if (ipVersion !== 6) return RSS_TYPE.none
  if (tcp && mrqc & FIELD.tcpIpv6) return RSS_TYPE.tcpIpv6
  if (tcp && mrqc & FIELD.tcpIpv6Ex) return RSS_TYPE.tcpIpv6Ex
  if (udp && mrqc & FIELD.udpIpv6) return RSS_TYPE.udpIpv6
  if (udp && mrqc & FIELD.udpIpv6Ex) return RSS_TYPE.udpIpv6Ex
  if (mrqc & FIELD.ipv6) return RSS_TYPE.ipv6
  return mrqc & FIELD.ipv6Ex ? RSS_TYPE.ipv6Ex : RSS_TYPE.none
}
