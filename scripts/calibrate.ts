/**
 * Fits the free parameters of costs/ to published measurements and writes down what came out: the cost files, the generated
 * part of docs/calibration.md and its plots. `npm run calibrate [-- FILE]`
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CostBook,
  calibrate,
  checkIndependent,
  factorsOf,
  independentReport,
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
/** Measurements that are predicted only. */
const INDEPENDENT = 'test/data/figures/independent.json'

const file = process.argv[2] ?? FIGURES.map(name => join(TOP, name)).find(existsSync)
if (file === undefined) throw new Error(`there is none of ${FIGURES.join(', ')}`)

const book = shippedCostBook()
const calibration = calibrate(parseRecords(JSON.parse(readFileSync(file, 'utf8'))), book)
writeCosts(book, calibration.values)
writeReport('npm run calibrate', reportOf(calibration))
for (const { name, svg } of plotsOf(calibration.fitted)) {
  writeFileSync(join(TOP, 'docs', 'calibration', `${name}.svg`), `${svg}\n`)
}
// With the costs that were just written.
const checked = checkIndependent(
  parseRecords(JSON.parse(readFileSync(join(TOP, INDEPENDENT), 'utf8'))),
  shippedCostBook(),
)
writeReport('independent measurements', independentReport(checked))
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
for (const kind of ['fitted', 'leftOut', 'unfitted'] as const) {
  const { median, ninetieth } = summaryOf(calibration[kind])
  console.log(`${kind}: median ${percent(median)}, 90th percentile ${percent(ninetieth)}`)
}

const { median, ninetieth } = factorsOf(checked)
console.log(`independent: median factor ${median.toFixed(2)}, 90th percentile ${ninetieth.toFixed(2)}`)

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

/** Between two marks of the page. */
function writeReport(mark: string, report: string): void {
  const path = join(TOP, 'docs', 'calibration.md')
  const [begin, end] = [`<!-- begin: ${mark} -->`, `<!-- end: ${mark} -->`]
  const text = readFileSync(path, 'utf8')
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`${path} has no place for "${mark}"`)
  writeFileSync(path, `${before}${begin}\n\n${report}\n${end}${after}`)
}
