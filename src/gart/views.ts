/** What inspection shows of an address-range unit. */
import { type Fields, get, hex, hex64, type PageNumber } from '../core/index.ts'
import type { RegisterView, TableEntryView } from '../vtd/index.ts'
import { APERTURE_ENTRY, APERTURE_REGISTERS } from './formats/index.ts'

/** Fields of 16 bits and more as the address they stand for, narrower ones as numbers. */
export const fieldsView = (fields: Fields, words: ArrayLike<number>, base = 0): RegisterView['fields'] =>
  Object.fromEntries(
    Object.entries(fields).map(([name, f]) => {
      const value = get(f, words, base)
      return [name, f.high - f.low >= 15 ? hex(value * 2 ** f.low) : value]
    }),
  )

export const apertureRegisterViews = (words: Uint32Array): RegisterView[] =>
  APERTURE_REGISTERS.map(({ name, offset, at, width, f }) => ({
    name,
    offset: hex(offset),
    width,
    value: width === 32 ? hex(words[at]!, 8) : hex64(words[at]!, words[at + 1]!),
    fields: fieldsView(f, words, at),
  }))

export const apertureEntryView = (address: number, page: PageNumber, entry: number): TableEntryView => ({
  table: 'aperture',
  address: hex(address),
  raw: hex(entry, 8),
  present: true,
  fields: fieldsView(APERTURE_ENTRY, [entry]),
  level: 1,
  input: hex(page * 4096),
  size: 4096,
})
