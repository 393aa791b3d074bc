import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { importCapture } from '../../src/interop/index.ts'
import { CAPTURES, captureNames } from '../host/capture-functions.ts'
import { boot, bootedCapture, describeWith, exportedText, run, scratchFolder } from './tools.ts'

interface Difference {
  readonly field: string
  /** Capture and address; default: all. */
  readonly functions?: string
  /** The line as the capture has it and as the powered-on machine has it. */
  readonly captured: string
  readonly ours: string
  readonly reason: string
}

const DIFFERENCES = JSON.parse(
  readFileSync(join(import.meta.dirname, 'lspci-differences.json'), 'utf8'),
) as readonly Difference[]
const used = new Set<Difference>()

const scratch = scratchFolder()
const original = (name: string): string =>
  gunzipSync(readFileSync(join(CAPTURES, name, 'lspci-xxxx.txt.gz'))).toString('latin1')

/** What Debian's lspci makes of a dump. */
function lspci(dump: string, ...options: readonly string[]): string {
  const file = join(scratch, 'dump')
  writeFileSync(file, dump)
  const { status, stdout, stderr } = run('lspci', ['-F', file, ...options])
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** Lines by function, in the order of the text. */
function sections(text: string): Map<string, string[]> {
  const blocks = text.trimEnd().split('\n\n')
  return new Map(blocks.map(block => [block.slice(0, '0000:00:00.0'.length), block.split('\n')]))
}

/** Lines that only one side has, side by side in their order. */
function unequal(captured: readonly string[], ours: readonly string[]): (readonly [string, string])[] {
  const without = (lines: readonly string[], others: readonly string[]): string[] => {
    const left = [...others]
    return lines.filter(line => {
      const at = left.indexOf(line)
      if (at >= 0) left.splice(at, 1)
      return at < 0
    })
  }
  const [only, own] = [without(captured, ours), without(ours, captured)]
  return Array.from({ length: Math.max(only.length, own.length) }, (_, i) => [only[i] ?? '', own[i] ?? ''])
}

const explanationOf = (where: string, captured: string, ours: string): Difference | undefined =>
  DIFFERENCES.find(
    row =>
      new RegExp(row.functions ?? '').test(where) &&
      new RegExp(row.captured).test(captured) &&
      new RegExp(row.ours).test(ours),
  )

describeWith(
  'lspci',
  'A captured machine, imported, powered on and exported, looks to lspci as it did',
  () => {
    it.each(captureNames())('%s', name => {
      const dump = exportedText('lspci', bootedCapture(name))
      const captured = sections(lspci(original(name), '-D', '-vvv'))
      const ours = sections(lspci(dump, '-D', '-vvv'))
      expect([...ours.keys()]).toEqual([...captured.keys()])
      const unexplained: string[] = []
      for (const [address, lines] of captured) {
        for (const [was, is] of unequal(lines, ours.get(address)!)) {
          const row = explanationOf(`${name} ${address}`, was, is)
          if (row === undefined) unexplained.push(`${address}:\n  < ${was.trim()}\n  > ${is.trim()}`)
          else used.add(row)
        }
      }
      expect(unexplained).toEqual([])
      expect(lspci(dump, '-tv')).toBe(lspci(original(name), '-tv'))
    })

    it('and every listed difference is one that there is', () => {
      expect(DIFFERENCES.filter(row => !used.has(row)).map(({ field }) => field)).toEqual([])
    })
  },
)

describe('An exported dump', () => {
  it('is read again as the machine it was made of', () => {
    const machine = bootedCapture('switch-basic')
    const file = join(scratch, 'again')
    writeFileSync(file, exportedText('lspci', machine))
    const again = boot(importCapture(file).topology)
    const places = (one: typeof machine) =>
      one.host
        .functions()
        // Apertures of virtual functions are placed by their size, which a dump without -v does not tell.
        .map(({ address, kind, bars }) => [address, kind, kind === 'VF' || bars.map(bar => bar.address)])
    expect(places(again)).toEqual(places(machine))
  })
})
