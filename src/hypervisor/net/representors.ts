/**
 * Representors: a port of the virtual switch for each virtual function of an adapter in switchdev mode. What the function
 * sends comes in by its port, what leaves by the port is what the function receives; so the rules of the switch hold.
 */
import type { NetworkAdapter } from '../../host/index.ts'
import type { FrameJournal } from './network-device.ts'
import type { SwitchClient, SwitchPort } from './switch-port.ts'
import type { VirtualSwitch } from './virtual-switch.ts'

export type SavedRepresentors = { readonly adapter: string; readonly ports: readonly string[] }

export class Representors {
  readonly adapter: NetworkAdapter
  readonly #network: VirtualSwitch
  readonly #journal: FrameJournal
  /** By virtual function. */
  readonly #ports: SwitchPort[] = []

  constructor(adapter: NetworkAdapter, network: VirtualSwitch, journal: FrameJournal) {
    this.adapter = adapter
    this.#network = network
    this.#journal = journal
    adapter.functionReceiver = (vf, frame) => {
      const port = this.#ports[vf]
      if (port === undefined) return
      if (journal.following) journal.note(port.options.name, 'fromFunction', { vf, length: frame.length })
      network.receive(port, frame)
    }
  }

  /** As many ports as virtual functions are switched for. @param prefix of their names */
  refresh(prefix: string): void {
    const wanted = this.adapter.represented
    for (const port of this.#ports.splice(wanted)) this.#network.removePort(port)
    for (let vf = this.#ports.length; vf < wanted; vf++) {
      const options = { name: `${prefix}-vf${vf}`, kind: 'representor' } as const
      this.#ports.push(this.#network.addPort(options, this.#client(vf, options.name)))
    }
  }

  /** @param restorePort gives a port of the saved switch back, with who is behind it */
  restore(names: readonly string[], restorePort: (name: string, client: SwitchClient) => SwitchPort): void {
    for (const [vf, name] of names.entries()) this.#ports.push(restorePort(name, this.#client(vf, name)))
  }

  #client(vf: number, name: string): SwitchClient {
    const { adapter } = this
    const journal = this.#journal
    return {
      deliver(frame) {
        if (journal.following) journal.note(name, 'toFunction', { vf, length: frame.length })
        return adapter.sendTo(vf, frame) ? undefined : 'queueFull'
      },
    }
  }

  /** The adapter was taken away, or the switch is. */
  disconnect(): void {
    this.adapter.functionReceiver = undefined
    this.adapter.representedChanged = undefined
    for (const port of this.#ports.splice(0)) this.#network.removePort(port)
  }

  save(): SavedRepresentors {
    return { adapter: this.adapter.address, ports: this.#ports.map(({ options }) => options.name) }
  }
}
