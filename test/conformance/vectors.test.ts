import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseVectors, readText, replay, reportOf, tellReport } from '../../src/conformance/index.ts'
import { NO_QUIRKS, QEMU_11_1 } from '../../src/vtd/index.ts'

const FOLDER = fileURLToPath(new URL('../data/conformance/vtd', import.meta.url))
const FILES = readdirSync(FOLDER).filter(name => name.endsWith('.gz'))

const PROGRAMS = new Map(FILES.map(file => [file, parseVectors(readText(join(FOLDER, file)), file)]))

/** @param caches for a unit with all caches that hardware has: {}. */
const runOf = (file: string, quirks: typeof NO_QUIRKS, caches?: object) => {
  return reportOf(PROGRAMS.get(file)!.map(program => replay(program, quirks, caches)))
}

describe('programs recorded from another remapping unit', () => {
  it('come in every profile', () => {
    expect(FILES).toHaveLength(20)
  })

  it.each(FILES)('%s: a unit by the specification does what is recorded or specified', file => {
    const report = runOf(file, NO_QUIRKS, {})
    expect(tellReport(report)).toMatch(/^\d+ passed, 0 failed$/)
    expect(report.passed).toBeGreaterThanOrEqual(12)
  })

  it.each(FILES)('%s: a unit with the quirks of the recorded one does what is recorded', file => {
    expect(tellReport(runOf(file, QEMU_11_1))).toMatch(/^\d+ passed, 0 failed$/)
  })
})
