export { type Calibration, calibrate, type Summary, summaryOf } from './calibration/calibrate.ts'
export { checkIndependent, factorsOf, independentReport } from './calibration/independent.ts'
export { type Plot, plotsOf } from './calibration/plots.ts'
export { reportOf } from './calibration/report.ts'
export { CostBook, type FreeParameter, keyOf, SHELVES, shippedCostBook } from './cost-book.ts'
export { METRICS as PREDICTED_METRICS } from './metrics.ts'
export { type Answer, predict } from './predict.ts'
export {
  type Breakdown as PredictionBreakdown,
  isModelled,
  type Modelled,
  type Part as PredictionPart,
  type Prediction,
} from './prediction.ts'
export { type FigureRecord, isMeasurement, parseRecords } from './record.ts'
