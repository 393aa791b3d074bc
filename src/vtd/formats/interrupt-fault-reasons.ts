/** Why interrupt requests are refused, in the order of the manual's table. */
import { type FaultReason, row } from './fault-reason.ts'

export const INTERRUPT_FAULT_REASONS: readonly FaultReason[] = [
  row(
    0x20,
    'IR.1',
    false,
    'reserved field set in an interrupt request',
    'Clear the upper address and, with SHV, bits 31:16 of the data programmed into the function.',
  ),
  row(
    0x21,
    'IR.2',
    false,
    'interrupt index beyond the remapping table',
    'Use a handle below the 2^(IRTA.S+1) entries of the table.',
  ),
  row(
    0x22,
    'IR.3',
    true,
    'interrupt remapping table entry not present',
    'Set P in the entry, i.e. allocate it for this interrupt.',
  ),
  row(
    0x23,
    'IR.4',
    false,
    'interrupt remapping table not accessible',
    'Point IRTA at a table in memory and issue SIRTP.',
  ),
  row(
    0x24,
    'IR.5',
    true,
    'reserved field set in an interrupt remapping table entry',
    'Clear the reserved bits of the entry; with EIME clear the destination is in bits 47:40, and IM needs CAP.PI.',
  ),
  row(
    0x25,
    'IR.6',
    false,
    'compatibility format interrupt blocked',
    'Program the function with a remappable address, or allow compatibility format by GCMD.CFI with EIME clear.',
  ),
  row(
    0x26,
    'IR.7',
    true,
    'source-id of the interrupt request refused',
    'Send the interrupt from the function that SID, SQ and SVT of the entry name, or change them.',
  ),
  row(0x27, 'IR.8', true, 'posted interrupt descriptor not accessible', 'Point PDA of the entry at memory.'),
  row(
    0x28,
    'IR.9',
    true,
    'reserved field set in a posted interrupt descriptor',
    'Clear the reserved bits of the descriptor.',
  ),
  row(
    0x29,
    'IR.10',
    false,
    'not a valid request to the interrupt range',
    'Access 0xFEE00000 to 0xFEEFFFFF only by aligned 4-byte writes, or use another DMA address.',
  ),
]
