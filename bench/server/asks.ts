/** A thread that asks now and then, and nothing else, how long an answer takes meanwhile. Its owner says when it is over. */
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

const PAUSE_MS = 5

export interface AskOrder {
  readonly url: string
}

export interface AskResult {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly slowestMs: number
}

async function ask({ url }: AskOrder, isOver: () => boolean): Promise<AskResult> {
  const milliseconds: number[] = []
  // The first takes what a client has to load.
  await (await fetch(url)).arrayBuffer()
  while (!isOver()) {
    const begin = performance.now()
    await (await fetch(url)).arrayBuffer()
    milliseconds.push(performance.now() - begin)
    await delay(PAUSE_MS)
  }
  milliseconds.sort((a, b) => a - b)
  const at = (share: number): number => milliseconds[Math.floor((milliseconds.length - 1) * share)] ?? 0
  return { p50Ms: at(0.5), p99Ms: at(0.99), slowestMs: at(1) }
}

if (parentPort !== null) {
  const port = parentPort
  let over = false
  port.once('message', () => {
    over = true
  })
  port.postMessage(await ask(workerData as AskOrder, () => over))
}
