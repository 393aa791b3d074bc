/** What boot code does before it jumps into a kernel: the mode, the page tables, the descriptor tables, the segments. */
import { assert } from '../../core/index.ts'
import type { ProcessorPort } from '../../platform/machine-port.ts'
import { CR0, CR4, MSR } from '../../vmx/formats/msrs.ts'
import type { Operation, OperationResult, Word64 } from '../../vmx/formats/operations.ts'
import type { Bits } from './technique.ts'

export const word = (low: number, high = 0): Word64 => [low >>> 0, high >>> 0]

/** Executes an operation of the hypervisor's own, which must succeed. */
export function must(processor: ProcessorPort, operation: Operation): OperationResult {
  const result = processor.execute(operation)
  assert(
    result.outcome === 'done',
    `${operation.op} succeeds (${result.outcome}, vector ${result.vector}, error ${result.error})`,
  )
  return result
}

export const PAGING_CR0 = (CR0.PG | CR0.WP | CR0.NE | CR0.ET | CR0.PE) >>> 0

/** CR4 of a kernel that runs on the bare processor. */
export const pagingCr4 = (bits: Bits): number => (bits === 64 ? CR4.PAE | CR4.PGE : CR4.PSE | CR4.PGE)

/** From the boot state, 64-bit mode with paging, to the mode wanted with the page tables wanted. Paging is off on the way. */
export function enterMode(processor: ProcessorPort, bits: Bits, cr3: Word64): void {
  if (bits === 64) {
    must(processor, { op: 'movToCr', cr: 3, value: cr3 })
    must(processor, { op: 'movToCr', cr: 4, value: word(pagingCr4(64)) })
    return
  }
  must(processor, { op: 'jumpFar', bits: 32 })
  must(processor, { op: 'movToCr', cr: 0, value: word(PAGING_CR0 & ~CR0.PG) })
  must(processor, { op: 'wrmsr', msr: MSR.IA32_EFER, value: word(0) })
  must(processor, { op: 'movToCr', cr: 4, value: word(pagingCr4(32)) })
  must(processor, { op: 'movToCr', cr: 3, value: cr3 })
  must(processor, { op: 'movToCr', cr: 0, value: word(PAGING_CR0) })
}

export interface SegmentPlan {
  readonly gdt: { readonly base: Word64; readonly limit: number }
  readonly idt: { readonly base: Word64; readonly limit: number }
  readonly code: number
  readonly data: number
  readonly task: number
  readonly stack: Word64
}

/** Descriptor tables, then every segment register from them. */
export function loadSegments(processor: ProcessorPort, plan: SegmentPlan): void {
  must(processor, { op: 'lgdt', ...plan.gdt })
  must(processor, { op: 'lidt', ...plan.idt })
  must(processor, { op: 'callFar', selector: plan.code })
  for (const segment of ['ss', 'ds', 'es', 'fs', 'gs'] as const) {
    must(processor, { op: 'loadSegment', segment, selector: plan.data })
  }
  must(processor, { op: 'ltr', selector: plan.task })
  must(processor, { op: 'movToSp', value: plan.stack })
}
