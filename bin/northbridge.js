#!/usr/bin/env node
// Starts the command line: the built one where the package is installed, the sources in a clone.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import './inlining.js'

const NEEDED = 24
const root = new URL('../', import.meta.url)
const major = Number(process.versions.node.split('.')[0])
const bundled = fileURLToPath(new URL('node_modules/node/bin/node', root))

if (major >= NEEDED) {
  // The second start takes half the time of the first (NODE_COMPILE_CACHE says where it is kept).
  module.enableCompileCache()
  const built = fileURLToPath(new URL('dist/cli/main.js', root))
  const source = fileURLToPath(new URL('src/cli/main.ts', root))
  await import(pathToFileURL(existsSync(built) ? built : source).href)
} else if (existsSync(bundled)) {
  const { status, signal } = spawnSync(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  if (signal !== null) process.kill(process.pid, signal)
  process.exitCode = status ?? 1
} else {
  console.error(`northbridge needs Node.js ${NEEDED} or newer; this is ${process.versions.node}.`)
  process.exitCode = 1
}
