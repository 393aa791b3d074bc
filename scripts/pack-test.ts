/**
 * The package as a user gets it: packed, installed beside vitest and TypeScript in an empty project. There the README's
 * library example, the example of the matchers and that of the client must compile under plain settings and do what they
 * say; the commands must start, help at once; the schemas must lie where documents of users find them. Needs the package
 * registry.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'

const MATCHERS = 'examples/vitest/isolation.test.ts'
const LIBRARY = 'examples/01-one-dma.ts'
const CLIENT = 'examples/client/client.ts'
const SCHEMAS = ['topology', 'experiment', 'policy', 'policy-requests', 'workload', 'costs']
const MARK = '\n// Prints:\n'
const MOST_LINES = 25
/** Of a run of vitest, and of a command's help. */
const MOST_SECONDS = 2
const MOST_HELP_SECONDS = 0.25
const RUNS = 5

const project = mkdtempSync(join(tmpdir(), 'northbridge-user-'))
const problems: string[] = []

const run = (command: string, args: readonly string[], cwd = project): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

/** Runs a program of Node several times; returns the shortest time in seconds. */
function quickest(name: string, args: readonly string[]): number {
  const walls = Array.from({ length: RUNS }, () => {
    const start = process.hrtime.bigint()
    const env = { ...process.env, NO_COLOR: '1' }
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: project,
      encoding: 'utf8',
      env,
    })
    if (status !== 0) problems.push(`${name}:\n${stdout}${stderr}`)
    return Number(process.hrtime.bigint() - start) / 1e9
  })
  console.log(`${name}: ${walls.map(wall => wall.toFixed(2)).join(' ')} s`)
  return Math.min(...walls)
}

/** Runs an example, whose last comment is what it prints. */
function expectPrints(example: string, environment: NodeJS.ProcessEnv = {}): void {
  const text = readFileSync(example, 'utf8')
  const expected = text.slice(text.indexOf(MARK) + MARK.length).replaceAll(/^\/\/ ?/gm, '')
  const printed = execFileSync(process.execPath, [basename(example)], {
    cwd: project,
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  })
  const same = printed.trim() === expected.trim()
  console.log(`${example}: ${same ? 'prints what it says' : `printed\n${printed}`}`)
  if (!same) problems.push(example)
}

try {
  const packed = run('npm', ['pack', '--silent', '--pack-destination', project], resolve('.')).trim()
  const tarball = join(project, packed.split('\n').at(-1)!)
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  const wanted = [tarball, 'vitest', 'typescript', '@types/node']
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', '-D', ...wanted])
  for (const example of [MATCHERS, LIBRARY, CLIENT]) cpSync(example, join(project, basename(example)))

  const lines = readFileSync(MATCHERS, 'utf8').trimEnd().split('\n').length
  if (lines >= MOST_LINES) problems.push(`${MATCHERS} has ${lines} lines`)

  for (const resolution of ['nodenext', 'bundler']) {
    const module = resolution === 'bundler' ? 'esnext' : resolution
    const settings = ['--strict', '--noEmit', '--target', 'es2024', '--types', 'node', '--module', module]
    const { status, stdout } = spawnSync(
      process.execPath,
      [
        'node_modules/typescript/bin/tsc',
        ...settings,
        '--moduleResolution',
        resolution,
        ...[MATCHERS, LIBRARY, CLIENT].map(example => basename(example)),
      ],
      { cwd: project, encoding: 'utf8' },
    )
    console.log(`tsc --strict --moduleResolution ${resolution}: ${status === 0 ? 'no errors' : stdout}`)
    if (status !== 0) problems.push(`tsc, ${resolution}`)
  }

  expectPrints(LIBRARY)
  const program = 'node_modules/northbridge/bin/northbridge.js'
  const server = spawn(process.execPath, [program, 'serve', '--port', '0', '--json'], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [text] = (await once(server.stdout, 'data')) as [Buffer]
  expectPrints(CLIENT, { NORTHBRIDGE_SERVER: (JSON.parse(text.toString()) as { url: string }).url })
  server.kill()

  for (const schema of SCHEMAS)
    if (!existsSync(join(project, `node_modules/northbridge/openapi/${schema}.schema.json`)))
      problems.push(`the package has no schema ${schema}`)

  if (quickest('northbridge --help', [program, '--help']) >= MOST_HELP_SECONDS)
    problems.push(`no help came in less than ${MOST_HELP_SECONDS} s`)
  quickest('northbridge show', [program, 'show', 'one-socket-82576'])
  if (quickest('vitest', ['node_modules/vitest/vitest.mjs', 'run']) >= MOST_SECONDS)
    problems.push(`no run of vitest took less than ${MOST_SECONDS} s`)
} finally {
  rmSync(project, { recursive: true })
}

console.log(problems.length === 0 ? 'The package: ok' : problems.join('\n'))
process.exitCode = problems.length === 0 ? 0 : 1
