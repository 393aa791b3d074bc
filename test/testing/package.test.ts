import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

interface Entry {
  readonly source: string
  readonly types: string
  readonly default: string
}
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly files: readonly string[]
  readonly exports: Readonly<Record<string, Entry | string>>
}
const entries = Object.entries(manifest.exports).filter(
  (entry): entry is [string, Entry] => typeof entry[1] !== 'string',
)
const packs = (path: string): boolean =>
  manifest.files.some(file => path === file || path.startsWith(`${file}/`))

describe('what is packed (npm run pack-test installs it in an empty project)', () => {
  it.each(entries)('%s resolves to files that the build makes of its source', (_, entry) => {
    const name = entry.source.replace(/^\.\/src\/(.*)\.ts$/, '$1')
    expect(existsSync(entry.source)).toBe(true)
    expect(entry.default).toBe(`./dist/${name}.js`)
    expect(entry.types).toBe(`./dist/${name}.d.ts`)
    expect(packs(entry.default.slice('./'.length))).toBe(true)
    // The bundle keeps an entry of that name.
    expect(readFileSync('scripts/bundle.ts', 'utf8')).toContain(`'${name}'`)
  })

  it('holds every folder that the code reads from beside itself', () => {
    const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(file =>
      file.endsWith('.ts'),
    )
    const read = sources.flatMap(file =>
      [...readFileSync(join('src', file), 'utf8').matchAll(/packageFile\('([^']+)'\)/g)].map(
        ([, path]) => path!,
      ),
    )
    expect(read.length).toBeGreaterThan(3)
    // What is built before it is packed is not there in a clone.
    const built = (path: string): boolean => path === 'web/dist'
    const isThere = (path: string): boolean => built(path) || existsSync(path)
    expect(read.filter(path => !isThere(path) || !packs(path.replace(/\/$/, '')))).toEqual([])
    // Code that looks beside itself in any other way would look elsewhere once it is packed.
    const others = sources.filter(file => readFileSync(join('src', file), 'utf8').includes('import.meta.url'))
    expect(others).toEqual([join('core', 'package-file.ts')])
  })
})
