/**
 * Second half of the build: what `tsc` wrote, module by module, becomes a few files. A test that imports the library
 * from an installed package then waits for one file of ours, not for nine hundred. Declarations stay as they are;
 * dependencies stay outside.
 */
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const ENTRIES = [
  'index',
  'testing/index',
  'client/index',
  'cli/main',
  'workers/point-worker',
  'store/sqlite/worker',
]

const bundle = await rolldown({
  input: Object.fromEntries(ENTRIES.map(name => [name, join(DIST, `${name}.js`)])),
  platform: 'node',
  external: /^(?:node:|[^./])/,
  // No module of ours does anything by being loaded: what nothing is taken from stays out.
  treeshake: { moduleSideEffects: false },
})
const built = mkdtempSync(join(dirname(DIST), 'dist-'))
// Shared code lies as deep below the package's top as its sources do: see src/core/package-file.ts.
await bundle.write({ dir: built, format: 'esm', chunkFileNames: 'code/[name]-[hash].js' })
await bundle.close()

for (const file of readdirSync(DIST, { recursive: true, encoding: 'utf8' }))
  if (file.endsWith('.js')) rmSync(join(DIST, file))
rmSync(join(DIST, 'code'), { recursive: true, force: true })
for (const file of readdirSync(built, { recursive: true, encoding: 'utf8' }))
  if (file.endsWith('.js') && !file.startsWith('code')) renameSync(join(built, file), join(DIST, file))
renameSync(join(built, 'code'), join(DIST, 'code'))
rmSync(built, { recursive: true })
