/** Completion as real shells do it: each reads its script, where it is installed, and is asked what it would offer. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'

const folder = mkdtempSync(join(tmpdir(), 'northbridge-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function scriptFor(shell: string): Promise<{ script: string; status: number }> {
  let script = ''
  const print = (text: string): void => {
    script += `${text}\n`
  }
  const status = await runCli(['completion', shell], { print, complain: () => {} })
  return { script, status }
}

/** Asks a shell, in its own words, what the script `$1` offers behind the words that follow. */
const ASK = {
  bash: [
    ['--norc', '-c'],
    `source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _northbridge; printf '%s\\n' "\${COMPREPLY[@]}"`,
    'ask',
  ],
  // What zsh has for this works at a terminal only: here stands in for it what it does with what it is given.
  zsh: [
    ['-f', '-c'],
    `compdef() { : }
compadd() { shift; local fitting=(\${(M)@:#$PREFIX*}); print -l -- $fitting; (( $#fitting )) }
_files() { print -l -- $PREFIX*(N) }
source "$1"; shift
words=("$@"); CURRENT=$#; PREFIX=\${words[-1]}; _northbridge`,
    'ask',
  ],
  fish: [['--no-config', '-c'], 'source $argv[1]; complete -C "$argv[2..]"'],
} as const

const isThere = (shell: string): boolean => spawnSync(shell, ['-c', 'exit']).status === 0

describe.each(['bash', 'zsh', 'fish'] as const)('completion in %s', shell => {
  /** The last word is what has been typed of the next. */
  async function offered(...words: string[]): Promise<readonly string[]> {
    const file = join(folder, `completion.${shell}`)
    writeFileSync(file, (await scriptFor(shell)).script)
    writeFileSync(join(folder, 'machine.yaml'), '')
    const [flags, ask, ...name] = ASK[shell]
    const printed = execFileSync(shell, [...flags, ask, ...name, file, 'northbridge', ...words], {
      encoding: 'utf8',
      cwd: folder,
    })
    return printed.split('\n').filter(line => line !== '')
  }
  const itHere = it.skipIf(!isThere(shell))

  itHere('offers commands, and what is below them', async () => {
    expect(await offered('val')).toEqual(['validate'])
    expect(await offered('functions', '')).toEqual(expect.arrayContaining(['list', 'dma', 'interrupt']))
    expect(await offered('compare', 'tech')).toEqual(['techniques'])
  })

  itHere('offers flags of the command, wherever its arguments stand', async () => {
    expect(await offered('functions', 'dma', 'example', '0000:01:10.0', '--dir')).toEqual(['--direction'])
    expect(await offered('--v')).toEqual(['--version'])
    expect(await offered('show', '--json', '--ser')).toEqual(['--server'])
  })

  itHere('offers files for arguments and for the values of flags', async () => {
    expect(await offered('validate', 'mach')).toEqual(['machine.yaml'])
    expect(await offered('policy', 'plan', '--requests', '')).toContain('machine.yaml')
  })

  itHere('offers nothing for a flag that is not there', async () => {
    expect(await offered('validate', '--nonsense')).toEqual([])
  })
})

describe('completion', () => {
  it.each(['zsh', 'fish'])('for %s is printed where that shell is not installed, too', async shell => {
    const { script, status } = await scriptFor(shell)
    expect(status).toBe(0)
    expect(script).toContain('reset-methods')
  })

  it('is refused for other shells, with the exit status of a wrong argument', async () => {
    expect((await scriptFor('tcsh')).status).toBe(2)
  })
})
