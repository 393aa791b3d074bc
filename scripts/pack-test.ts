/**
 * The package as a user gets it: packed, installed beside vitest and TypeScript in an empty project, where the example
 * of `examples/vitest` must compile under plain settings and pass within two seconds. Needs the package registry.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const EXAMPLE = 'examples/vitest/isolation.test.ts'
const MOST_LINES = 25
const MOST_SECONDS = 2
const RUNS = 5

const project = mkdtempSync(join(tmpdir(), 'northbridge-user-'))
const run = (command: string, args: readonly string[], cwd = project): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
const problems: string[] = []

try {
  const packed = run('npm', ['pack', '--silent', '--pack-destination', project], resolve('.')).trim()
  const tarball = join(project, packed.split('\n').at(-1)!)
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', '-D', tarball, 'vitest', 'typescript'])
  cpSync(EXAMPLE, join(project, 'isolation.test.ts'))

  const lines = readFileSync(EXAMPLE, 'utf8').trimEnd().split('\n').length
  if (lines >= MOST_LINES) problems.push(`${EXAMPLE} has ${lines} lines`)

  for (const resolution of ['nodenext', 'bundler']) {
    const module = resolution === 'bundler' ? 'esnext' : resolution
    const settings = ['--strict', '--noEmit', '--target', 'es2024', '--moduleResolution', resolution]
    const { status, stdout } = spawnSync(
      process.execPath,
      ['node_modules/typescript/bin/tsc', ...settings, '--module', module, 'isolation.test.ts'],
      { cwd: project, encoding: 'utf8' },
    )
    console.log(`tsc --strict --moduleResolution ${resolution}: ${status === 0 ? 'no errors' : stdout}`)
    if (status !== 0) problems.push(`tsc, ${resolution}`)
  }

  const walls: number[] = []
  for (let count = 0; count < RUNS; count++) {
    const start = process.hrtime.bigint()
    const { status, stdout } = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run'], {
      cwd: project,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1' },
    })
    const wall = Number(process.hrtime.bigint() - start) / 1e9
    walls.push(wall)
    const reported = /Duration\s+(\S+)/.exec(stdout)?.[1] ?? '?'
    console.log(`vitest: ${reported} as it reports, ${wall.toFixed(2)} s from start to end`)
    if (status !== 0) problems.push(stdout)
  }
  if (Math.min(...walls) >= MOST_SECONDS) problems.push(`no run took less than ${MOST_SECONDS} s`)
} finally {
  rmSync(project, { recursive: true })
}

console.log(problems.length === 0 ? `${EXAMPLE}: ok` : problems.join('\n'))
process.exitCode = problems.length === 0 ? 0 : 1
