import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { parseVectors, readText, replay, reportOf, tellReport } from '../../src/conformance/index.ts'
import { NO_QUIRKS, QEMU_11_1 } from '../../src/vtd/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Root table at 1000h, context table at 2000h, four levels of tables at 3000h to 6000h: page 0 leads to `frame`. */
const tables = (frame: string, more: object[] = []) => [
  { op: 'mem.write', addr: '0x1000', u64s: ['0x2001', '0x0'] },
  { op: 'mem.write', addr: '0x2180', u64s: ['0x3001', '0x102'] },
  { op: 'mem.write', addr: '0x3000', u64s: ['0x4003'] },
  { op: 'mem.write', addr: '0x4000', u64s: ['0x5003'] },
  { op: 'mem.write', addr: '0x5000', u64s: ['0x6003'] },
  { op: 'mem.write', addr: '0x6000', u64s: [frame] },
  { op: 'reg.write', reg: 'RTADDR', offset: '0x20', width: 64, value: '0x1000' },
  { op: 'reg.write', reg: 'GCMD', offset: '0x18', width: 32, value: '0x40000000' },
  { op: 'reg.write', reg: 'GCMD', offset: '0x18', width: 32, value: '0x80000000' },
  { op: 'reg.read', reg: 'GSTS', offset: '0x1c', width: 32, expect: '0xc0000000' },
  ...more,
]

const programOf = (steps: object[], functions: object[] = [ENDPOINT]) => ({
  id: 'made-up',
  format: 'vtd-vector-1',
  profile: 'made-up',
  seed: 1,
  unit: {
    base: '0xfed90000',
    mode: 'legacy',
    haw: 48,
    options: {},
    cap: '0x80d2008c222f0606',
    ecap: '0xf00f4a',
    version: '0x10',
  },
  functions,
  steps,
})

const ENDPOINT = { name: 'a0', bdf: '00:03.0', sourceId: 0x18, sourceIdText: '00:03.0', path: 'root complex' }
// Device 3 function 0 is entry 18h of the context table, at 2180h.
const write = (expectation: object, tags: object = {}) => ({
  op: 'dma',
  fn: 'a0',
  dir: 'write',
  addr: '0x10',
  len: 2,
  data: 'abcd',
  expect: expectation,
  ...tags,
})
const read = (expectation: object, tags: object = {}) => ({
  op: 'dma',
  fn: 'a0',
  dir: 'read',
  addr: '0x10',
  len: 2,
  expect: expectation,
  ...tags,
})
const landed = (pa: string, more: object = {}) => ({
  outcome: 'ok',
  parts: [{ addr: '0x10', len: 2, outcome: 'ok', pa, ...more }],
  fsts: '0x0',
})
const fault = (reason: string, type: 'read' | 'write') => ({
  outcome: 'fault',
  parts: [{ addr: '0x10', len: 2, outcome: 'fault' }],
  fsts: '0x2',
  frcd: ['0x0', `0x${type === 'read' ? 'c' : '8'}00000${reason}00000018`],
  newFault: {
    reason: Number.parseInt(reason, 16),
    sourceId: 0x18,
    address: '0x0',
    type,
    pasidPresent: 0,
    pasid: 0,
    execute: 0,
    privileged: 0,
  },
})

const run = (program: unknown, quirks = NO_QUIRKS) =>
  replay(parseVectors(JSON.stringify(program), 'x')[0]!, quirks)

describe('a replay', () => {
  it('passes what is as recorded: where a write landed, what memory and registers hold', () => {
    const verdict = run(
      programOf([
        ...tables('0x7003', [write(landed('0x7010'))]),
        { op: 'mem.expect', addr: '0x7010', bytes: 'abcd' },
        { op: 'note', text: 'that is all' },
      ]),
    )
    expect(verdict).toMatchObject({ failures: 0, checks: 6 })
  })

  it.each([
    ['the place', write(landed('0x8010')), '0x7010'],
    ['the outcome', write(fault('05', 'write')), 'ok at 0x7010'],
    ['what was read', read(landed('0x7010', { data: 'ffff' })), '0000'],
    ['the status register', write({ ...landed('0x7010'), fsts: '0x1' }), '0x0'],
    [
      'an event that did not come',
      write({ ...landed('0x7010'), events: [{ address: '0xfee00000', data: '0x21' }] }),
      '[]',
    ],
    [
      'a byte that did not change',
      write({ ...landed('0x7010'), memory: [{ addr: '0x9000', bytes: '01' }] }),
      'no change',
    ],
  ])('notices a difference in %s', (_what, step, got) => {
    const verdict = run(programOf(tables('0x7003', [step])))
    expect(verdict).toMatchObject({ id: 'made-up', failures: 1, failure: { got } })
    expect(verdict.failure?.at).toContain('step 10')
  })

  it('notices a byte that changed though nobody said so', () => {
    const verdict = run(
      programOf(
        tables('0x7003', [
          read({ ...landed('0x7010', { data: '0000' }) }),
          write(landed('0x7010')),
          { ...write(landed('0x7010')), data: 'abce', expect: landed('0x7010') },
        ]),
      ),
    )
    expect(verdict.failures).toBe(0)
    const silent = { op: 'reg.write', reg: 'IQT', offset: '0x88', width: 64, value: '0x10' }
    const queue = [
      { op: 'mem.write', addr: '0xa000', u64s: ['0x500000025', '0xb000'] },
      { op: 'reg.write', reg: 'IQA', offset: '0x90', width: 64, value: '0xa000' },
      { op: 'reg.write', reg: 'GCMD', offset: '0x18', width: 32, value: '0x84000000' },
    ]
    expect(run(programOf(tables('0x7003', [...queue, silent])))).toMatchObject({
      failures: 1,
      failure: { expected: 'byte 0xb000 staying as it was', got: '0x5' },
    })
    const told = { ...silent, expect: { memory: [{ addr: '0xb000', bytes: '05' }] } }
    expect(run(programOf(tables('0x7003', [...queue, told]))).failures).toBe(0)
  })

  it('compares fault records to the bit, and the reason with those that the specification names', () => {
    expect(run(programOf(tables('0x7002', [read(fault('06', 'read'))]))).failures).toBe(0)
    expect(run(programOf(tables('0x7002', [read(fault('07', 'read'))])))).toMatchObject({ failures: 1 })
    const tagged = read(fault('07', 'read'), {
      quirk: ['legacy-reason-in-scalable-mode'],
      spec: { reasons: ['0x6'] },
    })
    expect(run(programOf(tables('0x7002', [tagged]))).failures).toBe(0)
    expect(run(programOf(tables('0x7002', [{ ...tagged, spec: { reasons: ['0x5'] } }])))).toMatchObject({
      failures: 1,
    })
  })

  it('goes on from the recorded state after a step that rightly ended otherwise', () => {
    const kept = read(
      { outcome: 'fault', parts: [{ addr: '0x10', len: 2, outcome: 'fault' }], fsts: '0x0' },
      { quirk: ['permission-fault-on-iotlb-hit-not-recorded'], spec: { reasons: ['0x6'] } },
    )
    const status = { op: 'reg.read', reg: 'FSTS', offset: '0x34', width: 32, expect: '0x0' }
    const record = { op: 'reg.read', reg: 'FRCD1', offset: '0x228', width: 64 }
    const verdict = run(programOf(tables('0x7002', [write(landed('0x7010')), kept, status])))
    expect(verdict.failures).toBe(0)
    // F is clear, whatever else the record still says.
    const set = run(programOf(tables('0x7002', [kept, { ...record, expect: '0x8000000000000000' }])))
    expect(set.failures).toBe(1)
  })

  it('takes the recorded result or that of a fresh walk for a step that caches may decide, nothing else', () => {
    const changed = { op: 'mem.write', addr: '0x6000', u64s: ['0x8003'] }
    const choice = { implementationDefined: true }
    const old = [write(landed('0x7010')), changed, write(landed('0x7010'), choice)]
    const fresh = [write(landed('0x7010')), changed, write(landed('0x8010'), choice)]
    const wrong = [
      write(landed('0x7010')),
      changed,
      { op: 'reg.write', reg: 'IOTLB', offset: '0xf8', width: 64, value: '0x9000000000000000' },
      write(landed('0x7010')),
    ]
    expect(run(programOf(tables('0x7003', old))).failures).toBe(0)
    // The unit's cache answers with the old page: neither of the two.
    expect(run(programOf(tables('0x7003', fresh)))).toMatchObject({ failures: 1 })
    expect(run(programOf(tables('0x7003', wrong)))).toMatchObject({ failures: 1 })
  })

  it('skips a quirk that nobody specifies only where the unit has not that quirk', () => {
    const device = {
      op: 'reg.write',
      reg: 'IQT',
      offset: '0x88',
      width: 64,
      value: '0x10',
      quirk: ['device-tlb-descriptor-accepted-without-dt'],
    }
    const steps = tables('0x7003', [
      { op: 'mem.write', addr: '0xa000', u64s: ['0x1800000003', '0x0'] },
      { op: 'reg.write', reg: 'IQA', offset: '0x90', width: 64, value: '0xa000' },
      { op: 'reg.write', reg: 'GCMD', offset: '0x18', width: 32, value: '0x84000000' },
      device,
      { op: 'reg.read', reg: 'IQH', offset: '0x80', width: 64, expect: '0x10' },
      { op: 'reg.read', reg: 'FSTS', offset: '0x34', width: 32, expect: '0x0' },
    ])
    expect(run(programOf(steps)).failures).toBe(0)
    expect(run(programOf(steps), QEMU_11_1).failures).toBe(0)
  })

  it('puts functions behind the bridges that their path names', () => {
    const behind = {
      name: 'a0',
      bdf: '04:03.0',
      sourceId: 0x400,
      path: 'root port 00:0a.0, PCIe-to-PCI bridge 03:00.0 (bus 4): requester id seen is 04:00.0',
    }
    const missing = fault('01', 'write')
    const expected = {
      ...missing,
      frcd: ['0x0', '0x8000000100000400'],
      newFault: { ...missing.newFault, sourceId: 0x400 },
    }
    expect(run(programOf(tables('0x7003', [write(expected)]), [behind])).failures).toBe(0)
    const wrong = { ...behind, sourceId: 0x403 }
    expect(run(programOf(tables('0x7003', [write(expected)]), [wrong])).failure?.got).toContain('1024')
    const strange = { ...behind, path: 'a tunnel' }
    expect(run(programOf([], [strange])).failure).toMatchObject({
      at: 'unit',
      got: expect.stringContaining('a tunnel'),
    })
  })
})

describe('a file of programs', () => {
  const line = JSON.stringify(programOf(tables('0x7003')))

  it('is lines of JSON, an array, or one program; plain or packed', () => {
    const array = `[${line},${line}]`
    const pretty = JSON.stringify(JSON.parse(line), null, 2)
    for (const [text, count] of [
      [`${line}\n\n${line}\n`, 2],
      [array, 2],
      [pretty, 1],
    ] as const) {
      for (const [name, bytes] of [
        ['plain', Buffer.from(text)],
        ['packed', gzipSync(text)],
      ] as const) {
        const path = join(folder, name)
        writeFileSync(path, bytes)
        expect(parseVectors(readText(path), name)).toHaveLength(count)
      }
    }
  })

  it('may hold a wrong line: that program fails by line and field, the others run', () => {
    const broken = {
      ...programOf([{ op: 'reg.read', reg: 'FSTS', offset: '34h', width: 32, expect: '0x0' }]),
      id: 'broken',
    }
    const text = [line, '{"id": ', JSON.stringify(broken), line].join('\n')
    const report = reportOf(parseVectors(text, 'file.jsonl').map(program => replay(program, NO_QUIRKS)))
    expect(report).toMatchObject({ passed: 2, failed: 2 })
    expect(tellReport(report)).toMatch(/file\.jsonl:2: .*is not JSON/)
    expect(tellReport(report)).toMatch(/^broken: .*file\.jsonl:3: \/steps\/0\/offset: must be a hexadecimal/m)
    expect(tellReport(report).split('\n').at(-1)).toBe('2 passed, 2 failed')
  })

  it('may know steps and words about itself that came later; a step with an unknown word is refused', () => {
    const later = { ...programOf([...tables('0x7003'), { op: 'ats.request', fn: 'a0' }]), recordedBy: 'x' }
    expect(run(later).failure).toMatchObject({
      at: expect.stringContaining('step 10'),
      got: 'op ats.request',
    })
    const misread = programOf(tables('0x7003', [{ ...write(landed('0x7010')), pasid: 5 }]))
    expect(run(misread).failure?.got).toContain('/steps/10/pasid')
  })

  it('must exist', () => {
    expect(() => readText(join(folder, 'none'))).toThrow(/there is no file/)
  })
})
