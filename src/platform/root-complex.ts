/**
 * The root complex: where requests of devices leave the fabric and reach memory, the interrupt controllers or, through
 * another root port, a peer. Which remapping unit a request passes is wiring.
 */

import { copyBytes, copyWords, formatFunctionAddress, type RequesterId } from '../core/index.ts'
import type { Trace } from '../engine/index.ts'
import type { ApertureUnit } from '../gart/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { type ApicBus, decodeCompatibility, InterruptMessage } from '../interrupts/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import {
  ADDRESS_TYPE,
  type Fabric,
  InterruptOutcome,
  type MemoryRequest,
  type PageRequest,
  type PcieFunction,
  refuse,
  STATUS,
  TARGET,
  type UpstreamSink,
} from '../pcie/index.ts'
import type { DeviceTlbPort, RemappingUnit } from '../vtd/index.ts'
import { traceMessage, traceRemapping } from './interrupt-trace.ts'

/** What is behind the root complex. */
export interface RootComplexEnvironment {
  readonly memory: PhysicalMemory
  readonly apics: ApicBus
  /** Reached by peer-to-peer requests. */
  readonly fabric: Fabric
  /** Told of every interrupt message. */
  readonly trace?: Trace | undefined
  /** An address-range unit: on the way of every request that no remapping unit takes. */
  readonly aperture?: ApertureUnit | undefined
}

/** Inspection: hears of requests after they have been served. */
export interface RequestWatcher {
  served(request: MemoryRequest): void
}

/** Of a function that is not there, or has no device-TLB. */
const NO_ANSWER = -1

/** Who logs what the root complex refuses: the root port it came by. Functions of the root complex have none. */
const portOf = (entry: PcieFunction): PcieFunction | undefined =>
  entry.secondary === undefined ? undefined : entry

/** Up to this many bytes a loop over dwords is the fastest copy. */
const WORD_COPY = 256

export class RootComplex implements UpstreamSink {
  readonly #memory: PhysicalMemory
  readonly #apics: ApicBus
  readonly #fabric: Fabric
  readonly #aperture: ApertureUnit | undefined
  readonly #trace: Trace | undefined
  /** By `PcieFunction.soldered`. */
  readonly #units: RemappingUnit[] = []
  /** Reused per message. */
  readonly #message = new InterruptMessage()
  readonly #ioApicOutcome = new InterruptOutcome()
  watcher: RequestWatcher | undefined = undefined

  constructor({ memory, apics, fabric, aperture, trace }: RootComplexEnvironment) {
    this.#memory = memory
    this.#apics = apics
    this.#fabric = fabric
    this.#aperture = aperture
    this.#trace = trace
  }

  /** Solders a root-bus function to a remapping unit. */
  wire(entry: PcieFunction, unit: RemappingUnit): void {
    entry.soldered = this.#units.push(unit) - 1
  }

  /** The unit on the way of what enters by a root-bus function. */
  unitAt(entry: PcieFunction): RemappingUnit | undefined {
    return entry.soldered < 0 ? undefined : this.#units[entry.soldered]
  }

  request(request: MemoryRequest, entry: PcieFunction): void {
    this.#serve(request, entry)
    if (this.watcher !== undefined) this.watcher.served(request)
  }

  #serve(request: MemoryRequest, entry: PcieFunction): void {
    const unit = entry.soldered < 0 ? undefined : this.#units[entry.soldered]
    if (
      request.page >= INTERRUPT_FIRST_PAGE &&
      request.page <= INTERRUPT_LAST_PAGE &&
      request.addressType === ADDRESS_TYPE.untranslated &&
      request.pasid < 0
    ) {
      this.#interruptRequest(request, unit, entry)
      return
    }
    if (unit !== undefined) {
      if (!unit.translate(request)) return
      if (request.addressType === ADDRESS_TYPE.translationRequest) return
    } else if (request.addressType !== ADDRESS_TYPE.untranslated || request.pasid >= 0) {
      // Nobody here translates for functions, nor knows process address spaces.
      refuse(request, STATUS.unsupportedRequest, portOf(entry))
      return
    } else if (this.#aperture === undefined) request.physicalPage = request.page
    else if (!this.#aperture.translate(request)) return
    this.#complete(request, entry)
  }

  pageRequest(request: PageRequest, entry: PcieFunction): void {
    this.unitAt(entry)?.pageRequest(request)
  }

  /** What a unit tells functions of a segment goes down to whoever answers to the requester id there. */
  deviceTlbPort(segment: number): DeviceTlbPort {
    const translationOf = (sourceId: number) => {
      const fn = this.#fabric.functionAt(segment, sourceId as RequesterId)
      return fn?.isPoweredUp === true ? fn.translation : undefined
    }
    return {
      invalidate: (sourceId, page, count, pasid) => {
        const translation = translationOf(sourceId)
        return translation?.supported === true ? translation.invalidate(page, count, pasid) : NO_ANSWER
      },
      pageGroupResponse: (sourceId, _pasid, groupIndex, code) =>
        translationOf(sourceId)?.pageRequests?.answered(groupIndex, code),
    }
  }

  /** The access itself, at `physicalPage`. */
  #complete(request: MemoryRequest, entry: PcieFunction): void {
    const { physicalPage, offset, length, data, dataStart, write } = request
    if (request.poisoned) {
      refuse(request, STATUS.poisoned, portOf(entry))
      return
    }
    const page = write ? this.#memory.pageForWrite(physicalPage) : this.#memory.page(physicalPage)
    if (page === undefined) {
      this.#fabric.request(request, entry)
      return
    }
    request.target = TARGET.memory
    const inWords = length <= WORD_COPY && ((offset | length | dataStart) & 3) === 0
    const words = inWords ? request.dataWords : undefined
    if (words === undefined) {
      if (write) copyBytes(data, dataStart, page.bytes, offset, length)
      else copyBytes(page.bytes, offset, data, dataStart, length)
    } else if (write) copyWords(words, dataStart >>> 2, page.words, offset >>> 2, length >>> 2)
    else copyWords(page.words, offset >>> 2, words, dataStart >>> 2, length >>> 2)
  }

  /** "Interrupt Address Range": a DWORD write is a message, whatever else comes there is blocked. */
  #interruptRequest(request: MemoryRequest, unit: RemappingUnit | undefined, entry: PcieFunction): void {
    if (!request.write || request.length !== 4 || (request.offset & 3) !== 0) {
      if (unit === undefined) refuse(request, STATUS.unsupportedRequest, portOf(entry))
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
    if (this.#trace?.enabled) {
      traceMessage(
        this.#trace,
        formatFunctionAddress(request.segment, request.requesterId as RequesterId),
        addressLow,
        value,
      )
    }
    request.faultReason = this.#send(unit, request.requesterId, addressLow, value, request.interrupt)
    request.target = TARGET.interrupt
    if (request.faultReason !== 0) request.status = STATUS.remappingFault
  }

  /** A message of the I/O APIC: remapped like a device's, under the I/O APIC's own source id. */
  ioApicMessage(unit: RemappingUnit | undefined, sourceId: number, addressLow: number, data: number): void {
    if (this.#trace?.enabled) traceMessage(this.#trace, 'I/O APIC', addressLow, data)
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
    outcome.posted = false
    outcome.irteIndex = -1
    outcome.processor = -1
    if (unit === undefined) decodeCompatibility(addressLow, data, message)
    else {
      const reason = unit.remapInterrupt(sourceId, addressLow, 0, data, message, outcome)
      if (this.#trace?.enabled) traceRemapping(this.#trace, unit.id, outcome, message, reason)
      if (reason !== 0) return reason
      // Posted to a processor that has been told already, or wishes not to be.
      if (outcome.posted && !outcome.notified) return 0
    }
    outcome.destination = message.destination
    outcome.logical = message.logical
    outcome.deliveryMode = message.deliveryMode
    outcome.vector = message.vector
    outcome.processor = this.#apics.deliver(message)
    return 0
  }
}
