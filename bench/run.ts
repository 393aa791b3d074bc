/** `npm run bench [-- name…]`: runs the named benchmarks (files of this folder), or all of them, one after another. */
import { readdirSync } from 'node:fs'
import '../bin/inlining.js'

const available = readdirSync(import.meta.dirname)
  .filter(name => name.endsWith('.ts') && !['run.ts', 'measure.ts', 'machines.ts', 'heap.ts'].includes(name))
  .map(name => name.slice(0, -3))
const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !available.includes(name))
if (unknown.length > 0) {
  console.error(`no benchmark named ${unknown.join(', ')}; there are: ${available.join(', ')}`)
  process.exit(2)
}
for (const name of wanted.length > 0 ? wanted : available) {
  console.log(`\n# ${name}`)
  await import(`./${name}.ts`)
}
