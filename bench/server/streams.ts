/** A thread with many readers of the events of one platform, some of whom read nothing. */
import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

export interface StreamOrder {
  readonly port: number
  readonly path: string
  readonly readers: number
  /** So many of them read nothing. */
  readonly slow: number
}

export interface StreamResult {
  /** From the last event until all who read had it. */
  readonly lastMs: number
  /** To other requests meanwhile. */
  readonly slowestAnswerMs: number
  /** Readers who did not get it in time. */
  readonly behind: number
}

interface Reader {
  readonly socket: Socket
  /** Identifier of the last event that came. */
  last: number
}

const MOST_MS = 60_000
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

function follow({ port, path }: StreamOrder, reads: boolean): Reader {
  const socket = connect(port, '127.0.0.1')
  const reader: Reader = { socket, last: 0 }
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n`)
  if (!reads) socket.pause()
  socket.setEncoding('latin1')
  if (reads) {
    socket.on('data', (text: string) => {
      const at = text.lastIndexOf('\nid: ')
      if (at >= 0) reader.last = Math.max(reader.last, Number.parseInt(text.slice(at + 5), 10))
    })
  }
  return reader
}

async function slowestAnswer(port: number, isOver: () => boolean): Promise<number> {
  let slowest = 0
  while (!isOver()) {
    const begin = performance.now()
    await (await fetch(`http://127.0.0.1:${port}/healthz`)).arrayBuffer()
    slowest = Math.max(slowest, performance.now() - begin)
    await pause(10)
  }
  return slowest
}

/** Says `ready`; is told the identifier of the last event, once it has happened. */
async function run(order: StreamOrder, lastEvent: Promise<number>): Promise<StreamResult> {
  const all = Array.from({ length: order.readers }, (_, i) => follow(order, i >= order.slow))
  await pause(500)
  parentPort!.postMessage('ready')
  let over = false
  const asking = slowestAnswer(order.port, () => over)
  const last = await lastEvent
  const begin = performance.now()
  const behind = (): number => all.slice(order.slow).filter(reader => reader.last < last).length
  while (behind() > 0 && performance.now() - begin < MOST_MS) await pause(2)
  const lastMs = performance.now() - begin
  over = true
  const result = { lastMs, slowestAnswerMs: await asking, behind: behind() }
  for (const { socket } of all) socket.destroy()
  return result
}

if (parentPort !== null) {
  const port = parentPort
  const last = new Promise<number>(resolve => port.once('message', resolve))
  port.postMessage(await run(workerData as StreamOrder, last))
}
