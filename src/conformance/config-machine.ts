/**
 * The machine of a recording: built from QEMU's arguments, powered on, not enumerated. Devices that came or went while
 * it ran come and go when the recording first shows them: the monitor's commands are not in it.
 */
import { busOf, devfnOf, type RequesterId } from '../core/index.ts'
import { drive, Engine } from '../engine/index.ts'
import { MachineBuilder, type QemuInput, readQemuInput } from '../interop/qemu/index.ts'
import type { PcieFunction } from '../pcie/index.ts'
import { Platform, parseTopology } from '../platform/index.ts'

export class ConfigMachine {
  readonly platform: Platform
  readonly notes: readonly string[]
  /** What each hot-added device is, by its path, as a machine has it that was built with all of them. */
  readonly #later = new Map<string, PcieFunction>()
  readonly #ecam: number

  constructor(input: QemuInput) {
    const { platform, notes } = powered(input, 0)
    this.platform = platform
    this.notes = notes
    this.#ecam = platform.port.board.ecam[0]!.base
    if (input.hotAdds.length === 0) return
    const present = new Set(platform.fabric.functions().map(pathOf))
    const complete = powered(input, input.hotAdds.length).platform
    for (const fn of complete.fabric.functions()) {
      if (!present.has(pathOf(fn))) this.#later.set(pathOf(fn), fn)
    }
  }

  static of(path: string): ConfigMachine {
    return new ConfigMachine(readQemuInput(path))
  }

  functionAt(rid: RequesterId): PcieFunction | undefined {
    return this.platform.fabric.functionAt(0, rid)
  }

  readDword(rid: RequesterId, offset: number): number {
    return this.platform.port.readDword(this.#address(rid, offset))
  }

  writeDword(rid: RequesterId, offset: number, value: number, lanes: number): void {
    this.platform.port.writeDword(this.#address(rid, offset), value, lanes)
  }

  #address(rid: RequesterId, offset: number): number {
    return this.#ecam + busOf(rid) * 0x10_0000 + devfnOf(rid) * 0x1000 + (offset & ~3)
  }

  /** Stimulus: plugs the device that the recording shows at an address, if there is one to come. */
  plug(rid: RequesterId, model: string): void {
    for (const [path, fn] of this.#later) {
      const above = fn.bus.bridge && pathOf(fn.bus.bridge)
      const parent = this.platform.fabric.functions().find(candidate => pathOf(candidate) === above)
      if (parent?.secondaryBus !== busOf(rid) || fn.devfn !== devfnOf(rid) || fn.definition.model !== model)
        continue
      this.#later.delete(path)
      const host = this.platform.fabric.hostBridges.find(({ bus }) => bus === parent.bus.host.bus)
      host?.addFunction(fn.devfn >>> 3, fn.devfn & 7, fn.definition, parent)
    }
  }
}

function powered(input: QemuInput, hotAdds: number): { platform: Platform; notes: readonly string[] } {
  const builder = new MachineBuilder(input.line, input.addedAcs)
  builder.build()
  for (const argument of input.hotAdds.slice(0, hotAdds)) builder.add(argument, true)
  const { topology, notes } = builder.topology(input.name, input.description, input.kernel)
  const platform = drive(Platform.build(parseTopology(topology), new Engine()), () => false)
  platform.powerOn()
  return { platform, notes }
}

/** Device and function numbers from the root bus down. */
function pathOf(fn: PcieFunction): string {
  const { bridge } = fn.bus
  return `${bridge === undefined ? fn.bus.host.bus : pathOf(bridge)}/${fn.devfn}`
}
