/** Register-based invalidation, for units without a queue ("Context Command Register", "IOTLB Registers"). */
import { assert, set } from '../../core/index.ts'
import { type Software, until } from '../../engine/index.ts'
import { CCMD, GRANULARITY, iotlbRegister, ivaRegister } from '../../vtd/formats/index.ts'
import type { Invalidation } from './invalidation.ts'
import type { UnitRegisters } from './unit-registers.ts'

export class RegisterInvalidation {
  readonly #registers: UnitRegisters

  constructor(registers: UnitRegisters) {
    this.#registers = registers
  }

  *invalidate(requests: readonly Invalidation[]): Software {
    for (const request of requests) {
      if (request.cache === 'context') yield* this.#context(request)
      else if (request.cache === 'iotlb') yield* this.#iotlb(request)
      else assert(false, 'interrupt remapping needs queued invalidation')
    }
  }

  *#context(request: Extract<Invalidation, { cache: 'context' }>): Software {
    const { ICC, CIRG, DID, SID } = CCMD.f
    const words: [number, number] = [0, 0]
    set(ICC, words, 1)
    set(CIRG, words, GRANULARITY[request.scope])
    if (request.scope === 'device') {
      set(DID, words, request.domain)
      set(SID, words, request.rid)
    }
    this.#registers.write64(CCMD, ...words)
    yield* until(() => this.#registers.field(CCMD, ICC) === 0)
  }

  *#iotlb(request: Extract<Invalidation, { cache: 'iotlb' }>): Software {
    const { IRO } = this.#registers.ecap
    const IOTLB = iotlbRegister(IRO)
    const IVA = ivaRegister(IRO)
    const words: [number, number] = [0, 0]
    set(IOTLB.f.IVT, words, 1)
    set(IOTLB.f.DW, words, 1)
    set(IOTLB.f.DR, words, 1)
    set(IOTLB.f.IIRG, words, request.scope === 'pages' ? GRANULARITY.page : GRANULARITY[request.scope])
    if (request.scope !== 'global') set(IOTLB.f.DID, words, request.domain)
    if (request.scope === 'pages') {
      const address: [number, number] = [0, 0]
      set(IVA.f.ADDR, address, request.page)
      set(IVA.f.AM, address, request.addressMask)
      set(IVA.f.IH, address, Number(request.leavesOnly))
      this.#registers.write64(IVA, ...address)
    }
    this.#registers.write64(IOTLB, ...words)
    yield* until(() => this.#registers.field(IOTLB, IOTLB.f.IVT) === 0)
  }
}
