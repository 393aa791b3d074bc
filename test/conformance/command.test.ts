import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import { readText } from '../../src/conformance/index.ts'

const DATA = fileURLToPath(new URL('../data', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'conform-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function cli(...args: string[]) {
  const said: string[] = []
  const complaints: string[] = []
  const status = await runCli(args, {
    print: text => said.push(text),
    complain: text => complaints.push(text),
  })
  return { status, lines: said.join('\n').split('\n'), complaints: complaints.join('\n') }
}

describe('northbridge conform vtd', () => {
  const file = join(DATA, 'conformance/vtd/gcmd.jsonl.gz')

  it('says how many programs passed, and ends with 0 if all did', async () => {
    expect(await cli('conform', 'vtd', file)).toMatchObject({ status: 0, lines: ['16 passed, 0 failed'] })
    expect(await cli('conform', 'vtd', file, '--quirks', 'qemu-11.1')).toMatchObject({ status: 0 })
  })

  it('says for each failing program which step, what was expected and what came; ends with 1', async () => {
    const programs = readText(file)
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    const index = programs[0].steps.findIndex((step: { op: string }) => step.op === 'reg.read')
    programs[0].steps[index].expect = '0x12345'
    const changed = join(folder, 'changed.jsonl')
    writeFileSync(changed, programs.map(program => JSON.stringify(program)).join('\n'))
    const { status, lines } = await cli('conform', 'vtd', changed, file)
    expect(status).toBe(1)
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(
      new RegExp(`^${programs[0].id}: step ${index} \\(reg.read .*\\): expected .* 0x12345, got 0x`),
    )
    expect(lines[1]).toBe('31 passed, 1 failed')
    // A folder stands for the files in it.
    expect((await cli('conform', 'vtd', folder)).lines.at(-1)).toBe('15 passed, 1 failed')
  })

  it('prints JSON for programs', async () => {
    const { lines } = await cli('conform', 'vtd', file, '--json')
    expect(JSON.parse(lines.join('\n'))).toMatchObject({ passed: 16, failed: 0, skipped: 0 })
  })

  it('refuses quirks that nobody has, files that are not there, and a missing argument', async () => {
    expect(await cli('conform', 'vtd', file, '--quirks', 'vax')).toMatchObject({
      status: 2,
      complaints: expect.stringContaining('qemu-11.1'),
    })
    expect((await cli('conform', 'vtd', join(folder, 'nothing.jsonl'))).status).toBe(3)
    expect((await cli('conform', 'vtd')).status).toBe(2)
  })
})

describe('northbridge conform linux', () => {
  it('checks folders with tables and says which have none', async () => {
    const { status, lines } = await cli(
      'conform',
      'linux',
      ...['aw39', 'no-iommu', 'passthrough'].map(name => join(DATA, 'captures', name)),
    )
    expect(status).toBe(0)
    expect(lines).toEqual([
      'no-iommu: skipped: no vtd-pages.json.gz and no vtd-expect.json.gz',
      '2 passed, 0 failed',
    ])
  })
})

describe('northbridge conform vmx', () => {
  it('counts the cases of each source, and ends with the sums', async () => {
    const { status, lines } = await cli('conform', 'vmx', 'ept_access_test')
    expect(status).toBe(0)
    expect(lines[0]).toMatch(/^x86\/vmx_tests\.c: \d+ cases$/)
    expect(lines.at(-1)).toMatch(/^\d+ passed, 0 failed$/)
  })

  it('lists the cases: identifier, source, what must hold', async () => {
    const { lines } = await cli('conform', 'vmx', '--list', 'vmx.on.VMXE')
    expect(lines).toEqual(['vmx.on.VMXE  [x86/vmx.c test_vmxon_bad_cr]  VMXON without CR4.VMXE raises #UD'])
  })
})
