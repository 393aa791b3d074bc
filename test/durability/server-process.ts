/** A server as a process of its own, which a test may kill. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export class ServerProcess {
  readonly url: string
  readonly #process: ChildProcess

  private constructor(url: string, process: ChildProcess) {
    this.url = url
    this.#process = process
  }

  /** Resolves once it answers; rejects if it has lost something, or cannot go on with something. */
  static async start(options: readonly string[]): Promise<ServerProcess> {
    const server = spawn(process.execPath, ['bin/northbridge.js', 'serve', '--port', '0', ...options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface(server.stdout)) {
      if (line.startsWith('lost:') || line.includes('cannot go on')) throw new Error(line)
      const [, url] = /^Northbridge answers at (\S+)$/.exec(line) ?? []
      if (url !== undefined) return new ServerProcess(url, server)
    }
    throw new Error('the server has ended before it answered')
  }

  async stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#process.kill(signal)
    await once(this.#process, 'exit')
  }
}
