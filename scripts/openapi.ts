/** Writes what the code says of itself to `openapi/`: the HTTP contract, and JSON Schemas of the documents. */
import { writeFileSync } from 'node:fs'
import { contractFiles } from '../src/api/index.ts'

for (const [name, text] of await contractFiles()) {
  writeFileSync(new URL(`../openapi/${name}`, import.meta.url), text)
  console.log(`openapi/${name}`)
}
