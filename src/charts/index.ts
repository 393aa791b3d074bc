export { type Bar, type BarChart, barChart } from './bar-chart.ts'
export { type ChartAxis, type LineChart, type LineSeries, lineChart } from './line-chart.ts'
export { type ScaleKind, shortNumber } from './scale.ts'
export { escapeMarkup } from './svg.ts'
