/** Sweeps from files: simulated with a progress bar, and written as JSON, CSV and a page. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { NorthbridgeError } from '../../core/index.ts'
import {
  planSweep,
  type SweepPlan,
  type SweepResult,
  sweepCsv,
  sweepReport,
  sweepResult,
  tellLabels,
} from '../../experiments/index.ts'
import { installation, readDocument } from '../../operations/index.ts'
import { parseTopology, type Topology } from '../../platform/index.ts'
import { defaultWorkers, pointRunner } from '../../workers/index.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'

/** Exit status of a program that SIGINT ended. */
const INTERRUPTED = 130
const MOST_WORKERS = 1024

/** Plans the sweep of a file; paths of topologies in it are relative to it, one given here to where we are. */
export function planFile(file: string, document: unknown, topology: string | undefined): SweepPlan {
  const base = topology === undefined ? dirname(resolve(file)) : process.cwd()
  const named = (name: string): Topology =>
    /[/\\]|\.(?:ya?ml|json)$/.test(name)
      ? parseTopology(readDocument(resolve(base, name)))
      : installation().topologies.get(name).topology
  return planSweep(topology === undefined ? document : { ...(document as object), topology }, named)
}

/** The result of a plan; `undefined` if the user ended it. */
export async function simulatePlan(
  plan: SweepPlan,
  workers: number,
  { progress = () => {}, interrupted, complain, exit }: CommandEnvironment,
): Promise<SweepResult | undefined> {
  const total = plan.points.length
  const runner = pointRunner(Math.min(workers, total))
  let done = 0
  progress(bar(0, total, ''))
  try {
    const results = await runner.run(plan.points, {
      onPoint: index => progress(bar(++done, total, tellLabels(plan.points[index]!.at))),
      ...(interrupted && { signal: interrupted }),
    })
    return sweepResult(plan, results)
  } catch (error) {
    if (!interrupted?.aborted) throw error
    complain(`northbridge: stopped after ${done} of ${total} points`)
    exit(INTERRUPTED)
    return undefined
  } finally {
    progress('')
    await runner.close()
  }
}

const WIDTH = 24

function bar(done: number, total: number, now: string): string {
  const full = Math.round((done / total) * WIDTH)
  return `${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${done}/${total} ${now}`.trimEnd()
}

/** Writes a result into a folder, and returns the paths. */
export function writeResult(result: SweepResult, file: string, folder: string): readonly string[] {
  mkdirSync(folder, { recursive: true })
  const name = basename(file, extname(file))
  const write = (ending: string, text: string): string => {
    const path = join(folder, `${name}.${ending}`)
    writeFileSync(path, text)
    return path
  }
  return [
    write('json', `${toJson(result)}\n`),
    write('csv', sweepCsv(result)),
    write('html', sweepReport(result)),
  ]
}

/** Number of workers that a text asks for, `least` or more. Throws `invalidArgument`. */
export function workersOf(text: string | undefined, least: 0 | 1 = 1): number {
  if (text === undefined) return defaultWorkers()
  const workers = Number(text)
  if (/^\d{1,4}$/.test(text) && workers >= least && workers <= MOST_WORKERS) return workers
  throw new NorthbridgeError(
    'invalidArgument',
    `--workers must be ${least} to ${MOST_WORKERS}, not "${text}"`,
  )
}
