/** The remapping unit of a guest, driven from inside its virtual machine by programs recorded from another unit. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  type ParsedProgram,
  parseVectors,
  readText,
  replayInsideVm,
  reportOf,
  tellReport,
  type Verdict,
} from '../../src/conformance/index.ts'

const FOLDER = fileURLToPath(new URL('../data/conformance/vtd', import.meta.url))
const FILES = readdirSync(FOLDER).filter(name => name.endsWith('.gz'))

/** Of each file the shortest; `PROGRAMS=100` takes all. */
const PROGRAMS = Number(process.env['PROGRAMS'] ?? 1)

const stepsOf = (parsed: ParsedProgram): number => ('program' in parsed ? parsed.program.steps.length : 0)

const PROGRAMS_OF = new Map(
  FILES.map(file => {
    const programs = parseVectors(readText(join(FOLDER, file)), file)
    return [file, programs.sort((a, b) => stepsOf(a) - stepsOf(b)).slice(0, PROGRAMS)] as const
  }),
)

describe('programs recorded from another remapping unit, in a guest', () => {
  // One platform serves many programs.
  const verdicts = new Map<string, Verdict>()
  beforeAll(() => {
    const programs = [...PROGRAMS_OF.values()].flat()
    for (const verdict of replayInsideVm(programs)) verdicts.set(verdict.id, verdict)
  }, 600_000)

  it.each(FILES)('%s: its unit does what is recorded or specified', file => {
    const programs = PROGRAMS_OF.get(file)!
    const report = reportOf(programs.map(({ id }) => verdicts.get(id)!))
    expect(tellReport(report)).toBe(`${programs.length} passed, 0 failed`)
  })

  it('fail where a guest is not answered as recorded', () => {
    const [parsed] = parseVectors(readText(join(FOLDER, 'legacy-basic.jsonl.gz')), 'legacy-basic')
    if (parsed === undefined || !('program' in parsed)) throw new Error('the first program is one')
    const { program } = parsed
    const steps = program.steps.map(step =>
      step.op === 'dma' && step.expect.outcome === 'ok'
        ? {
            ...step,
            expect: { ...step.expect, parts: step.expect.parts.map(part => ({ ...part, pa: '0x5000' })) },
          }
        : step,
    )
    const [verdict] = replayInsideVm([{ id: parsed.id, program: { ...program, steps } }])
    expect(verdict).toMatchObject({ failures: 1 })
    expect(verdict!.failure!.expected).toContain('0x5000')
  })
})
