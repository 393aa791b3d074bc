/** A document that was judged: which points there are, and the configuration of each. */
import { type Issue, invalidDocument, NorthbridgeError, parseDocument } from '../../core/index.ts'
import { parseTopology, type Topology } from '../../platform/index.ts'
import { type Configuration, type MetricName, parseConfiguration } from '../../timing/index.ts'
import { type Axis, axisOf, type Labels, pointsOf, tellLabels } from './axes.ts'
import { type Place, type Sweep, sweepSchema } from './document.ts'
import { machineSettings } from './machine.ts'
import { over } from './settings.ts'

export interface PlannedPoint {
  readonly at: Labels
  readonly configuration: Configuration
}

export interface SweepPlan {
  readonly document: Sweep
  readonly axes: readonly Axis[]
  readonly metrics: readonly MetricName[]
  readonly points: readonly PlannedPoint[]
}

/** What people ask first of each kind of work. */
const USUAL_METRICS: Readonly<Record<Configuration['workload']['kind'], readonly MetricName[]>> = {
  network: ['throughput', 'latencyP50', 'processors', 'exits'],
  storage: ['operationsPerSecond', 'latencyP50', 'latencyP99', 'processors', 'exits'],
  dma: ['throughput', 'latencyMean', 'iotlbMisses'],
  mapping: ['operationsPerSecond', 'mapTime', 'unmapTime', 'invalidationTime'],
}

const has = (document: unknown, field: string): boolean =>
  typeof document === 'object' && document !== null && Object.hasOwn(document, field)

/** Whether a document is a sweep; {@link isStory} is told in steps instead. */
export const isSweep = (document: unknown): boolean => has(document, 'configuration')
export const isStory = (document: unknown): boolean => has(document, 'steps')

/**
 * Judges a document and every point of it before anything is simulated. `topologyNamed` finds the topology that the
 * document names. Throws `invalidDocument` with the field that is wrong.
 */
export function planSweep(document: unknown, topologyNamed: (name: string) => Topology): SweepPlan {
  const sweep = parseDocument(sweepSchema, document, 'experiment')
  const { topology } = sweep
  const machine =
    topology === undefined
      ? {}
      : machineSettings(
          typeof topology === 'string' ? topologyNamed(topology) : parseTopology(topology),
          sweep.adapter,
          sweep.configuration,
        )
  const common = over({ seed: sweep.seed }, over(sweep.configuration, machine))
  const axes = sweep.axes.map(axisOf)
  const points = pointsOf(axes).map(({ at, settings }) => ({
    at,
    configuration: configurationOf(over(settings, common), at),
  }))
  judgePlaces(sweep, axes)
  const metrics = sweep.metrics ?? USUAL_METRICS[points[0]!.configuration.workload.kind]
  return { document: sweep, axes, metrics, points }
}

function configurationOf(settings: object, at: Labels): Configuration {
  try {
    return parseConfiguration(settings)
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    const issues = (error.details.issues ?? []).map(({ path, message }) => ({
      path: `/configuration${path}`,
      message: `${message} (at ${tellLabels(at)})`,
    }))
    throw invalidDocument('experiment', issues)
  }
}

/** Axes and values that expectations and plots speak of must be there: one that selects nothing would judge nothing. */
function judgePlaces({ expect, plots = [] }: Sweep, axes: readonly Axis[]): void {
  const named = new Map(axes.map(axis => [axis.name, axis]))
  const known = axes.map(({ name }) => name).join(', ') || 'none'
  const issues: Issue[] = []
  const axisAt = (path: string, name: string): Axis | undefined => {
    const axis = named.get(name)
    if (axis === undefined) issues.push({ path, message: `there is no axis "${name}"; there are ${known}` })
    return axis
  }
  const place = (path: string, where: Place): void => {
    for (const [name, wanted] of Object.entries(where)) {
      const labels = axisAt(`${path}/${name}`, name)?.values.map(({ label }) => label)
      const missing = [wanted].flat().find(value => labels && !labels.includes(String(value)))
      if (missing !== undefined)
        issues.push({
          path: `${path}/${name}`,
          message: `"${missing}" is no value of it: ${labels!.join(', ')}`,
        })
    }
  }
  expect.forEach(({ where, over: ratio, along }, i) => {
    place(`/expect/${i}/where`, where)
    place(`/expect/${i}/over`, ratio ?? {})
    if (along !== undefined) axisAt(`/expect/${i}/along`, along)
  })
  plots.forEach(({ where, along }, i) => {
    place(`/plots/${i}/where`, where)
    axisAt(`/plots/${i}/along`, along)
  })
  if (issues.length > 0) throw invalidDocument('experiment', issues)
}
