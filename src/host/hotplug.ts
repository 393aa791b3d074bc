/**
 * The hot-plug driver, in the order of Linux's pciehp: an interrupt of a slot is noted, and work outside the interrupt
 * takes away what is gone and brings up what came. Cards with bridges on them get no further bus numbers.
 */
import { opened } from '../core/index.ts'
import { type Engine, type Software, sleep } from '../engine/index.ts'
import type { HostBridgeResources } from '../platform/formats/boot-parameters.ts'
import type { DriverCore } from './driver-core.ts'
import type { Iommu } from './iommu/iommu.ts'
import type { AccessControl } from './pci/access-control.ts'
import { HotplugSlot, hasHotplugSlot } from './pci/hotplug-slot.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import { openSlotWindow, placeMemory } from './pci/place-card.ts'
import type { PciScanner } from './pci/scan.ts'
import type { SriovControl } from './sriov.ts'
import type { FunctionUsers } from './types.ts'

/** How long the indicator blinks after the button was pressed, in which a second press would cancel. */
const BUTTON_TIME = 5_000_000_000
/** "Power Controller Control": from power to the first access. */
const POWER_UP_TIME = 1_000_000_000

export interface HotplugOptions {
  readonly scanner: PciScanner
  readonly iommu: Iommu
  readonly drivers: DriverCore
  readonly accessControl: AccessControl
  readonly sriov: SriovControl
  readonly engine: Engine
  /** By address. */
  readonly functions: Map<string, HostPciFunction>
  readonly rootOf: (fn: HostPciFunction) => HostBridgeResources
}

export type SavedHotplug = {
  readonly version: 1
  readonly slots: readonly { readonly port: string; readonly capabilities: number }[]
  /** Ports that have interrupted, in that order. */
  readonly pending: readonly string[]
}

export class Hotplug {
  readonly #options: HotplugOptions
  readonly #slots = new Map<HostPciFunction, HotplugSlot>()
  /** Ports that have interrupted. */
  readonly #pending = new Set<HotplugSlot>()

  constructor(options: HotplugOptions) {
    this.#options = options
  }

  /** Whether the slot of a port is the kernel's to serve: the firmware may have kept it. */
  serves(port: HostPciFunction): boolean {
    return hasHotplugSlot(port) && this.#options.rootOf(port).nativeHotplug
  }

  /** Begins to serve the slot of a port, if it is to be served. */
  start(port: HostPciFunction): void {
    if (!this.serves(port) || this.#slots.has(port)) return
    const slot = new HotplugSlot(port)
    this.#slots.set(port, slot)
    slot.enableEvents()
  }

  /** The interrupt handler. */
  interrupted(port: HostPciFunction): void {
    const slot = this.#slots.get(port)
    if (slot !== undefined) this.#pending.add(slot)
  }

  /** What happened to the link of a port was containment, which is over. */
  forgetLinkEvents(port: HostPciFunction): void {
    const slot = this.#slots.get(port)
    if (slot === undefined || !slot.linkActive) return
    this.#pending.delete(slot)
    slot.takeEvents()
  }

  /** Whether the slot of a port, if it is served, shows events. */
  hasEvents(port: HostPciFunction): boolean {
    return this.#slots.get(port)?.hasEvents ?? false
  }

  get hasWork(): boolean {
    return this.#pending.size > 0
  }

  /** Does what the slots that have interrupted ask for. */
  *serve(users: FunctionUsers): Software {
    for (const slot of this.#pending) {
      this.#pending.delete(slot)
      const events = slot.takeEvents()
      // A card that came or went cancels what the button asked for.
      if (events.presenceOrLink) yield* this.#presenceChanged(slot, users)
      else if (events.attentionButton) yield* this.#buttonPressed(slot, users)
    }
  }

  /** Orderly: what is there is switched off after a while, an empty place is switched on. */
  *#buttonPressed(slot: HotplugSlot, users: FunctionUsers): Software {
    this.#say(slot, 'attention button pressed')
    slot.indicatePower('blink')
    yield* sleep(this.#options.engine, BUTTON_TIME)
    if (slot.port.below.length > 0) {
      yield* this.#takeAway(slot, users, 'soon')
      slot.power(false)
      slot.indicatePower('off')
    } else yield* this.#bringUp(slot)
    slot.takeEvents()
  }

  /** A card came or went, or both: what was there before is gone in any case. */
  *#presenceChanged(slot: HotplugSlot, users: FunctionUsers): Software {
    if (slot.port.below.length > 0) {
      this.#say(slot, slot.occupied ? 'link down' : 'card not present')
      yield* this.#takeAway(slot, users, 'gone')
      slot.power(false)
    }
    if (slot.occupied || slot.linkActive) yield* this.#bringUp(slot)
    else slot.indicatePower('off')
    slot.takeEvents()
  }

  *#bringUp(slot: HotplugSlot): Software {
    const { scanner, iommu, drivers, accessControl, sriov, engine, functions, rootOf } = this.#options
    const { port } = slot
    slot.power(true)
    yield* sleep(engine, POWER_UP_TIME)
    if (!slot.linkActive) {
      this.#say(slot, 'no link')
      slot.power(false)
      slot.indicatePower('off')
      return
    }
    const root = rootOf(port)
    for (const fn of yield* scanner.scanBelow(port)) functions.set(fn.address, fn)
    if (openSlotWindow(port, root, [...functions.values()])) {
      for (const fn of [...port.below]) this.#place(fn, root)
    } else this.#say(slot, 'no memory is left for a window')
    drivers.enable(port)
    yield* sriov.placeBars(port.below)
    for (const fn of port.below) {
      accessControl.enable(fn)
      yield* iommu.add(fn)
    }
    for (const fn of [...port.below]) yield* drivers.probe(fn)
    slot.indicatePower('on')
    this.#say(slot, `${port.below.length} functions added`)
  }

  /** Gives a function addresses and reads it anew. */
  #place(fn: HostPciFunction, root: HostBridgeResources): void {
    const { functions, scanner } = this.#options
    const left = placeMemory(fn, root, [...functions.values()])
    for (const { index, size } of left) {
      this.#options.engine.trace.emit('host', `${fn.address}: BAR ${index}: no space for ${size} bytes`, {
        function: fn.address,
      })
    }
    const { segment, rid, above, numaNode, multifunction } = fn
    const furtherFunction = multifunction && (rid & 0xff) !== 0
    const placed = scanner.open({ segment, rid, above, numaNode, furtherFunction })
    functions.set(placed.address, placed)
    const { below } = above!
    below[below.indexOf(fn)] = placed
  }

  /** Everything below a port leaves: virtual machines first, then drivers, groups and the kernel's list. */
  *#takeAway({ port }: HotplugSlot, users: FunctionUsers, when: 'soon' | 'gone'): Software {
    const leaving = below(port)
    for (const fn of leaving) if (fn.owner.kind === 'vm') yield* users.surrender(fn.address, when)
    const { drivers, iommu, functions, engine } = this.#options
    for (const fn of leaving) {
      yield* drivers.unbind(fn)
      yield* iommu.remove(fn)
      functions.delete(fn.address)
      this.#slots.delete(fn)
      fn.virtuals.length = 0
      engine.trace.emit('host', `${fn.address} is removed`, { function: fn.address })
    }
    port.below.length = 0
  }

  #say({ port, number }: HotplugSlot, what: string): void {
    this.#options.engine.trace.emit('host', `slot ${number} of ${port.address}: ${what}`, {
      function: port.address,
      slot: number,
    })
  }

  save(): SavedHotplug {
    return {
      version: 1,
      slots: [...this.#slots.values()]
        .map(({ port, capabilities }) => ({ port: port.address, capabilities }))
        .sort((a, b) => (a.port < b.port ? -1 : 1)),
      pending: [...this.#pending].map(({ port }) => port.address),
    }
  }

  load(saved: SavedHotplug): void {
    opened(saved, 'the hot-plug driver', 1)
    const find = (address: string): HostPciFunction => this.#options.functions.get(address)!
    for (const { port, capabilities } of saved.slots)
      this.#slots.set(find(port), new HotplugSlot(find(port), capabilities))
    for (const port of saved.pending) this.#pending.add(this.#slots.get(find(port))!)
  }
}

/** Every function below a bridge, those furthest down and virtual ones first. */
const below = (bridge: HostPciFunction): HostPciFunction[] =>
  [...bridge.below].reverse().flatMap(fn => [...below(fn), fn])
