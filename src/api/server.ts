/** The process around the app: a port, a log on standard error, and an orderly end. */
import { type AddressInfo, isIPv4, isIPv6 } from 'node:net'
import { pino } from 'pino'
import type { Guard, Namespaces } from '../access/index.ts'
import { NorthbridgeError } from '../core/index.ts'
import { buildApp } from './app.ts'
import { REDACTED } from './request-log.ts'
import { Tracer } from './tracing/index.ts'

export interface ServerOptions {
  readonly namespaces: Namespaces
  /** Default: everybody on this machine may do everything. */
  readonly guard?: Guard
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

/** Throws `invalidArgument` for an address that cannot be listened on, or only with tokens, of which there is none. */
export async function startServer({ port, host, logLevel, ...parts }: ServerOptions): Promise<RunningServer> {
  if (!isLoopback(host) && parts.guard?.demands !== true) {
    throw new NorthbridgeError(
      'invalidArgument',
      `others than this machine reach ${host}, and there is no token: make one with "northbridge token create --role admin --data FOLDER", or set NORTHBRIDGE_TOKEN`,
    )
  }
  const app = await buildApp({
    ...parts,
    logger: { level: logLevel, redact: REDACTED, stream: pino.destination(2) },
    tracer: Tracer.fromEnvironment(process.env),
    measuresProcess: true,
  })
  await app.listen({ port, host }).catch((error: NodeJS.ErrnoException) => {
    throw unusable(error, port, host)
  })
  const { address, family, port: taken } = app.server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`,
    close: () => app.close(),
  }
}

/** Whether only this machine reaches an address. A name may lead anywhere, but for the one that RFC 6761 keeps. */
function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  return isIPv6(host) ? host === '::1' : host.toLowerCase() === 'localhost'
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
