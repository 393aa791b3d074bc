/** How documents say that single bits of a configuration space differ from what the specification gives them. */
import { z } from 'zod'
import type { RegisterOverride } from '../pcie/index.ts'

const word = z.string().regex(/^0x[0-9a-f]{1,8}$/i, 'must be at most 32 bits in hexadecimal, like "0xff00"')

export const registerOverridesSchema = z
  .array(
    z.strictObject({
      offset: z
        .string()
        .regex(/^0x[0-9a-f]{0,2}[048c]$/i, 'must be the offset of a dword in hexadecimal, like "0xa8"'),
      readWrite: word.optional().describe('Bits that software may write'),
      clearable: word.optional().describe('Bits that software clears by writing 1'),
      readOnly: word.optional().describe('Bits that are read-only as the image has them'),
      reset: z
        .strictObject({ mask: word, value: word })
        .optional()
        .describe('Value after reset of the bits in the mask'),
    }),
  )
  .max(1024)
  .describe('Access and reset value of single bits, where the device differs from the specification')

/** Virtual time until the virtual functions answer. */
export const enableTimeSchema = z
  .int()
  .min(0)
  .max(1_000_000_000)
  .describe('Virtual time from VF Enable until VFs answer; default 100 ms')

/** Virtual time after a reset in which a function asks to be tried again. */
export const resetTimeSchema = z
  .int()
  .min(0)
  .max(120_000_000_000)
  .describe('Virtual time after a reset in which configuration requests end with Request Retry Status')

export const registerOverrides = (
  documents: z.output<typeof registerOverridesSchema>,
): readonly RegisterOverride[] =>
  documents.map(({ offset, readWrite, clearable, readOnly, reset }) => ({
    offset: Number(offset),
    ...(readWrite !== undefined && { readWrite: Number(readWrite) }),
    ...(clearable !== undefined && { clearable: Number(clearable) }),
    ...(readOnly !== undefined && { readOnly: Number(readOnly) }),
    ...(reset !== undefined && { reset: { mask: Number(reset.mask), value: Number(reset.value) } }),
  }))
