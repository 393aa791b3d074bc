import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'

const CAPTURES = fileURLToPath(new URL('../data/captures', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'northbridge-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function cli(...args: string[]) {
  const said: string[] = []
  const complaints: string[] = []
  const status = await runCli(args, {
    print: text => said.push(text),
    complain: text => complaints.push(text),
  })
  return { status, said: said.join('\n'), complaints: complaints.join('\n') }
}

describe('northbridge export', () => {
  it('prints what is one text, and writes what is a folder', async () => {
    const dump = await cli('export', 'lspci', 'one-socket-82576')
    expect(dump.status).toBe(0)
    expect(dump.said).toMatch(/^0000:00:00\.0 0600: 8086:29c0\n00: 86 80 c0 29/)
    const tree = join(folder, 'tree')
    expect((await cli('export', 'sysfs', 'one-socket-82576', '--out', tree)).said).toMatch(
      /^Wrote \d+ files to /,
    )
    expect(readlinkSync(join(tree, 'sys/bus/pci/devices/0000:01:00.0'))).toBe(
      '../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0',
    )
    expect((await cli('export', 'sysfs', 'one-socket-82576', '--out', tree)).status).toBe(0)
    const refused = await cli('export', 'acpi', 'one-socket-82576')
    expect(refused.status).not.toBe(0)
    expect(refused.complaints).toContain('name a folder with --out')
  })

  it('takes anything that can be imported', async () => {
    const file = join(folder, 'machine.json')
    await cli('import', join(CAPTURES, 'strict'), '-o', file)
    const fromCapture = await cli('export', 'hwloc', join(CAPTURES, 'strict'))
    expect((await cli('export', 'hwloc', file)).said).toBe(fromCapture.said)
  })

  it('refuses a format that is not there, and a topology that is not there', async () => {
    expect((await cli('export', 'dot', 'one-socket-82576')).complaints).toContain('there is no format "dot"')
    expect((await cli('export', 'lspci', 'nowhere')).complaints).toContain('nowhere')
  })
})

describe('northbridge import', () => {
  it('tells formats by what is given, or is told', async () => {
    const xml = join(folder, 'hwloc.xml')
    writeFileSync(xml, (await cli('export', 'hwloc', 'one-socket-82576')).said)
    const nodes = join(folder, 'nodes')
    await cli('export', 'libvirt-nodedev', 'one-socket-82576', '--out', nodes)
    const tree = join(folder, 'sysfs')
    await cli('export', 'sysfs', 'one-socket-82576', '--out', tree)
    const text = join(folder, 'lspci.txt')
    writeFileSync(text, (await cli('export', 'lspci', 'one-socket-82576')).said)
    for (const [format, path] of [
      ['hwloc', xml],
      ['libvirt', nodes],
      ['sysfs', tree],
      ['lspci', text],
    ] as const) {
      const out = join(folder, `${format}.json`)
      const guessed = await cli('import', path, '-o', '-')
      const told = await cli('import', format, path, '-o', out)
      expect([guessed.status, told.status], format).toEqual([0, 0])
      expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(JSON.parse(guessed.said))
    }
  })

  it('says what it assumed beside what it prints', async () => {
    const { said, complaints } = await cli('import', join(folder, 'lspci.txt'), '-o', '-')
    expect(JSON.parse(said)).toHaveProperty('hostBridges')
    expect(complaints).toContain('northbridge: nothing tells whether there is an IOMMU')
    const file = join(folder, 'quiet.yaml')
    expect((await cli('import', join(CAPTURES, 'strict'), '-o', file)).complaints).toBe('')
    expect(existsSync(file)).toBe(true)
  })

  it('leaves drivers to the modelled kernel if asked to', async () => {
    const { said } = await cli('import', join(CAPTURES, 'strict'), '--own-drivers', '-o', '-')
    expect(JSON.parse(said).host).not.toHaveProperty('drivers')
  })

  it('refuses several paths where one makes a machine', async () => {
    const { complaints } = await cli('import', 'lspci', 'a', 'b', '-o', '-')
    expect(complaints).toContain('format "lspci" reads one path, not 2')
  })
})
