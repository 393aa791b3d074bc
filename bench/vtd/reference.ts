/** The C walker beside us: compiled where there is a compiler, and run. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Nanoseconds by name of the case; undefined without a C compiler. */
export function referenceWalker(): Map<string, number> | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'northbridge-'))
  const program = join(folder, 'reference-walker')
  try {
    execFileSync('cc', ['-O2', '-o', program, join(import.meta.dirname, '../reference-walker.c')], {
      stdio: 'ignore',
    })
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
  const lines = execFileSync(program, { encoding: 'utf8' }).trim().split('\n')
  rmSync(folder, { recursive: true })
  return new Map(
    lines.map(line => {
      const [name, time] = line.split('\t')
      return [name!, Number(time)]
    }),
  )
}
