import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { checkLinux, reportOf, tellReport } from '../../src/conformance/index.ts'

const CAPTURES = fileURLToPath(new URL('../data/captures', import.meta.url))
const WITH_TABLES = readdirSync(CAPTURES).filter(
  name => !name.endsWith('.md') && readdirSync(join(CAPTURES, name)).includes('vtd-pages.json.gz'),
)
const folder = mkdtempSync(join(tmpdir(), 'captures-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A copy of a capture with something changed in one of its files. */
function changed(name: string, file: 'vtd-pages' | 'vtd-expect', change: (content: never) => void): string {
  const copy = join(folder, `${name}-${Math.trunc(performance.now() * 1000)}`)
  cpSync(join(CAPTURES, name), copy, { recursive: true })
  const path = join(copy, `${file}.json.gz`)
  const content = JSON.parse(gunzipSync(readFileSync(path)).toString())
  change(content as never)
  writeFileSync(path, gzipSync(JSON.stringify(content)))
  return copy
}

describe('tables that a real kernel wrote', () => {
  it('are there for each table format', () => {
    expect(WITH_TABLES.length).toBeGreaterThanOrEqual(10)
  })

  it.each(WITH_TABLES)('%s: every expectation is met', name => {
    const verdict = checkLinux(join(CAPTURES, name))
    expect(tellReport(reportOf([verdict]))).toBe('1 passed, 0 failed')
    expect(verdict.checks).toBeGreaterThan(60)
  })

  it('skips a capture without tables, and says why', () => {
    const verdict = checkLinux(join(CAPTURES, 'no-iommu'))
    expect(tellReport(reportOf([verdict]))).toBe(
      'no-iommu: skipped: no vtd-pages.json.gz and no vtd-expect.json.gz\n0 passed, 0 failed',
    )
  })

  it('notices one changed bit of a paging entry', () => {
    const copy = changed('rmrr', 'vtd-expect', (content: { translations: { phys?: string }[] }) => {
      const sample = content.translations.find(({ phys }) => phys !== undefined)!
      sample.phys = `0x${(BigInt(sample.phys!) ^ 0x1000n).toString(16)}`
    })
    expect(checkLinux(copy)).toMatchObject({ failures: 1 })
  })

  it('notices a context entry, an interrupt entry and a message that are not as captured', () => {
    type Expect = {
      contexts: { did: number }[]
      irtes: { vector: number }[]
      msi: { expect: { dest: number } }[]
    }
    const copy = changed('aw39', 'vtd-expect', (content: Expect) => {
      content.contexts[0]!.did++
      content.irtes[3]!.vector ^= 1
      content.msi[0]!.expect.dest ^= 1
    })
    expect(checkLinux(copy)).toMatchObject({
      failures: 3,
      failure: { expected: expect.stringContaining('DID') },
    })
  })

  it('notices that a table is missing', () => {
    const copy = changed('passthrough', 'vtd-pages', (content: { pages: Record<string, string> }) => {
      for (const address of Object.keys(content.pages)) delete content.pages[address]
    })
    expect(checkLinux(copy).failures).toBeGreaterThan(40)
  })

  it('reports a file that cannot be read as a failure of that capture', () => {
    const copy = changed('passthrough', 'vtd-expect', (content: { mode: string }) => {
      content.mode = 'imaginary'
    })
    expect(checkLinux(copy)).toMatchObject({
      failures: 1,
      failure: { got: expect.stringContaining('/mode') },
    })
  })
})
