/** I/O port space: configuration access, and the I/O windows of the host bridges. */
import type { Saved } from '../core/index.ts'
import type { Fabric } from '../pcie/index.ts'
import type { PortSpace } from '../vmx/index.ts'
import type { ConfigurationPorts } from './configuration-access.ts'

/** A number of bytes as a mask; an access that crosses a dword is two requests. */
const BYTES = [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff] as const

export class PlatformPorts implements PortSpace {
  readonly #configuration: ConfigurationPorts
  readonly #fabric: Fabric

  constructor(configuration: ConfigurationPorts, fabric: Fabric) {
    this.#configuration = configuration
    this.#fabric = fabric
  }

  in(port: number, width: number): number {
    if (this.#configuration.claims(port, width)) return this.#configuration.in(port, width)
    let value = 0
    for (let done = 0; done < width; ) {
      const first = (port + done) & 3
      const count = Math.min(4 - first, width - done)
      const bytes = (this.#fabric.readIo(port + done) >>> (first * 8)) & BYTES[count]!
      value |= bytes << (done * 8)
      done += count
    }
    return value >>> 0
  }

  out(port: number, width: number, value: number): void {
    if (this.#configuration.claims(port, width)) {
      this.#configuration.out(port, width, value)
      return
    }
    for (let done = 0; done < width; ) {
      const first = (port + done) & 3
      const count = Math.min(4 - first, width - done)
      const bytes = ((value >>> (done * 8)) & BYTES[count]!) << (first * 8)
      this.#fabric.writeIo(port + done, bytes >>> 0, (BYTES[count]! << (first * 8)) >>> 0)
      done += count
    }
  }

  reset(): void {
    this.#configuration.address = 0
  }

  save(): Saved {
    return { version: 1, configAddress: this.#configuration.address }
  }

  load(saved: Saved): void {
    this.#configuration.address = (saved as { configAddress: number }).configAddress
  }
}
