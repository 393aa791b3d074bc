import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { describe, expect, it } from 'vitest'
import { barChart, lineChart, shortNumber } from '../../src/charts/index.ts'

const texts = (svg: string): string[] =>
  [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!)
const element = (svg: string): Record<string, unknown> =>
  new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '' }).parse(svg).svg

const chart = (x: 'linear' | 'log', points: readonly (readonly [number, number])[]) =>
  lineChart({
    title: 'Throughput',
    x: { label: 'window', scale: x },
    y: { label: 'Gb/s' },
    series: [{ name: 'reads', points }],
  })

describe('a line chart', () => {
  it('is well-formed SVG with a description for those who cannot see it', () => {
    const svg = chart('linear', [
      [1, 2],
      [2, 5],
    ])
    expect(XMLValidator.validate(svg)).toBe(true)
    expect(element(svg)).toMatchObject({ role: 'img', 'aria-label': 'Throughput: Gb/s over window' })
  })

  it('marks its axes at round numbers from zero to above the largest value', () => {
    const svg = chart('linear', [
      [1, 3],
      [8, 9.4],
    ])
    expect(texts(svg)).toEqual(expect.arrayContaining(['0', '2', '4', '6', '8', '10']))
  })

  it('marks sizes that double by powers of two', () => {
    const svg = chart('log', [
      [4096, 1],
      [1 << 20, 2],
    ])
    expect(texts(svg)).toEqual(expect.arrayContaining(['4Ki', '64Ki', '1Mi']))
  })

  it('marks other numbers on a logarithmic axis by powers of ten', () => {
    const svg = chart('log', [
      [3, 1],
      [7000, 2],
    ])
    expect(texts(svg)).toEqual(expect.arrayContaining(['10', '100', '1000']))
  })

  it('marks fewer than three decades at 2 and 5 as well', () => {
    const svg = chart('log', [
      [3, 1],
      [70, 2],
    ])
    expect(texts(svg)).toEqual(expect.arrayContaining(['5', '10', '20', '50']))
  })

  it('draws larger values higher', () => {
    const svg = chart('linear', [
      [0, 1],
      [1, 9],
    ])
    const [, low, high] = /d="M[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)"/.exec(svg)!
    expect(Number(high)).toBeLessThan(Number(low))
  })

  it('tells the value of each mark to who points at it', () => {
    expect(chart('linear', [[3, 12_500]])).toContain('<title>reads: 12.5k at 3</title>')
  })

  it('cannot be broken by names that look like markup', () => {
    const series = [{ name: '</svg><script>&"', points: [[1, 1]] as const }]
    const svg = lineChart({ title: '<b>', x: { label: '&' }, y: { label: '"' }, series })
    expect(XMLValidator.validate(svg)).toBe(true)
    expect(svg).not.toContain('<script')
  })

  it('draws measurements as marks without a line', () => {
    const points = [
      [1, 1],
      [2, 2],
    ] as const
    const svg = lineChart({
      title: 't',
      x: { label: 'x' },
      y: { label: 'y' },
      series: [
        { name: 'model', points, drawn: 'line', colour: 0 },
        { name: 'measured', points, drawn: 'marks', colour: 0 },
      ],
    })
    expect(svg.match(/fill="none"/g)).toHaveLength(1)
    expect(svg.match(/<title>measured/g)).toHaveLength(2)
    expect(svg).not.toContain('<title>model')
  })
})

describe('a bar chart', () => {
  const svg = barChart({
    title: 'Time',
    y: { label: 'µs' },
    parts: ['copy', 'exit'],
    bars: [
      { label: 'emulated', values: [3, 1] },
      { label: 'VF', values: [0, 0.5] },
    ],
  })

  it('stacks the parts of each bar without gaps', () => {
    const rects = [...svg.matchAll(/y="([\d.]+)" width="64" height="([\d.]+)"/g)].map(([, y, h]) => [
      +y!,
      +h!,
    ])
    expect(rects).toHaveLength(3)
    const [copy, exit] = rects as [[number, number], [number, number]]
    expect(exit[0] + exit[1]).toBeCloseTo(copy[0], 0)
    expect(copy[1] / exit[1]).toBeCloseTo(3, 1)
  })

  it('names parts and bars', () => {
    expect(texts(svg)).toEqual(expect.arrayContaining(['copy', 'exit', 'emulated', 'VF']))
    expect(XMLValidator.validate(svg)).toBe(true)
  })

  it('writes labels aslant where they would run into each other', () => {
    const bars = Array.from({ length: 20 }, (_, i) => ({
      label: `paravirtual, 16 machines, run ${i}`,
      values: [i],
    }))
    expect(barChart({ title: 't', y: { label: 'y' }, parts: ['p'], bars })).toContain('rotate(-35)')
    expect(svg).not.toContain('rotate(-35)')
  })
})

describe('a short number', () => {
  it.each([
    [0, '0'],
    [0.12345, '0.123'],
    [9.996, '10'],
    [1234.4, '1234'],
    [12_345, '12.3k'],
    [999_999, '1M'],
    [-2_500_000, '-2.5M'],
    [7.2e12, '7.2T'],
  ])('writes %d as %s', (value, text) => expect(shortNumber(value)).toBe(text))
})
