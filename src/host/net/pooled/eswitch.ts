/**
 * Who switches between virtual functions and the wire: the adapter ("legacy"), or the host's software, which then hears
 * every frame of theirs with its source and says where each goes ("switchdev").
 */
import { NorthbridgeError } from '../../../core/index.ts'
import type { EswitchMode, VirtualFunctionSettings, VirtualFunctionState } from '../adapter.ts'
import type { PooledPort } from './port.ts'

export class Eswitch {
  mode: EswitchMode = 'legacy'
  readonly #port: PooledPort
  readonly #address: string

  constructor(port: PooledPort, address: string) {
    this.#port = port
    this.#address = address
  }

  get switchdev(): boolean {
    return this.mode === 'switchdev'
  }

  /** Throws `unsupported`, `functionInUse`; then nothing has changed. @param sorted pools of virtual machines (VMDq) */
  set(mode: EswitchMode, functions: readonly VirtualFunctionState[], sorted: number): void {
    if (this.#port.setSwitchdev === undefined) {
      throw this.#unsupported(`${this.#port.driver} has no e-switch modes: the card's switch cannot divert`)
    }
    if (mode === 'switchdev') {
      if (sorted > 0) {
        const message = `${this.#address}: ${sorted} queues of virtual machines (VMDq) are open`
        throw new NorthbridgeError('functionInUse', message, { errno: 'EBUSY' })
      }
      const tagged = functions.findIndex(({ vlan }) => vlan !== 0)
      if (tagged >= 0)
        throw this.#unsupported(`VF ${tagged} has a port VLAN, which its representor would have`)
    }
    this.mode = mode
    this.apply()
  }

  /** A reset of the port has ended the mode. */
  apply(): void {
    this.#port.setSwitchdev?.(this.switchdev)
  }

  /** Throws `unsupported` for what belongs to the port of the software switch. */
  checkSettings({ vlan }: Partial<VirtualFunctionSettings>): void {
    if (this.switchdev && vlan !== undefined && vlan !== 0) {
      throw this.#unsupported('VLANs of virtual functions are those of their representors')
    }
  }

  /** Throws `unsupported`. */
  checkSorting(): void {
    if (this.switchdev) throw this.#unsupported('the adapter sorts nothing for virtual machines')
  }

  #unsupported(what: string): NorthbridgeError {
    const where = this.switchdev ? `${this.#address} in switchdev mode` : this.#address
    return new NorthbridgeError('unsupported', `${where}: ${what}`, { errno: 'EOPNOTSUPP' })
  }
}
