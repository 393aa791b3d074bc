/** What counts must obey, whatever the workload; and what misbehaves where nothing traps. */
import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseWorkload, streamOf, type Workload } from '../../../src/guest/index.ts'
import { parseCostTable, type TechniqueName } from '../../../src/hypervisor/index.ts'
import { RELOCATION, relocationOf, VMI_CALLS } from '../../../src/hypervisor/techniques/paravirtual-calls.ts'
import { readDocument } from '../../../src/operations/index.ts'
import { compareTechniques } from '../../../src/system/index.ts'
import { runSelfChecks, runStream } from '../../../src/system/technique-laboratory.ts'

const TAGGED = { taggedTlb: true, umip: false }
const shipped = readdirSync('workloads').map(file => parseWorkload(readDocument(`workloads/${file}`)))
const costs = (name: string) => parseCostTable(readDocument(`costs/${name}.json`))

const run = (name: TechniqueName, { bits, ...rest }: Workload) =>
  runStream(name, bits, streamOf({ bits, ...rest }), TAGGED)
const named = (name: string): Workload => shipped.find(workload => workload.name === name)!

/** Shorter versions: invariants hold round by round. */
const short = shipped.map(workload => ({ ...workload, rounds: 4 }))

describe.each(short.map(workload => [workload.name, workload] as const))('%s', (_name, workload) => {
  it('is the same stream each time', () => {
    expect(streamOf(workload)).toEqual(streamOf(workload))
    expect(streamOf({ ...workload, seed: workload.seed + 1 })).toHaveLength(streamOf(workload).length)
  })

  it('causes no exit on CR3 loads, INVLPG or page faults with EPT', () => {
    const { ledger } = run('vmxEpt', workload)
    const exits = ledger.causes('exit')
    expect(exits['invlpg']).toBeUndefined()
    expect(exits['pageFault']).toBeUndefined()
    if (workload.bits === 32) expect(exits['controlRegisterAccess']).toBeUndefined()
    expect(ledger.total('hiddenFault')).toBe(0)
  })

  it('exits once for each CR3 load and INVLPG under shadow paging', () => {
    const operations = streamOf(workload).flatMap(step => (step.kind === 'operation' ? [step.operation] : []))
    const { ledger } = run('vmxShadow', workload)
    const count = (op: string) => operations.filter(operation => operation.op === op).length
    expect(ledger.causes('exit')['invlpg'] ?? 0).toBe(count('invlpg'))
    const switches = operations.filter(one => one.op === 'movToCr' && one.cr === 3).length
    expect(ledger.total('shadowSwitch')).toBe(switches)
  })

  it('walks no second table without a second stage', () => {
    for (const technique of ['bareMetal', 'vmxShadow', 'svmShadow'] as const) {
      expect(run(technique, workload).walks.nested).toBe(0)
    }
    expect(run('svmNested', workload).walks.nested).toBeGreaterThan(0)
  })

  it.runIf(workload.bits === 32)('meets no privileged operation that traps from translated code', () => {
    const { ledger } = run('binaryTranslation', workload)
    const allowed = ['pageFault', 'interrupt', 'int', 'sysenter']
    expect(Object.keys(ledger.causes('trap')).filter(cause => !allowed.includes(cause))).toEqual([])
    expect(ledger.translatedBlocks).toBeGreaterThan(0)
    expect(ledger.total('translatedOperation')).toBeLessThanOrEqual(ledger.translatedBlocks * 12 + 60)
  })
})

describe('the techniques', () => {
  it('fill each shadow entry once between changes: hidden faults are bounded by touched pages and CR3s', () => {
    const { ledger } = run('vmxShadow', { ...named('system-call-storm'), rounds: 10 })
    // One address space, no table written: read and write faults of the pages that the storm touches.
    expect(ledger.total('tracedWrite')).toBe(0)
    expect(ledger.total('hiddenFault')).toBeLessThanOrEqual(2 * 32)
    const longer = run('vmxShadow', { ...named('system-call-storm'), rounds: 40 }).ledger
    expect(longer.total('hiddenFault')).toBe(ledger.total('hiddenFault'))
  })

  it('retranslate an operation that traps again and again, and drop translations whose source was written', () => {
    const faults = run('binaryTranslation', named('page-fault-storm')).ledger
    expect(faults.causes('translatedOperation')['adapted']).toBeGreaterThan(0)
    expect(faults.causes('callout')['adapted']).toBeGreaterThan(0)
    const self = run('binaryTranslation', named('self-modifying-code')).ledger
    expect(self.causes('tracedWrite')['translatedSource']).toBeGreaterThan(0)
    const other = run('binaryTranslation', named('interrupt-flag-storm')).ledger
    expect(other.causes('tracedWrite')['translatedSource']).toBeUndefined()
    expect(self.translatedBlocks).toBeGreaterThan(other.translatedBlocks)
  })

  it('batch page-table requests of a paravirtual kernel in multicalls', () => {
    const { ledger } = run('paravirtual', named('page-fault-storm'))
    expect(ledger.causes('hypercall')['multicall']).toBeGreaterThan(0)
    expect(ledger.total('batchedRequest')).toBeGreaterThan(ledger.causes('hypercall')['multicall']!)
    expect(ledger.total('hiddenFault') + ledger.total('tracedWrite')).toBe(0)
  })
})

describe('the self-checks of a guest', () => {
  const failing = (name: TechniqueName, bits: 32 | 64, umip = false) =>
    runSelfChecks(name, bits, { ...TAGGED, umip })
      .filter(check => !check.passed)
      .map(check => check.about)

  it.each([
    ['bareMetal', 32],
    ['bareMetal', 64],
    ['binaryTranslation', 32],
    ['vmxShadow', 32],
    ['vmxShadow', 64],
    ['vmxEpt', 32],
    ['vmxEpt', 64],
    ['svmShadow', 32],
    ['svmShadow', 64],
    ['svmNested', 32],
    ['svmNested', 64],
  ] as const)('all pass under %s with %i bits', (name, bits) => {
    expect(failing(name, bits)).toEqual([])
  })

  it('show what plain ring deprivileging breaks', () => {
    const broken = failing('ringDeprivileging013', 32)
    for (const about of [
      'POPF',
      'PUSHF',
      'SGDT',
      'SIDT',
      'SLDT',
      'STR',
      'SMSW',
      'PUSH (segment)',
      'LAR',
      'LSL',
    ]) {
      expect(broken).toContain(about)
    }
    expect(broken).toContain('IRET')
    expect(broken).toContain('address-space compression')
    expect(broken).not.toContain('ring compression')
  })

  it('show ring compression where the kernel shares ring 3 with its users', () => {
    const broken = failing('ringDeprivileging033', 64)
    for (const about of ['ring compression', 'VERR', 'VERW', 'address-space compression']) {
      expect(broken).toContain(about)
    }
  })

  it('pass for the five instructions that CR4.UMIP makes trap', () => {
    const broken = failing('ringDeprivileging013', 32, true)
    for (const about of ['SGDT', 'SIDT', 'SLDT', 'STR', 'SMSW']) expect(broken).not.toContain(about)
    expect(broken).toContain('POPF')
  })
})

describe('the VMI ROM', () => {
  it('leaves every call site of the kernel as it is on bare metal, and makes a call of it on the hypervisor', () => {
    const calls = Object.values(VMI_CALLS)
    expect(calls.length).toBeGreaterThan(15)
    for (const call of calls) {
      expect(relocationOf(call, 'native')).toBe(RELOCATION.none)
      expect(relocationOf(call, 'hypervisor')).toBe(RELOCATION.callRelative)
    }
  })
})

describe('the cost tables', () => {
  const names = readdirSync('costs')
    .filter(file => file.endsWith('.json'))
    .map(file => file.replace('.json', ''))

  it('give a source for every number', () => {
    for (const name of names) {
      const table = costs(name)
      expect(table.name).toBe(name)
      for (const price of Object.values(table.cycles)) expect(price.source.length).toBeGreaterThan(10)
    }
  })

  it('are refused where a price leaves its range, with the place named', () => {
    const table = structuredClone(costs('zen')) as { cycles: { exit: { cycles: number } } }
    table.cycles.exit.cycles = 1
    expect(() => parseCostTable(table)).toThrow('/cycles/exit')
  })
})

describe('the multi-mode monitor', () => {
  const choice = (workload: string, generation: string) =>
    compareTechniques({ ...named(workload), rounds: 4 }, costs(generation)).multiMode

  it('prefers translation where exits are dear, and hardware where they are cheap and memory is nested', () => {
    expect(choice('interrupt-flag-storm', 'nehalem').chosen).toBe('vmxEpt')
    expect(choice('page-fault-storm', 'nehalem').chosen).toBe('vmxEpt')
    expect(choice('io-storm', 'prescott').chosen).toBe('binaryTranslation')
  })

  it('has only hardware for a 64-bit guest, and says why', () => {
    const { chosen, filtered } = choice('mixed-server-64', 'core2')
    expect(chosen).toBe('vmxShadow')
    expect(filtered.find(({ name }) => name === 'binaryTranslation')?.reason).toContain('limits')
    expect(filtered.find(({ name }) => name === 'vmxEpt')?.reason).toContain('no EPT')
  })

  it('chooses by the estimates', () => {
    const { allowed, chosen } = choice('mixed-server', 'zen')
    expect(allowed[0]?.name).toBe(chosen)
    expect(allowed.map(({ cycles }) => cycles)).toEqual(
      allowed.map(({ cycles }) => cycles).toSorted((a, b) => a - b),
    )
  })
})
