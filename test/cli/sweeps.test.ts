import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import { documentWith, QUICK } from '../experiments/sweeps/documents.ts'

const folder = mkdtempSync(join(tmpdir(), 'northbridge-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = (name: string): string => join(folder, name)
const write = (name: string, document: object): string => {
  writeFileSync(file(name), JSON.stringify(document))
  return file(name)
}

async function cli(args: readonly string[], output: { interrupted?: AbortSignal } = {}) {
  const said: string[] = []
  const complaints: string[] = []
  const shown: string[] = []
  const status = await runCli(args, {
    print: text => said.push(text),
    complain: text => complaints.push(text),
    progress: text => shown.push(text),
    ...output,
  })
  return { status, said: said.join('\n'), complaints: complaints.join('\n'), shown }
}
const run = (...args: string[]) => cli(['run', ...args, '--workers', '1'])

const sweep = write('sweep.json', documentWith({ about: 'What is shown.' }))

describe('northbridge run of a sweep', () => {
  it('prints title, table and trace hash', async () => {
    const { status, said } = await run(sweep)
    expect(status).toBe(0)
    expect(said).toMatch(/^A sweep\n=======\n\nWhat is shown\.\n\n6 points: 2 of engine × 3 of size\n/)
    expect(said).toMatch(/\nengine {2}size {2}throughput Gb\/s {2}/)
    expect(said).toMatch(/\nTrace hash [0-9a-f]{16}$/)
  })

  it('shows how far it is, and clears that at the end', async () => {
    const { shown } = await run(sweep)
    expect(shown[0]).toBe('░░░░░░░░░░░░░░░░░░░░░░░░ 0/6')
    expect(shown).toContain('████████████░░░░░░░░░░░░ 3/6 engine reads, size 1024')
    expect(shown.at(-1)).toBe('')
  })

  it('prints the whole result as JSON, or a row a point as CSV', async () => {
    const { said } = await run(sweep, '--json')
    expect(JSON.parse(said)).toMatchObject({
      format: 'northbridge-sweep-1',
      passed: true,
      points: { length: 6 },
    })
    expect((await run(sweep, '--csv')).said.split('\r\n')).toHaveLength(7)
  })

  it('gives the same on one worker and on two', async () => {
    const two = await cli(['run', sweep, '--json', '--workers', '2'])
    expect(two.said).toBe((await run(sweep, '--json')).said)
  })

  it('writes JSON, CSV and a page into a folder', async () => {
    const { said } = await run(sweep, '--out', file('results'))
    expect(readdirSync(file('results')).sort()).toEqual(['sweep.csv', 'sweep.html', 'sweep.json'])
    expect(said).toContain(`Written: ${file('results')}`)
    expect(readFileSync(join(file('results'), 'sweep.html'), 'utf8')).toContain('<h1>A sweep</h1>')
  })

  it('ends with 1 if not all is as expected, and says what', async () => {
    const expected = [{ say: 'It is as fast as light', metric: 'throughput', atLeast: 1e6 }]
    const { status, said } = await run(write('hopes.json', documentWith({ expect: expected })))
    expect(status).toBe(1)
    expect(said).toMatch(
      /✗ It is as fast as light\n {4}throughput is [\d.]+ Gb\/s at engine (reads|writes), size 64/,
    )
  })

  it('takes the machine of another topology', async () => {
    const { said } = await run(sweep, '--topology', 'two-socket-82599', '--json')
    expect(JSON.parse(said).document.topology).toBe('two-socket-82599')
  })

  it('finds topologies beside the document', async () => {
    write('here.json', { name: 'here', iommu: { kind: 'none' }, hostBridges: [{}] })
    const local = write('local.json', documentWith({ axes: [], topology: './here.json' }))
    expect((await run(local)).status).toBe(0)
  })

  it.each([
    [['--workers', '0'], '--workers must be 1 to 1024, not "0"'],
    [['--json', '--csv'], '--json and --csv exclude each other'],
    [['--topology', 'nowhere'], 'There is no topology "nowhere"'],
  ])('refuses %j', async (options, message) => {
    const { status, complaints } = await cli(['run', sweep, ...options])
    expect(status).toBeGreaterThan(1)
    expect(complaints).toContain(message)
  })

  it('names the field of a document that is wrong', async () => {
    const wrong = documentWith({ configuration: { ...QUICK, link: { lanes: 3 } } })
    const { status, complaints } = await run(write('wrong.json', wrong))
    expect(status).toBe(2)
    expect(complaints).toContain('/configuration/link/lanes')
  })

  it('stops when it is interrupted, and says how far it came', async () => {
    const controller = new AbortController()
    controller.abort()
    const { status, complaints } = await cli(['run', sweep], { interrupted: controller.signal })
    expect(status).toBe(130)
    expect(complaints).toBe('northbridge: stopped after 0 of 6 points')
  })
})

describe('northbridge compare', () => {
  beforeAll(() => run(sweep, '--out', folder))

  it('explains how parts of one result differ', async () => {
    const { status, said } = await cli(['compare', `${sweep}#engine=reads`, `${sweep}#engine=writes`])
    expect(status).toBe(0)
    expect(said).toContain(`A: ${sweep}#engine=reads`)
    expect(said).toMatch(/\nsize {2}throughput Gb\/s {2,}/)
    expect(said).toContain('An operation takes ')
  })

  it('takes results that were written, and documents', async () => {
    const other = write('other.json', documentWith({ configuration: { ...QUICK, link: { lanes: 4 } } }))
    await run(other, '--out', file('others'))
    const written = await cli(['compare', sweep, join(file('others'), 'other.json'), '--json'])
    const both = await cli(['compare', sweep, other, '--json'])
    expect(JSON.parse(written.said).pairs).toEqual(JSON.parse(both.said).pairs)
  })

  it.each([
    [['#engine'], '"engine" is no axis=value'],
    [['#motor=x'], 'has no axis "motor"'],
  ])('refuses %j', async ([place], message) => {
    const { status, complaints } = await cli(['compare', `${sweep}${place}`, sweep])
    expect(status).toBe(2)
    expect(complaints).toContain(message)
  })

  it('needs two sides', async () => {
    expect((await cli(['compare', sweep])).status).toBe(2)
  })

  it('still compares techniques', async () => {
    const { status, said } = await cli([
      'compare',
      'techniques',
      'task-priority-storm',
      '--technique',
      'vmxEpt',
    ])
    expect(status).toBe(0)
    expect(said).toContain('vmxEpt')
  })
})
