import { beforeEach, describe, expect, it } from 'vitest'
import { openInstallation } from '../../src/durability/index.ts'
import { runPoint } from '../../src/experiments/index.ts'
import { type ExperimentJob, installation, type LaunchExperiment, now } from '../../src/operations/index.ts'
import { type Commit, MemoryStore } from '../../src/store/index.ts'
import { opened, run, runNow } from './installations.ts'

const DOCUMENT = {
  title: 'Three sizes',
  configuration: { warmUp: 0, duration: 5000, workload: { kind: 'dma' } },
  axes: [{ name: 'size', field: '/workload/bytes', values: [64, 128, 256] }],
  expect: [{ say: 'Larger is faster', metric: 'throughput', along: 'size', goes: 'up' }],
}
const ID = 'experiment-0001'
const one = { experiment: ID }

/** Who simulates when it is told to. */
class ByHand {
  readonly jobs: ExperimentJob[] = []
  readonly simulated: number[] = []
  readonly launch: LaunchExperiment = job =>
    now(() => {
      this.jobs.push(job)
    })

  point(index: number): void {
    const job = this.jobs.at(-1)!
    this.simulated.push(index)
    job.complete(index, runPoint(job.plan.points[index]!.configuration))
  }
}

class Watched extends MemoryStore {
  readonly commits: Commit[] = []
  version: string | undefined

  override commit(commit: Commit): Promise<void> {
    this.commits.push(commit)
    const documents = (commit.documents ?? []).map(({ value, ...document }) => ({
      ...document,
      // As it comes back from a disk, and as another version would have written it.
      value:
        value === undefined
          ? undefined
          : { ...JSON.parse(JSON.stringify(value)), ...(this.version && { version: this.version }) },
    }))
    return super.commit({ ...commit, documents })
  }
}

let store: Watched
let hands: ByHand
const open = async () => {
  hands = new ByHand()
  return openInstallation(installation({ launch: hands.launch }), store)
}
beforeEach(() => {
  store = new Watched()
})

describe('an experiment of an installation that is opened again', () => {
  it('has its result, the same as if nothing had happened', async () => {
    const undisturbed = await opened(new MemoryStore())
    await run(undisturbed.journal, 'createExperiment', { document: DOCUMENT })
    const expected = runNow(undisturbed.journal, 'experimentResult', one)

    const first = await open()
    await run(first.journal, 'createExperiment', { document: DOCUMENT })
    hands.point(1)
    const second = await open()
    expect(runNow(second.journal, 'experiment', one)).toMatchObject({ state: 'running', done: 1, points: 3 })
    expect(hands.jobs[0]!.missing()).toEqual([0, 2])
    hands.point(2)
    hands.point(0)
    const third = await open()
    expect(hands.jobs).toEqual([])
    expect(runNow(third.journal, 'experiment', one)).toMatchObject({ state: 'done', passed: true })
    expect(runNow(third.journal, 'experimentResult', one)).toEqual(JSON.parse(JSON.stringify(expected)))
  })

  it('is durable in the commit of the command that has begun it', async () => {
    const { journal } = await open()
    await run(journal, 'createExperiment', { document: DOCUMENT })
    expect(store.commits.map(({ documents = [] }) => documents.map(({ kind, key }) => [kind, key]))).toEqual([
      [['experiment', ID]],
    ])
  })

  it('takes a point that two have simulated once', async () => {
    const { journal } = await open()
    await run(journal, 'createExperiment', { document: DOCUMENT })
    hands.point(0)
    hands.point(0)
    expect(runNow(journal, 'experiment', one).done).toBe(1)
    expect(store.commits.length).toBe(2)
  })

  it('stays cancelled', async () => {
    const { journal } = await open()
    await run(journal, 'createExperiment', { document: DOCUMENT })
    hands.point(0)
    await run(journal, 'cancelExperiment', one)
    const after = await open()
    expect(runNow(after.journal, 'experiment', one)).toMatchObject({ state: 'cancelled', done: 1 })
    expect(hands.jobs).toEqual([])
    expect(() => runNow(after.journal, 'experimentResult', one)).toThrow('was cancelled after 1 of 3 points')
  })

  it('has failed with the same error', async () => {
    const { journal } = await open()
    await run(journal, 'createExperiment', { document: DOCUMENT })
    hands.jobs[0]!.fail(new Error('the machine was switched off'))
    const after = await open()
    expect(runNow(after.journal, 'experiment', one)).toMatchObject({
      state: 'failed',
      error: { code: 'defect', message: 'the machine was switched off' },
    })
  })

  it('is gone when it was deleted, with everything of it', async () => {
    const { journal } = await open()
    await run(journal, 'createExperiment', { document: DOCUMENT })
    hands.point(0)
    const [job] = hands.jobs
    await run(journal, 'deleteExperiment', one)
    job!.complete(1, runPoint(job!.plan.points[1]!.configuration))
    for (const kind of ['experiment', 'experimentPoint', 'experimentResult']) {
      expect(store.documents(kind)).toEqual([])
    }
    expect(runNow((await open()).journal, 'experiments', {})).toEqual([])
  })

  it('names the topology of then', async () => {
    const { journal } = await open()
    const topology = runNow(journal, 'topology', { name: 'one-socket-82576' }) as object
    await run(journal, 'createTopology', { document: { ...topology, name: 'mine' } })
    await run(journal, 'createExperiment', { document: { ...DOCUMENT, topology: 'mine' } })
    await run(journal, 'deleteTopology', { name: 'mine' })
    await open()
    expect(hands.jobs[0]!.missing()).toEqual([0, 1, 2])
  })

  it('begins anew when another version has simulated a part of it', async () => {
    store.version = '0.0.1'
    const { journal } = await open()
    await run(journal, 'createExperiment', { document: DOCUMENT })
    hands.point(0)
    store.version = undefined
    await open()
    expect(hands.jobs[0]!.missing()).toEqual([0, 1, 2])
    expect(store.documents('experimentPoint')).toEqual([])
    hands.point(2)
    await open()
    expect(hands.jobs[0]!.missing()).toEqual([0, 1])
  })
})
