import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'

const CAPTURES = fileURLToPath(new URL('../data/captures', import.meta.url))
const TOPOLOGIES = fileURLToPath(new URL('../../topologies', import.meta.url))
const EXPERIMENTS = fileURLToPath(new URL('../../experiments', import.meta.url))
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

describe('northbridge', () => {
  it('tells its version, and what it can do', async () => {
    expect(await cli('--version')).toMatchObject({
      status: 0,
      said: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    })
    const help = await cli('--help')
    expect(help.status).toBe(0)
    for (const command of ['serve', 'demo', 'import', 'validate', 'show', 'groups', 'run', 'vms']) {
      expect(help.said).toContain(`  ${command}`)
    }
  })

  it('ends with 2 for a command line that it does not understand', async () => {
    expect((await cli('frobnicate')).status).toBe(2)
    expect((await cli('groups')).status).toBe(2)
    expect((await cli('serve', '--port', '70000')).status).toBe(2)
    expect((await cli('groups', '/does/not/exist')).status).toBe(3)
  })
})

describe('northbridge validate', () => {
  it.each(
    readdirSync(TOPOLOGIES, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.json')),
  )('finds topologies/%s valid', async name => {
    expect(await cli('validate', join(TOPOLOGIES, name))).toMatchObject({ status: 0 })
  })

  it('names every wrong field, and ends with 2', async () => {
    const file = join(folder, 'bad.yaml')
    writeFileSync(file, 'name: bad\niommu: { kind: none }\nhostBridges: [{ bus: "0", extra: 1 }]\n')
    const { status, complaints } = await cli('validate', file)
    expect(status).toBe(2)
    expect(complaints).toContain('/hostBridges/0/bus')
    expect(complaints).toContain('/hostBridges/0/extra')
  })

  it('tells text that is neither JSON nor YAML', async () => {
    const file = join(folder, 'broken.json')
    writeFileSync(file, '{"name": ')
    expect(await cli('validate', file)).toMatchObject({
      status: 2,
      complaints: expect.stringContaining('neither'),
    })
  })
})

describe('northbridge import', () => {
  it('writes a topology, as JSON or YAML, that powers on with the captured functions', async () => {
    for (const file of ['made.json', 'made.yaml'].map(name => join(folder, name))) {
      expect((await cli('import', join(CAPTURES, 'switch-basic'), '-o', file)).status).toBe(0)
      const { said } = await cli('show', file, '--json')
      const listed = readFileSync(join(CAPTURES, 'switch-basic/iommu-groups.json'), 'utf8')
      const captured = (JSON.parse(listed).partition as string[][]).flat().sort()
      expect(JSON.parse(said).functions.map((fn: { address: string }) => fn.address)).toEqual(captured)
    }
  })
})

describe('northbridge groups', () => {
  it.each(['acs-switch', 'nested-switch', 'amd-iommu'])(
    'prints the groups that Linux made of %s',
    async name => {
      const { status, said } = await cli('groups', join(CAPTURES, name))
      expect(status).toBe(0)
      const { partition } = JSON.parse(readFileSync(join(CAPTURES, name, 'iommu-groups.json'), 'utf8'))
      expect(JSON.parse(said)).toEqual({ groups: partition })
      expect(said).toMatch(/^\{"groups":\[\["0000:00:00\.0"/)
    },
  )

  it('explains each joint, with what would split the group, for people and for programs', async () => {
    const { status, said } = await cli('groups', '--why', join(CAPTURES, 'acs-redir-off'))
    expect(status).toBe(0)
    expect(said).toContain('0000:06:00.0 is below 0000:00:03.0, which has ACS RR, CR off [unisolatedPath]')
    expect(said).toContain('kernel parameter no pci=disable_acs_redir that names 0000:00:03.0')
    const json = JSON.parse((await cli('groups', '--why', '--json', 'legacy-bridge')).said)
    expect(json).toContainEqual(
      expect.objectContaining({
        functions: ['0000:00:1e.0', '0000:05:01.0', '0000:05:02.0', '0000:06:01.0'],
        why: expect.arrayContaining([expect.objectContaining({ rule: 'alias', joined: '0000:00:1e.0' })]),
        repairs: [],
        whyNot: expect.stringContaining('requester id'),
      }),
    )
  })

  it('groups by the rules of another kernel', async () => {
    const groups = async (kernel: string) =>
      JSON.parse((await cli('groups', '--kernel', kernel, 'gpu-box')).said).groups.length
    expect(await groups('7.2+bus-isolation')).toBeLessThan(await groups('7.2'))
    expect((await cli('groups', '--kernel', '5', 'gpu-box')).status).toBe(2)
  })
})

describe('northbridge devices', () => {
  it('lists and shows the catalogue of this installation', async () => {
    expect((await cli('devices', 'list')).said).toMatch(/^intel-x710 +0x8086 +0x1572 /m)
    const { said } = await cli('devices', 'get', 'intel-x710', '--json')
    expect(JSON.parse(said)).toMatchObject({
      name: 'intel-x710',
      functions: [{ deviceId: '0x1572' }, {}, {}, {}],
    })
    expect((await cli('devices', 'get', 'no-such-device')).status).not.toBe(0)
  })
})

describe('northbridge show', () => {
  it('draws a tree with groups and units', async () => {
    const { said } = await cli('show', 'one-socket-82576')
    expect(said).toMatch(/^0000:00$/m)
    expect(said).toMatch(
      /│ {2}├─ 01:00\.0 physical function 8086:10c9 \[group \d+, dmar0, 0 of 8 VFs, driver igb\]/,
    )
    expect(said).toMatch(/^dmar0: \d+ functions/m)
  })
})

/** What pages run is told to its end where they are tested. */
const PAGES = ['README.md', ...globSync('docs/**/*.md')].map(file => readFileSync(file, 'utf8')).join('\n')
const isOnAPage = (name: string): boolean => PAGES.includes(`$ npx northbridge run experiments/${name}\n`)

describe('northbridge run', () => {
  it.each(readdirSync(EXPERIMENTS).filter(name => name.endsWith('.yaml') && !isOnAPage(name)))(
    'tells the story of %s to its end',
    async name => {
      const { status, said } = await cli('run', join(EXPERIMENTS, name))
      expect(said).not.toContain('✗')
      expect(said).toMatch(/All \d+ operations ended as the document expects\./)
      expect(status).toBe(0)
    },
  )

  it.each(['pxb-bridges', 'pxb-numa'])('tells the demo on %s, too', async topology => {
    const { status, said } = await cli(
      'run',
      join(EXPERIMENTS, 'two-vms-one-nic.yaml'),
      '--topology',
      topology,
    )
    expect(said).not.toContain('✗')
    expect(status).toBe(0)
  })

  it('ends with 1, and says where, if something is not as expected', async () => {
    const file = join(folder, 'wrong.yaml')
    writeFileSync(
      file,
      'title: Wrong\ntopology: one-socket-82576\nsteps:\n' +
        '  - do: createVm\n    with: { name: a, vcpus: 1, memoryMiB: 64 }\n    expect: { vcpus: 2 }\n',
    )
    const { status, said } = await cli('run', file)
    expect(status).toBe(1)
    expect(said).toContain('but /vcpus is 1, not 2')
    const json = JSON.parse((await cli('run', file, '--json')).said)
    expect(json).toMatchObject({ passed: false, steps: [{ operation: 'createVm', output: { vcpus: 1 } }] })
  })

  it('finds a topology beside the document', async () => {
    writeFileSync(join(folder, 'small.yaml'), 'name: small\niommu: { kind: none }\nhostBridges: [{}]\n')
    const file = join(folder, 'beside.yaml')
    writeFileSync(
      file,
      'title: Beside\ntopology: ./small.yaml\nsteps: [{ do: units, expect: [] }, { do: attach, with: { vm: a, function: "00:00.0" }, refused: { code: notFound } }]\n',
    )
    expect((await cli('run', file)).status).toBe(0)
  })
})
