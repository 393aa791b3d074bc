import { XMLValidator } from 'fast-xml-parser'
import { describe, expect, it } from 'vitest'
import { parseSweepResult, sweepCsv, sweepReport, tellResult } from '../../../src/experiments/index.ts'
import type { Labels } from '../../../src/experiments/sweeps/axes.ts'
import { ENGINES, resultOf, SIZES } from './documents.ts'

const numbers = ({ size }: Labels) => ({
  metrics: { throughput: Number(size) / 100, latencyMean: 12_345 },
  latency: { 'copy, twice': 1000, '=SUM(A1)': 500 },
  bottleneck: 'wire',
})
const fields = { metrics: ['throughput', 'latencyMean'] }
const sweep = resultOf(numbers, fields)

describe('the table of a sweep', () => {
  const lines = tellResult(sweep).split('\n')

  it('has a column for each axis and metric, in units that suit them', () => {
    expect(lines[0]).toBe('engine  size  throughput Gb/s  latencyMean µs  bottleneck  next')
    expect(lines[1]).toBe('reads     64             0.64            12.3  wire 98 %   -')
    expect(lines.slice(1, 7).every(line => line.includes('wire 98 %'))).toBe(true)
  })

  it('is followed by what was expected and what was found', () => {
    const expected = { say: 'Larger is faster', metric: 'throughput', along: 'size', goes: 'up' }
    expect(tellResult(resultOf(numbers, { ...fields, expect: [expected] }))).toContain(
      '\n✓ Larger is faster\n    throughput along size',
    )
  })
})

describe('the CSV of a sweep', () => {
  const rows = sweepCsv(sweep).split('\r\n')

  it('has a row for each point, with plain units', () => {
    expect(rows).toHaveLength(1 + 6 + 1)
    expect(rows[0]).toMatch(/^engine,size,throughput \(Gb\/s\),latencyMean \(ns\),bottleneck,/)
    expect(rows[1]).toMatch(/^reads,64,0.64,12345,wire,0.98,,1000,500,/)
  })

  it('quotes what has a comma or a quote', () => {
    expect(rows[0]).toContain('"latency: copy, twice (ns)"')
  })

  it('has no cell that a spreadsheet takes for a formula', () => {
    const cases = {
      '=1+1': { '/workload/bytes': 64 },
      '-2': { '/workload/bytes': 65 },
      '@x': { '/workload/bytes': 66 },
    }
    const cells = sweepCsv(resultOf(() => ({ metrics: {} }), { axes: [{ name: 'x', cases }] }))
    expect(cells).toContain("\r\n'=1+1,")
    expect(cells).toContain('\r\n-2,')
    expect(cells).toContain("\r\n'@x,")
  })
})

describe('the report of a sweep', () => {
  const page = sweepReport(
    resultOf(numbers, {
      ...fields,
      title: 'Sizes <b>',
      about: 'One & two.\n\nThree.',
      expect: [{ say: 'x > 1', metric: 'throughput', atLeast: 9 }],
    }),
  )

  it('stands alone: no script, nothing to fetch, and a policy that allows neither', () => {
    expect(page).not.toMatch(/<script|<link|<img|@import|url\(|javascript:/i)
    expect([...page.matchAll(/https?:[^"<\s]+/g)].map(([url]) => url)).toEqual(
      expect.arrayContaining(['http://www.w3.org/2000/svg']),
    )
    expect(new Set([...page.matchAll(/(?:href|src)=/g)]).size).toBe(0)
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  it('escapes what the document says', () => {
    expect(page).toContain('<h1>Sizes &lt;b&gt;</h1>')
    expect(page).toContain('<p>One &amp; two.</p>\n<p>Three.</p>')
    expect(page).toContain('x &gt; 1')
  })

  it('says what failed', () => {
    expect(page).toContain('<b class="bad">✗</b>')
  })

  it('has well-formed charts: one for each metric and one for where the time goes', () => {
    const charts = page.match(/<svg[\s\S]*?<\/svg>/g)!
    expect(charts).toHaveLength(3)
    for (const chart of charts) expect(XMLValidator.validate(chart)).toBe(true)
  })

  it('has the table and the details of each point', () => {
    expect(page.match(/<details>/g)!.length).toBe(6 + 1)
    expect(page).toContain('<summary>engine reads, size 64</summary>')
    expect(page).toContain('66.7 %')
  })

  it('gives a curve the same colour in all charts', () => {
    const onlyWrites = (at: Labels) => ({
      metrics: { throughput: 1, ...(at['engine'] === 'writes' && { iotlbMisses: 2 }) },
    })
    const coloured = sweepReport(resultOf(onlyWrites, { metrics: ['throughput', 'iotlbMisses'] }))
    const inks = [...coloured.matchAll(/fill="(#[0-9a-f]{6})"><title>writes/g)].map(([, ink]) => ink)
    expect(inks.length).toBe(6)
    expect(new Set(inks).size).toBe(1)
  })

  it('shows bars where no axis has numbers, and plots that the document asks for', () => {
    const charts = (asked: object) =>
      sweepReport(resultOf(numbers, { metrics: ['throughput'], ...asked })).match(/<svg/g)!
    expect(charts({ axes: [ENGINES] })).toHaveLength(2)
    const plot = { metric: 'throughput', along: 'size', where: { engine: 'writes' } }
    expect(sweepReport(resultOf(numbers, { ...fields, plots: [plot] }))).toContain(
      '>throughput, engine writes<',
    )
  })
})

describe('a result that was written', () => {
  it('is read back as it was', () => {
    expect(parseSweepResult(JSON.parse(JSON.stringify(sweep)), 'r.json')).toEqual(sweep)
  })

  it.each([
    [{ ...sweep, format: 'x' }, 'r.json: /format: must be "northbridge-sweep-1"'],
    [{ ...sweep, points: [] }, 'r.json: /points'],
    [{ ...sweep, points: [{ at: {} }] }, 'r.json: /points/0/result'],
  ])('is refused if it is something else', (document, message) => {
    expect(() => parseSweepResult(JSON.parse(JSON.stringify(document)), 'r.json')).toThrow(message)
  })

  it('hides its axes from nobody', () => {
    expect(sweep.axes).toEqual([
      { name: 'engine', values: Object.keys(ENGINES.cases) },
      { name: 'size', values: SIZES.values.map(String) },
    ])
  })
})
