/** Operations that translated code carries out in place, on the virtual processor's registers, without a trap. */
import { RFLAGS } from '../../vmx/formats/msrs.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import type { OutcomeRecord } from './technique.ts'
import { readOwnTables, type VirtualCpu } from './virtual-cpu.ts'

/** What translated code can reach of the virtual processor. */
export interface InlineState {
  readonly virtualCpu: VirtualCpu
  readonly record: OutcomeRecord
  realFlags(): number
  loadStatusFlags(flags: number): void
  descriptor(selector: number): readonly [number, number]
  kernelSelector(segment: 'cs' | 'ss'): number
}

/** Undefined: the operation is translated in another way. */
export function inlineOperation(operation: Operation, state: InlineState): OutcomeRecord | undefined {
  const { virtualCpu: cpu, record } = state
  switch (operation.op) {
    case 'cli':
    case 'sti':
      cpu.setInterruptFlag(operation.op === 'sti')
      return record.done()
    case 'pushf':
      return record.done(cpu.flags(state.realFlags()) & ~RFLAGS.RF)
    case 'popf':
      // Status flags go to the processor with the operation itself; IF and IOPL are the virtual ones.
      cpu.setFlags(operation.flags)
      state.loadStatusFlags(operation.flags)
      return record.done()
    case 'movFromCr':
      if (operation.cr === 8) return undefined
      return record.done({ 0: cpu.cr0, 2: cpu.cr2, 3: cpu.cr3, 4: cpu.cr4 }[operation.cr])
    case 'storeSegment':
      return operation.segment === 'cs' || operation.segment === 'ss'
        ? record.done(state.kernelSelector(operation.segment))
        : undefined
    case 'callFar':
      return record.done(state.kernelSelector('cs'))
    case 'retFar':
      return (operation.selector & 3) === 0 ? record.done() : undefined
    case 'loadSegment':
      return operation.segment === 'ss' ? record.done() : undefined
    case 'lar': {
      const [, high] = state.descriptor(operation.selector)
      const seen = high !== 0 && ((high >>> 13) & 3) >= (operation.selector & 3)
      return seen ? record.done(high & 0xf0_ff00, 1) : record.done()
    }
    case 'lsl': {
      const [low, high] = state.descriptor(operation.selector)
      const limit = (high & 0xf_0000) | (low & 0xffff)
      return record.done((high & 0x80_0000) === 0 ? limit : limit * 4096 + 4095, high === 0 ? 0 : 1)
    }
  }
  return readOwnTables(operation, cpu, record)
}
