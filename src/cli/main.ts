/** The process behind `northbridge`. */
import { runCli } from './program.ts'

const stopped = new Promise<void>(resolve => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
})

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
  },
  () => stopped,
)
