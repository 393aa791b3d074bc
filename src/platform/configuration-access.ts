/** The two ways from a processor to configuration space: memory-mapped, and by the ports 0xCF8 and 0xCFC. */
import { lanesOf } from '../core/index.ts'
import type { MmioTarget } from '../memory/index.ts'
import type { Fabric } from '../pcie/index.ts'

/** "PCI Express Enhanced Configuration Access Mechanism (ECAM)": 4 KiB per function, 1 MiB per bus. */
export class EnhancedConfigurationAccess implements MmioTarget {
  readonly #fabric: Fabric
  readonly #segment: number

  constructor(fabric: Fabric, segment: number) {
    this.#fabric = fabric
    this.#segment = segment
  }

  readDword(offset: number): number {
    return this.#fabric.readConfig(this.#segment, offset >>> 20, (offset >>> 12) & 0xff, offset & 0xffc)
  }

  writeDword(offset: number, value: number, lanes: number): void {
    this.#fabric.writeConfig(
      this.#segment,
      offset >>> 20,
      (offset >>> 12) & 0xff,
      offset & 0xffc,
      value,
      lanes,
    )
  }
}

const CONFIG_ADDRESS = 0xcf8
const CONFIG_DATA = 0xcfc
const ENABLE = 0x8000_0000
/** Bits of CONFIG_ADDRESS that hold something: enable, bus, device, function, dword of 256 bytes. */
const IMPLEMENTED = 0x80ff_fffc

/** "PCI-compatible Configuration Mechanism": CONFIG_ADDRESS and CONFIG_DATA, for the first 256 bytes of one segment. */
export class ConfigurationPorts {
  readonly #fabric: Fabric
  readonly #segment: number
  address = 0

  constructor(fabric: Fabric, segment: number) {
    this.#fabric = fabric
    this.#segment = segment
  }

  /** Whether an access is for these ports; CONFIG_ADDRESS answers dword accesses only. */
  claims(port: number, width: number): boolean {
    return (
      (port === CONFIG_ADDRESS && width === 4) || (port >= CONFIG_DATA && port + width <= CONFIG_DATA + 4)
    )
  }

  in(port: number, width: number): number {
    if (port === CONFIG_ADDRESS) return this.address
    const value = this.#enabled ? this.#read() : 0xffff_ffff
    return (value & lanesOfPort(port, width)) >>> ((port & 3) * 8)
  }

  out(port: number, width: number, value: number): void {
    if (port === CONFIG_ADDRESS) this.address = (value & IMPLEMENTED) >>> 0
    else if (this.#enabled) this.#write((value << ((port & 3) * 8)) >>> 0, lanesOfPort(port, width))
  }

  get #enabled(): boolean {
    return (this.address & ENABLE) !== 0
  }

  #read(): number {
    const address = this.address
    return this.#fabric.readConfig(
      this.#segment,
      (address >>> 16) & 0xff,
      (address >>> 8) & 0xff,
      address & 0xfc,
    )
  }

  #write(value: number, lanes: number): void {
    const address = this.address
    this.#fabric.writeConfig(
      this.#segment,
      (address >>> 16) & 0xff,
      (address >>> 8) & 0xff,
      address & 0xfc,
      value,
      lanes,
    )
  }
}

const lanesOfPort = (port: number, width: number): number => lanesOf(((1 << width) - 1) << (port & 3))
