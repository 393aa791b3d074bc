/** The process around the app: a port, a log on standard error, and an orderly end. */
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { NorthbridgeError } from '../core/index.ts'
import type { OperationContext } from '../operations/index.ts'
import { buildApp } from './app.ts'

export interface ServerOptions {
  readonly context: OperationContext
  /** 0 takes a free one. */
  readonly port: number
  /** Address to listen on. */
  readonly host: string
  /** Of the log on standard error; `silent` for none. */
  readonly logLevel: string
}

export interface RunningServer {
  /** `http://…` without a trailing slash. */
  readonly url: string
  /** Takes no further requests, finishes those under way, ends the event streams. */
  close(): Promise<void>
}

export async function startServer({ context, port, host, logLevel }: ServerOptions): Promise<RunningServer> {
  const app = await buildApp({ context, logger: { level: logLevel, stream: pino.destination(2) } })
  await app.listen({ port, host }).catch((error: NodeJS.ErrnoException) => {
    throw unusable(error, port, host)
  })
  const { address, family, port: taken } = app.server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`,
    close: () => app.close(),
  }
}

/** Why the server cannot listen there, for those reasons that lie with who chose the address. */
function unusable(error: NodeJS.ErrnoException, port: number, host: string): Error {
  const reason = UNUSABLE[error.code ?? '']
  if (reason === undefined) return error
  return new NorthbridgeError('invalidArgument', `port ${port} of ${host} ${reason}; port 0 takes a free one`)
}

const UNUSABLE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use',
  EACCES: 'may not be used by this user',
  EADDRNOTAVAIL: 'is not an address of this machine',
  ENOTFOUND: 'is not an address of this machine',
}
