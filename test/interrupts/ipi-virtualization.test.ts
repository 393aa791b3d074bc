import { describe, expect, it } from 'vitest'
import { ACCESS_PAGE, ApicvBench } from '../../src/conformance/vmx/apicv-bench.ts'

/** "PID-Pointer Table": entry n names the descriptor of virtual APIC n. */
const TABLE = 0x1_e000
const TARGET = 0x1_f040
const ACTIVATE_TERTIARY = 1 << 17
const IPI_VIRTUALIZATION = 1 << 4
const NV = 0xe1
const VALID = 1

function guest(x2apic: boolean) {
  const bench = new ApicvBench()
  const { machine } = bench
  bench.configure({ x2apic, apicAccesses: !x2apic, registers: true, delivery: true, passMsrs: x2apic })
  const [primary] = machine.get('primaryProcessorBasedControls')
  machine.set('primaryProcessorBasedControls', (primary | ACTIVATE_TERTIARY) >>> 0)
  machine.set('tertiaryProcessorBasedControls', IPI_VIRTUALIZATION)
  machine.set('pidPointerTableAddress', TABLE)
  machine.set('lastPidPointerIndex', 3)
  machine.map.writeDword(TABLE + 2 * 8, TARGET | VALID)
  machine.map.writeDword(TARGET + 32, NV << 16)
  expect(bench.describe(machine.enter())).toBe('done')
  const send = (command: number, destination: number): string => {
    if (x2apic) return bench.effect({ op: 'wrmsr', msr: 0x830, value: [command, destination] })
    const high = ACCESS_PAGE + 0x310
    bench.run({ op: 'write', address: high, width: 4, value: [(destination << 24) >>> 0, 0] })
    return bench.effect({ op: 'write', address: ACCESS_PAGE + 0x300, width: 4, value: [command, 0] })
  }
  const posted = (vector: number): boolean =>
    ((machine.map.readDword(TARGET + (vector >>> 5) * 4) >>> (vector & 31)) & 1) === 1
  const status = (): number => machine.map.readDword(TARGET + 32)
  return { bench, machine, send, posted, status }
}

describe.each([
  ['xAPIC', false],
  ['x2APIC', true],
])('IPI virtualization in %s mode', (_, x2apic) => {
  it('posts a fixed interrupt to the descriptor of its destination, and notifies, without a VM exit', () => {
    const { send, posted, status, machine } = guest(x2apic)
    // NDST is 0: this processor, where the notification becomes an external-interrupt exit.
    expect(send(0x4061, 2)).toBe('externalInterrupt 0x0')
    expect(posted(0x61)).toBe(true)
    expect(status()).toBe(((NV << 16) | 1) >>> 0)
    expect(machine.get('guestRip')[0]).toBeGreaterThan(0x1000)
  })

  it('an outstanding or suppressed notification is not sent again', () => {
    for (const flag of [1, 2]) {
      const { send, posted, status, machine } = guest(x2apic)
      machine.map.writeDword(TARGET + 32, (NV << 16) | flag)
      expect(send(0x4061, 2)).toBe('done 0x0')
      expect(posted(0x61)).toBe(true)
      expect(status()).toBe(((NV << 16) | flag) >>> 0)
    }
  })

  it.each([
    ['an entry that is not valid', 0x61, 1],
    ['an index beyond the last', 0x61, 4],
    ['a logical destination', 0x861, 2],
    ['delivery mode NMI', 0x461, 2],
    ['a level', 0x8061, 2],
    ['a vector below 16', 0x0f, 2],
    ['a broadcast shorthand', 0x8_0061, 2],
  ])('%s is left to software by an APIC-write exit', (__, command, destination) => {
    const { send, posted, status } = guest(x2apic)
    expect(send(command, destination)).toBe('apicWrite 0x300')
    expect(posted(0x61)).toBe(false)
    expect(status()).toBe((NV << 16) >>> 0)
  })

  it('a reserved bit in the table entry is left to software too', () => {
    const { send, machine } = guest(x2apic)
    machine.map.writeDword(TABLE + 2 * 8, TARGET | VALID | 2)
    expect(send(0x61, 2)).toBe('apicWrite 0x300')
  })
})
