/**
 * A thread that sends requests over a number of connections, on each one after the other: as plain a client as there can be, so
 * that the server and not its client is measured.
 */
import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

export interface LoadRequest {
  readonly method: string
  readonly path: string
  readonly body?: string
}

export interface LoadOrder {
  readonly port: number
  /** Of each connection: sent one after the other, again and again. */
  readonly connections: readonly (readonly LoadRequest[])[]
  readonly seconds: number
}

export interface LoadResult {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Answers that were no success. */
  readonly failed: number
}

const bytesOf = ({ method, path, body = '' }: LoadRequest): Buffer => {
  const head = [`${method} ${path} HTTP/1.1`, 'host: 127.0.0.1', 'accept: application/json']
  if (body !== '') head.push('content-type: application/json')
  if (method !== 'GET') head.push(`content-length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** One after the other until it is told to end. */
class Connection {
  readonly #socket: Socket
  readonly #requests: readonly Buffer[]
  readonly #milliseconds: number[]
  #text = ''
  #next = 0
  #sentAt = 0
  failed = 0
  over = false

  constructor(port: number, requests: readonly LoadRequest[], milliseconds: number[]) {
    this.#requests = requests.map(bytesOf)
    this.#milliseconds = milliseconds
    this.#socket = connect(port, '127.0.0.1', () => this.#send())
    this.#socket.setNoDelay(true)
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text: string) => this.#read(text))
  }

  #send(): void {
    this.#sentAt = performance.now()
    this.#socket.write(this.#requests[this.#next++ % this.#requests.length]!)
  }

  #read(text: string): void {
    this.#text += text
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#text.slice(0, end)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#text.length < end + 4 + length) return
    this.#text = ''
    this.#milliseconds.push(performance.now() - this.#sentAt)
    if (!/^HTTP\/1\.1 2/.test(head)) this.failed++
    if (this.over) this.#socket.destroy()
    else this.#send()
  }
}

async function run({ port, connections, seconds }: LoadOrder): Promise<LoadResult> {
  const milliseconds: number[] = []
  const open = connections.map(requests => new Connection(port, requests, milliseconds))
  await new Promise(resolve => setTimeout(resolve, 300))
  milliseconds.length = 0
  for (const connection of open) connection.failed = 0
  const begin = performance.now()
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const passed = (performance.now() - begin) / 1000
  const sorted = Float64Array.from(milliseconds).sort()
  const failed = open.reduce((sum, connection) => sum + connection.failed, 0)
  for (const connection of open) connection.over = true
  await new Promise(resolve => setTimeout(resolve, 200))
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { perSecond: sorted.length / passed, p50Ms: at(0.5), p99Ms: at(0.99), failed }
}

if (parentPort !== null) parentPort.postMessage(await run(workerData as LoadOrder))
