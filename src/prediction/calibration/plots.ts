/** Curves of the model beside the published points. */
import { type LineSeries, lineChart, type ScaleKind } from '../../charts/index.ts'
import { isModelled } from '../prediction.ts'
import type { SeriesErrors } from './score.ts'

export interface Plot {
  /** Of the file, without its ending. */
  readonly name: string
  readonly svg: string
}

interface Subject {
  readonly name: string
  readonly title: string
  readonly series: RegExp
  /** What tells the curves apart: the part of the name of a series that this matches. */
  readonly label: RegExp
  readonly x: { readonly label: string; readonly scale: ScaleKind }
  readonly y: { readonly label: string; readonly scale: ScaleKind }
}

const BANDWIDTH = { label: 'Gb/s', scale: 'linear' } as const
const WINDOW = { label: 'window, bytes', scale: 'log' } as const
const SIZE = { label: 'transfer, bytes', scale: 'log' } as const

const SUBJECTS: readonly Subject[] = [
  {
    name: 'window-reads',
    title: 'Reads of a device over a window, with 4-KiB pages and without translation (Broadwell)',
    series: /^pcieb-bwwin-BDW-rd\d+-(?:iommu-nosp|off)$/,
    label: /rd.*/,
    x: WINDOW,
    y: BANDWIDTH,
  },
  {
    name: 'window-writes',
    title: 'Writes of a device over a window, with 4-KiB pages and without translation (Broadwell)',
    series: /^pcieb-bwwin-BDW-wr\d+-(?:iommu-nosp|off)$/,
    label: /wr.*/,
    x: WINDOW,
    y: BANDWIDTH,
  },
  {
    name: 'window-hosts',
    title: 'Reads of 64 bytes over a window: hosts, with 4-KiB pages and with superpages',
    series: /^pcieb-bwwin-(?:IB|HSW)-rd64-iommu/,
    label: /(?:IB|HSW).*/,
    x: WINDOW,
    y: BANDWIDTH,
  },
  {
    name: 'window-latency',
    title: 'Latency of a read of 64 bytes over a window',
    series: /^pcieb-latwin-(?:BDW|HSW|IB)-/,
    label: /(?:BDW|HSW|IB)-.*/,
    x: WINDOW,
    y: { label: 'ns', scale: 'linear' },
  },
  {
    name: 'transfer-size',
    title: 'Bandwidth by size of the transfer (Broadwell)',
    series: /^pcieb-bwsize-BDW-(?:rd|wr)$/,
    label: /(?:rd|wr)$/,
    x: SIZE,
    y: BANDWIDTH,
  },
  {
    name: 'strict-by-processors',
    title: 'Map and unmap with strict invalidation: rate of each processor',
    series: /^smmu-mapunmap-/,
    label: /v\d-.*/,
    x: { label: 'processors', scale: 'log' },
    y: { label: '1/s', scale: 'log' },
  },
]

function curves({ name, points }: SeriesErrors, label: RegExp, colour: number): LineSeries[] {
  const own = label.exec(name)?.[0] ?? name
  const at = (place: unknown): number => Number(place)
  const measured = points.map(({ record }): [number, number] => [at(record.x?.value), record.value])
  const modelled = points.flatMap(({ record, prediction }): [number, number][] =>
    isModelled(prediction) ? [[at(record.x?.value), prediction.value]] : [],
  )
  return [
    { name: own, points: modelled, drawn: 'line', colour },
    { name: `${own}, measured`, points: measured, drawn: 'marks', colour },
  ]
}

export const plotsOf = (series: readonly SeriesErrors[]): readonly Plot[] =>
  SUBJECTS.flatMap(({ name, title, series: wanted, label, x, y }) => {
    const found = series.filter(each => wanted.test(each.name))
    if (found.length === 0) return []
    return [
      { name, svg: lineChart({ title, x, y, series: found.flatMap((each, i) => curves(each, label, i)) }) },
    ]
  })
