/**
 * The root complex: where requests of devices leave the fabric and reach memory, the interrupt controllers or, through
 * another root port, a peer. Which remapping unit a request passes is wiring.
 */

import { copyBytes } from '../core/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { type ApicBus, decodeCompatibility, InterruptMessage } from '../interrupts/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import {
  ADDRESS_TYPE,
  type Fabric,
  InterruptOutcome,
  type MemoryRequest,
  type PcieFunction,
  STATUS,
  TARGET,
  type UpstreamSink,
} from '../pcie/index.ts'
import type { RemappingUnit } from '../vtd/index.ts'

/** What is behind the root complex. */
export interface RootComplexEnvironment {
  readonly memory: PhysicalMemory
  readonly apics: ApicBus
  /** Reached by peer-to-peer requests. */
  readonly fabric: Fabric
}

export class RootComplex implements UpstreamSink {
  readonly #memory: PhysicalMemory
  readonly #apics: ApicBus
  readonly #fabric: Fabric
  readonly #units = new Map<PcieFunction, RemappingUnit>()
  /** Reused per message. */
  readonly #message = new InterruptMessage()
  readonly #ioApicOutcome = new InterruptOutcome()

  constructor({ memory, apics, fabric }: RootComplexEnvironment) {
    this.#memory = memory
    this.#apics = apics
    this.#fabric = fabric
  }

  /** Solders a root-bus function to a remapping unit. */
  wire(entry: PcieFunction, unit: RemappingUnit): void {
    this.#units.set(entry, unit)
  }

  /** The unit on the way of what enters by a root-bus function. */
  unitAt(entry: PcieFunction): RemappingUnit | undefined {
    return this.#units.get(entry)
  }

  request(request: MemoryRequest, entry: PcieFunction): void {
    const unit = this.#units.get(entry)
    if (
      request.page >= INTERRUPT_FIRST_PAGE &&
      request.page <= INTERRUPT_LAST_PAGE &&
      request.addressType === ADDRESS_TYPE.untranslated &&
      request.pasid < 0
    ) {
      this.#interruptRequest(request, unit)
      return
    }
    if (unit === undefined) request.physicalPage = request.page
    else if (!unit.translate(request)) return
    this.#complete(request, entry)
  }

  /** The access itself, at `physicalPage`. */
  #complete(request: MemoryRequest, entry: PcieFunction): void {
    const { physicalPage: page, offset, length, data, dataStart } = request
    if (request.write) {
      const bytes = this.#memory.pageForWrite(page)?.bytes
      if (bytes !== undefined) {
        request.target = TARGET.memory
        copyBytes(data, dataStart, bytes, offset, length)
        return
      }
    } else {
      const bytes = this.#memory.page(page)?.bytes
      if (bytes !== undefined) {
        request.target = TARGET.memory
        copyBytes(bytes, offset, data, dataStart, length)
        return
      }
    }
    this.#fabric.request(request, entry)
  }

  /** "Interrupt Address Range": a DWORD write is a message, whatever else comes there is blocked. */
  #interruptRequest(request: MemoryRequest, unit: RemappingUnit | undefined): void {
    if (!request.write || request.length !== 4 || (request.offset & 3) !== 0) {
      if (unit === undefined) request.status = STATUS.unsupportedRequest
      else unit.translate(request) // says no, and records the fault
      return
    }
    if (unit !== undefined) request.unit = unit.index
    const { data, dataStart } = request
    const value =
      (data[dataStart]! |
        (data[dataStart + 1]! << 8) |
        (data[dataStart + 2]! << 16) |
        (data[dataStart + 3]! << 24)) >>>
      0
    const addressLow = ((request.page << 12) | request.offset) >>> 0
    request.faultReason = this.#send(unit, request.requesterId, addressLow, value, request.interrupt)
    request.target = TARGET.interrupt
    if (request.faultReason !== 0) request.status = STATUS.remappingFault
  }

  /** A message of the I/O APIC: remapped like a device's, under the I/O APIC's own source id. */
  ioApicMessage(unit: RemappingUnit | undefined, sourceId: number, addressLow: number, data: number): void {
    this.#send(unit, sourceId, addressLow, data, this.#ioApicOutcome)
  }

  /** Returns the fault reason of a blocked message, or 0. */
  #send(
    unit: RemappingUnit | undefined,
    sourceId: number,
    addressLow: number,
    data: number,
    outcome: InterruptOutcome,
  ): number {
    const message = this.#message
    outcome.remapped = false
    outcome.irteIndex = -1
    outcome.processor = -1
    if (unit === undefined) decodeCompatibility(addressLow, data, message)
    else {
      const reason = unit.remapInterrupt(sourceId, addressLow, 0, data, message, outcome)
      if (reason !== 0) return reason
    }
    outcome.destination = message.destination
    outcome.logical = message.logical
    outcome.deliveryMode = message.deliveryMode
    outcome.vector = message.vector
    outcome.processor = this.#apics.deliver(message)
    return 0
  }
}
