/** Configuration space of a device that the hypervisor makes: 256 bytes, of which BARs and messages are kept elsewhere. */
import type { Saved } from '../core/index.ts'
import {
  CAPABILITIES_POINTER,
  CAPABILITY,
  CLASS,
  COMMAND_STATUS,
  ID,
  SUBSYSTEM,
} from '../pcie/formats/index.ts'
import type { EmulatedDevice, EmulatedMsix } from './emulated-device.ts'

const WORDS = 64
const FIRST_CAPABILITY = 0x40
const MSIX_SIZE = 12
/** Control, address, upper address and data: one message, 64-bit, not maskable. */
const MSI_SIZE = 14
const MSI_64 = 1 << 7
const { MSE, BME, INTD, CAP } = COMMAND_STATUS.f

export class EmulatedConfig {
  /** Offset of the message capability; 0 without one. */
  readonly messages: number = 0
  readonly #words = new Uint32Array(WORDS)

  constructor({ identity, messages, capabilities = [] }: EmulatedDevice) {
    const words = this.#words
    words[ID.at] = (identity.deviceId << 16) | identity.vendorId
    words[CLASS.at] = (identity.classCode << 8) | identity.revision
    words[SUBSYSTEM.at] = (identity.subsystemId << 16) | identity.subsystemVendorId
    let previous: number = CAPABILITIES_POINTER
    let next = FIRST_CAPABILITY
    const append = (id: number, body: Uint8Array): number => {
      const at = next
      const bytes = this.#bytes
      // The pointer lies in the first byte of its register, or in the second of a capability.
      bytes[previous === CAPABILITIES_POINTER ? previous : previous + 1] = at
      bytes[at] = id
      bytes.set(body, at + 2)
      words[COMMAND_STATUS.at]! |= CAP.mask
      previous = at
      next = Math.ceil((at + 2 + body.length) / 4) * 4
      return at
    }
    for (const { id, body } of capabilities) append(id, body)
    if (messages === 'msi') this.messages = append(CAPABILITY.MSI, msiBody())
    else if (messages !== 'none') this.messages = append(CAPABILITY.MSI_X, msixBody(messages))
  }

  get #bytes(): Uint8Array {
    return new Uint8Array(this.#words.buffer)
  }

  get memoryEnable(): boolean {
    return (this.#words[COMMAND_STATUS.at]! & MSE.mask) !== 0
  }

  get busMaster(): boolean {
    return (this.#words[COMMAND_STATUS.at]! & BME.mask) !== 0
  }

  /** @param offset a multiple of 4. */
  read(offset: number): number {
    return this.#words[offset >>> 2]!
  }

  /** Command and Interrupt Line; the rest is read-only. */
  write(offset: number, value: number, lanes: number): void {
    const writable =
      offset === COMMAND_STATUS.offset ? MSE.mask | BME.mask | INTD.mask : offset === 0x3c ? 0xff : 0
    const i = offset >>> 2
    this.#words[i] = (this.#words[i]! & ~(writable & lanes)) | (value & writable & lanes)
  }

  save(): Saved {
    return this.#words.slice()
  }

  load(saved: Saved): void {
    this.#words.set(saved as Uint32Array)
  }
}

function msixBody({ count, bar, tableOffset, pbaOffset }: EmulatedMsix): Uint8Array {
  const body = new DataView(new ArrayBuffer(MSIX_SIZE - 2))
  body.setUint16(0, count - 1, true)
  body.setUint32(2, tableOffset | bar, true)
  body.setUint32(6, pbaOffset | bar, true)
  return new Uint8Array(body.buffer)
}

function msiBody(): Uint8Array {
  const body = new Uint8Array(MSI_SIZE - 2)
  body[0] = MSI_64
  return body
}
