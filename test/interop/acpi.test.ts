import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { exportMachine } from '../../src/interop/index.ts'
import {
  decodeDmar,
  decodeMadt,
  decodeMcfg,
  decodeSrat,
  encodeDmar,
  encodeMadt,
  encodeMcfg,
  encodeSrat,
} from '../../src/platform/formats/acpi/index.ts'
import { CAPTURES, captureNames } from '../host/capture-functions.ts'
import { bootedCapture, describeWith, run, scratchFolder, writeFiles } from './tools.ts'

/** Reading a table and writing it again. */
const AGAIN: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  DMAR: bytes => encodeDmar(decodeDmar(bytes)),
  MCFG: bytes => encodeMcfg(decodeMcfg(bytes)),
  APIC: bytes => encodeMadt(decodeMadt(bytes)),
  SRAT: bytes => encodeSrat(decodeSrat(bytes)),
}

const captured = captureNames().flatMap(name =>
  readdirSync(join(CAPTURES, name, 'acpi'))
    .map(file => ({ name, table: file.replace('.bin', ''), path: join(CAPTURES, name, 'acpi', file) }))
    .filter(({ table }) => table in AGAIN),
)

describe('A captured ACPI table', () => {
  it('is written again byte for byte after it was read', () => {
    for (const { name, table, path } of captured) {
      const bytes = new Uint8Array(readFileSync(path))
      expect(Buffer.from(AGAIN[table]!(bytes)).equals(bytes), `${name} ${table}`).toBe(true)
    }
    expect(new Set(captured.map(({ table }) => table))).toEqual(new Set(Object.keys(AGAIN)))
  })

  it('that is damaged is refused, naming the table, or read', () => {
    const anyTable = fc.constantFrom(...captured)
    const change = fc.record({ at: fc.nat(4095), value: fc.integer({ min: 0, max: 255 }) })
    fc.assert(
      fc.property(
        anyTable,
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.nat(4095),
        ({ table, path }, changes, cut) => {
          const bytes = new Uint8Array(readFileSync(path))
          for (const { at, value } of changes) bytes[at % bytes.length] = value
          const damaged = bytes.subarray(0, cut % 4 === 0 ? cut % bytes.length : bytes.length)
          // A right checksum lets the damage through to what is behind it.
          if (damaged.length > 9)
            damaged[9] = (damaged[9]! - damaged.reduce((sum, byte) => sum + byte, 0)) & 0xff
          try {
            AGAIN[table]!(damaged)
          } catch (error) {
            if (!(error instanceof NorthbridgeError)) throw error
            expect(error.code).toBe('malformedInput')
            expect(error.message).toContain(table)
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})

describeWith('iasl', 'The tables of a powered-on machine', () => {
  const scratch = scratchFolder()

  it.each(['rmrr', 'pxb-numa', 'pxb-bypass', 'ats', 'large-mix'])(
    '%s are disassembled without a warning',
    name => {
      const folder = join(scratch, name)
      const files = exportMachine('acpi', bootedCapture(name))
      writeFiles(folder, files)
      const signatures = files.map(({ path }) => path.replace('.bin', ''))
      expect(signatures).toEqual(expect.arrayContaining(['DMAR', 'MCFG', 'APIC']))
      for (const { path } of files) {
        const { status, stderr, stdout } = run('iasl', ['-d', join(folder, path)])
        expect(status, path).toBe(0)
        expect(`${stdout}${stderr}`).not.toMatch(/warning|error|invalid|unknown|mismatch/i)
        const text = readFileSync(join(folder, path.replace('.bin', '.dsl')), 'latin1')
        expect(text).not.toMatch(/\*\*\*|Unknown|Invalid|Incorrect/)
      }
    },
  )
})
