/** Completion as a real bash does it: its script is read by bash, and asked what it would offer. */
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

/** What bash offers behind these words; the last is what has been typed of the next. */
async function offered(...words: string[]): Promise<readonly string[]> {
  const file = join(folder, 'completion.bash')
  writeFileSync(file, (await scriptFor('bash')).script)
  writeFileSync(join(folder, 'machine.yaml'), '')
  const ask = `source ${file}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _northbridge; printf '%s\\n' "\${COMPREPLY[@]}"`
  const printed = execFileSync('bash', ['--norc', '-c', ask, 'ask', 'northbridge', ...words], {
    encoding: 'utf8',
    cwd: folder,
  })
  return printed.split('\n').filter(line => line !== '')
}

describe('completion in bash', () => {
  it('offers commands, and what is below them', async () => {
    expect(await offered('val')).toEqual(['validate'])
    expect(await offered('functions', '')).toEqual(expect.arrayContaining(['list', 'dma', 'interrupt']))
    expect(await offered('compare', 'tech')).toEqual(['techniques'])
  })

  it('offers flags of the command, wherever its arguments stand', async () => {
    expect(await offered('functions', 'dma', 'example', '0000:01:10.0', '--dir')).toEqual(['--direction'])
    expect(await offered('--v')).toEqual(['--version'])
    expect(await offered('show', '--json', '--ser')).toEqual(['--server'])
  })

  it('offers files for arguments and for the values of flags', async () => {
    expect(await offered('validate', 'mach')).toEqual(['machine.yaml'])
    expect(await offered('policy', 'plan', '--requests', '')).toContain('machine.yaml')
  })

  it('offers nothing for a flag that is not there', async () => {
    expect(await offered('validate', '--nonsense')).toEqual([])
  })
})

describe('completion', () => {
  it.each(['zsh', 'fish'])('for %s is understood by that shell, where there is one', async shell => {
    const { script, status } = await scriptFor(shell)
    expect(status).toBe(0)
    expect(script).toContain('reset-methods')
    const checked = spawnSync(shell, ['-n'], { input: script, encoding: 'utf8' })
    if (checked.error === undefined) expect(checked.stderr).toBe('')
  })

  it('is refused for other shells, with the exit status of a wrong argument', async () => {
    expect((await scriptFor('tcsh')).status).toBe(2)
  })
})
