import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const MARK = '\n// Prints:\n'

/** Output compared without trailing blanks: a comment line has none. */
const trimmed = (text: string): string =>
  text
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n')
    .trim()

describe('every example', () => {
  it.each(readdirSync('examples').filter(name => name.endsWith('.ts')))(
    '%s prints what its last comment says',
    name => {
      const text = readFileSync(`examples/${name}`, 'utf8')
      const expected = text
        .slice(text.indexOf(MARK) + MARK.length)
        .split('\n')
        .map(line => line.replace(/^\/\/ ?/, ''))
        .join('\n')
      const printed = execFileSync(process.execPath, ['-C', 'source', `examples/${name}`], {
        encoding: 'utf8',
      })
      expect(text).toContain(MARK)
      expect(trimmed(printed)).toBe(trimmed(expected))
    },
  )
})
