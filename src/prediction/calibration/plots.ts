/** Curves of the model beside the published points. */
import { type LineSeries, lineChart, type ScaleKind } from '../../charts/index.ts'
import { isModelled } from '../prediction.ts'
import type { Compared, SeriesErrors } from './score.ts'

export interface Plot {
  /** Of the file, without its ending. */
  readonly name: string
  readonly svg: string
}

interface Subject {
  readonly name: string
  readonly title: string
  readonly series: RegExp
  readonly x: { readonly label: string; readonly scale: ScaleKind }
  readonly y: { readonly label: string; readonly scale: ScaleKind }
}

const BANDWIDTH = { label: 'Gb/s', scale: 'linear' } as const
const WINDOW = { label: 'window, bytes', scale: 'log' } as const
const SIZE = { label: 'transfer, bytes', scale: 'log' } as const

const SUBJECTS: readonly Subject[] = [
  {
    name: 'window-reads',
    title: 'Reads of a device over a window (Broadwell)',
    series: /^pcieb-bwwin-BDW-rd\d+-(?:iommu-nosp|off)$/,
    x: WINDOW,
    y: BANDWIDTH,
  },
  {
    name: 'window-writes',
    title: 'Writes of a device over a window (Broadwell)',
    series: /^pcieb-bwwin-BDW-wr\d+-(?:iommu-nosp|off)$/,
    x: WINDOW,
    y: BANDWIDTH,
  },
  {
    name: 'window-hosts',
    title: 'Reads of 64 bytes over a window, hosts and pages',
    series: /^pcieb-bwwin-(?:IB|HSW)-rd64-iommu/,
    x: WINDOW,
    y: BANDWIDTH,
  },
  {
    name: 'window-latency',
    title: 'Latency of a read of 64 bytes over a window',
    series: /^pcieb-latwin-(?:BDW|HSW|IB)-HWarm-/,
    x: WINDOW,
    y: { label: 'ns', scale: 'linear' },
  },
  {
    name: 'transfer-size',
    title: 'Bandwidth by size of the transfer (Broadwell)',
    series: /^pcieb-bwsize-BDW-(?:rd|wr)$/,
    x: SIZE,
    y: BANDWIDTH,
  },
  {
    name: 'strict-by-processors',
    title: 'Map and unmap with strict invalidation: rate of each processor',
    series: /^smmu-mapunmap-/,
    x: { label: 'processors', scale: 'log' },
    y: { label: '1/s', scale: 'log' },
  },
]

/** Parts of the names of series, and what they mean. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/^pcieb-(?:bwwin|latwin|bwsize)-/, ''],
  [/^smmu-mapunmap-/, 'patch '],
  [/^BDW-(?=rd|wr)/, ''],
  [/-HWarm|-Cold/, ''],
  [/\b(?:rd|wr)(\d+)/, '$1 B'],
  [/\brd$/, 'reads'],
  [/\bwr$/, 'writes'],
  [/BDW/, 'Broadwell'],
  [/HSW2/, 'Haswell (2)'],
  [/HSW/, 'Haswell'],
  [/IB/, 'Ivy Bridge'],
  [/-iommu-nosp$/, ', 4-KiB pages'],
  [/-iommu$/, ', superpages'],
  [/-off$/, ', no translation'],
  [/-(before|after)$/, ', $1'],
]

const labelOf = (name: string): string =>
  MEANINGS.reduce((label, [word, meaning]) => label.replace(word, meaning), name).replaceAll('-', ' ')

function curves({ name, points }: SeriesErrors, colour: number): LineSeries[] {
  const label = labelOf(name)
  const place = ({ record }: Compared): number => Number(record.x?.value)
  const measured = points.map((point): [number, number] => [place(point), point.record.value])
  const modelled = points.flatMap((point): [number, number][] =>
    isModelled(point.prediction) ? [[place(point), point.prediction.value]] : [],
  )
  return [
    { name: label, points: modelled, drawn: 'line', colour },
    { name: `${label}, measured`, points: measured, drawn: 'marks', colour },
  ]
}

export const plotsOf = (series: readonly SeriesErrors[]): readonly Plot[] =>
  SUBJECTS.flatMap(({ name, title, series: wanted, x, y }) => {
    const found = series.filter(each => wanted.test(each.name))
    if (found.length === 0) return []
    return [{ name, svg: lineChart({ title, x, y, series: found.flatMap(curves) }) }]
  })
