import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'

async function predict(
  ...args: readonly string[]
): Promise<{ status: number; out: string; complaint: string }> {
  const out: string[] = []
  const complaints: string[] = []
  const status = await runCli(['predict', ...args], {
    print: text => out.push(text),
    complain: text => complaints.push(text),
  })
  return { status, out: out.join('\n'), complaint: complaints.join('\n') }
}

function file(content: unknown): string {
  const path = join(mkdtempSync(join(tmpdir(), 'northbridge-')), 'records.json')
  writeFileSync(path, JSON.stringify(content))
  return path
}

const HYPERCALL = {
  id: 'call',
  metric: 'operation_cost',
  unit: 'cycles',
  cpu: 'Xeon E5-2450',
  x: { name: 'op', value: 'null hypercall' },
  configuration: { mode: 'hardware-assisted' },
}
const UNKNOWN = { id: 'mood', metric: 'happiness', unit: '%' }

describe('northbridge predict', () => {
  it('prints with --json an array of values with breakdowns, and of reasons', async () => {
    const { status, out } = await predict(file([HYPERCALL, UNKNOWN]), '--json')
    const [call, mood] = JSON.parse(out)
    expect(status).toBe(0)
    expect(call).toMatchObject({
      id: 'call',
      value: expect.any(Number),
      breakdown: { unit: 'cycles', total: call.value },
    })
    expect(call.breakdown.parts.map(({ cause }: { cause: string }) => cause)).toEqual([
      'VM exit and entry',
      'dispatched',
    ])
    expect(mood).toEqual({ id: 'mood', notModelled: expect.stringContaining('happiness') })
  })

  it('tells people the value, its largest parts and the bottleneck', async () => {
    const { out } = await predict('examples/questions.json')
    expect(out).toMatch(/^exit-to-user-space: \d+ cycles$/m)
    expect(out).toMatch(/^ {2}bottleneck wire/m)
    expect(out).toMatch(/^nested-paging-gain: not modelled: /m)
  })

  it('refuses a file that holds no records, with the place', async () => {
    const { status, complaint } = await predict(file([{ id: 'one' }]))
    expect(status).not.toBe(0)
    expect(complaint).toContain('/0/metric')
  })
})
