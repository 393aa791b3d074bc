import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { referencePages } from '../../scripts/reference/pages.ts'

describe('docs/reference', () => {
  it.each(referencePages())('%s is what `npm run docs` writes', (name, text) => {
    expect(readFileSync(`docs/reference/${name}`, 'utf8')).toBe(text)
  })
})

describe('the pages of the documentation', () => {
  const pages = globSync('docs/**/*.md')

  it.each(pages)('%s points to files that are there', file => {
    const links = [...readFileSync(file, 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(
      ([, target]) => target!,
    )
    const local = links.filter(target => !/^\w+:/.test(target))
    expect(local.filter(target => !existsSync(join(dirname(file), target)))).toEqual([])
  })

  it('are all to be found from docs/README.md', () => {
    const index = readFileSync('docs/README.md', 'utf8')
    const named = pages
      .map(file => file.replace(/^docs\//, ''))
      .filter(file => !file.includes('calibration/'))
    expect(named.filter(file => file !== 'README.md' && !index.includes(`(${file})`))).toEqual([])
  })
})
