/**
 * Fits the free parameters of costs/ to published measurements and writes down what came out: the cost files, the generated
 * part of docs/calibration.md and its plots. `npm run calibrate [-- FILE]`
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CostBook,
  calibrate,
  keyOf,
  parseRecords,
  plotsOf,
  reportOf,
  shippedCostBook,
  summaryOf,
} from '../src/prediction/index.ts'

const TOP = join(import.meta.dirname, '..')
/** The records, beside the project or as its tests keep them. */
const FIGURES = ['../shared/figures/calibrate.json', 'test/data/figures/calibrate.json']
const BEGIN = '<!-- begin: npm run calibrate -->'
const END = '<!-- end: npm run calibrate -->'

const file = process.argv[2] ?? FIGURES.map(name => join(TOP, name)).find(existsSync)
if (file === undefined) throw new Error(`there is none of ${FIGURES.join(', ')}`)

const book = shippedCostBook()
const calibration = calibrate(parseRecords(JSON.parse(readFileSync(file, 'utf8'))), book)
writeCosts(book, calibration.values)
writeReport(reportOf(calibration))
for (const { name, svg } of plotsOf(calibration.fitted)) {
  writeFileSync(join(TOP, 'docs', 'calibration', `${name}.svg`), `${svg}\n`)
}
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
for (const kind of ['fitted', 'leftOut', 'unfitted'] as const) {
  const { median, ninetieth } = summaryOf(calibration[kind])
  console.log(`${kind}: median ${percent(median)}, 90th percentile ${percent(ninetieth)}`)
}

/** New values in their places; everything else stays, line by line. */
function writeCosts(costs: CostBook, values: ReadonlyMap<string, number>): void {
  for (const {
    shelf,
    file: { name, parameters },
  } of costs.files) {
    const path = join(TOP, 'costs', shelf, `${name}.json`)
    let text = readFileSync(path, 'utf8')
    for (const parameter of Object.keys(parameters)) {
      const value = values.get(keyOf(shelf, name, parameter))
      if (value === undefined) continue
      text = text.replace(new RegExp(`("${parameter}": \\{\\s*"value": )[^,]+`), `$1${value}`)
    }
    writeFileSync(path, text)
  }
}

function writeReport(report: string): void {
  const path = join(TOP, 'docs', 'calibration.md')
  const text = readFileSync(path, 'utf8')
  const [before, rest] = text.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`${path} has no place for the report`)
  writeFileSync(path, `${before}${BEGIN}\n\n${report}\n${END}${after}`)
}
