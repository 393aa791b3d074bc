/** The process behind `northbridge`. */
import { runCli } from './program.ts'

const interruption = new AbortController()
const stopped = new Promise<void>(resolve => {
  interruption.signal.addEventListener('abort', () => resolve())
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())

const showProgress = (text: string): void => {
  // Carriage return, and the ANSI sequence that clears the line.
  process.stderr.write(`\r\u001b[2K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`)
}

process.stdout.on('error', error => {
  // The reader of a pipe has left: nobody is there to be told.
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0)
  throw error
})

process.exitCode = await runCli(
  process.argv.slice(2),
  {
    print: text => process.stdout.write(`${text}\n`),
    complain: text => process.stderr.write(`${text}\n`),
    ...(process.stderr.isTTY && { progress: showProgress }),
    interrupted: interruption.signal,
  },
  () => stopped,
)
