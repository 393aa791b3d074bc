/** `npm run docs`: writes the pages of `docs/reference/`, which follow from the code. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { referencePages } from './reference/pages.ts'

mkdirSync('docs/reference', { recursive: true })
for (const [name, text] of referencePages()) {
  writeFileSync(`docs/reference/${name}`, text)
  console.log(`docs/reference/${name}`)
}
