/** I/O port space: configuration access, and the I/O windows of the host bridges. */
import type { Saved } from '../core/index.ts'
import type { PortSpace } from '../vmx/index.ts'
import type { ConfigurationPorts } from './configuration-access.ts'

/** What a processor reads where no port answers. */
const ALL_ONES = [0, 0xff, 0xffff, 0, 0xffff_ffff] as const

export class PlatformPorts implements PortSpace {
  readonly #configuration: ConfigurationPorts

  constructor(configuration: ConfigurationPorts) {
    this.#configuration = configuration
  }

  in(port: number, width: number): number {
    if (this.#configuration.claims(port, width)) return this.#configuration.in(port, width)
    return ALL_ONES[width] ?? 0xffff_ffff
  }

  out(port: number, width: number, value: number): void {
    if (this.#configuration.claims(port, width)) this.#configuration.out(port, width, value)
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
