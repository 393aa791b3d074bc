import { describe, expect, test } from 'vitest'
import { drive, type Software } from '../../src/engine/index.ts'
import { checkMemory, GuestKernel, interruptCount } from '../../src/guest/index.ts'
import { ScriptedPort } from './scripted-port.ts'

const run = <Result>(software: Software<Result>): Result => drive(software, () => false)

/** A VF with 16 KiB 64-bit prefetchable BARs 0 and 3 and three MSI-X vectors, table in BAR 3. */
const VF = {
  barMasks: [0xffff_c000, 0xffff_ffff, 0, 0xffff_c000, 0xffff_ffff, 0],
  barTypes: [0xc, 0, 0, 0xc, 0, 0],
  capabilities: { 64: 0x5010, 80: 0x0002_0011, 84: 0x0000_0003, 88: 0x0000_2003 },
}

/** A function with a 32-bit BAR and MSI: four messages, 64-bit address. */
const MSI_FUNCTION = {
  barMasks: [0xffff_0000, 0, 0, 0, 0, 0],
  barTypes: [0, 0, 0, 0, 0, 0],
  capabilities: { 64: 0x0084_0005 },
}

describe('bring-up', () => {
  test('x2APIC where CPUID offers it: enabled, priorities open, software-enabled, then interrupts on', () => {
    const port = new ScriptedPort()
    run(new GuestKernel(port, 0).start())
    expect(port.log).toEqual(['wrmsr 1b fee00d00', 'wrmsr 808 0', 'wrmsr 80f 1ff', '{"op":"sti"}'])
  })

  test('else the xAPIC page', () => {
    const port = new ScriptedPort(undefined, false)
    run(new GuestKernel(port, 0).start())
    expect(port.memory.get(0xfee0_0080)).toBe(0)
    expect(port.memory.get(0xfee0_00f0)).toBe(0x1ff)
  })

  test('virtual processor 0 scans the bus, the others do not', () => {
    const first = new ScriptedPort(VF)
    run(new GuestKernel(first, 0).start())
    expect(first.config.get(4)).toBe(0x0406)
    const second = new ScriptedPort(VF)
    run(new GuestKernel(second, 1).start())
    expect(second.config.size).toBe(0)
  })
})

describe('a function that was inserted', () => {
  const plugIn = (port: ScriptedPort) => {
    const kernel = new GuestKernel(port, 0)
    port.present = false
    run(kernel.start())
    port.log.length = 0
    port.present = true
    port.changed = 2
    run(kernel.interrupt(0x30, true))
    return kernel
  }

  test('its BARs get size-aligned addresses in the 64-bit window, decoding off meanwhile', () => {
    const port = new ScriptedPort(VF)
    port.changed = 2
    run(new GuestKernel(port, 0).start())
    expect([0x10, 0x14, 0x1c, 0x20].map(offset => port.config.get(offset))).toEqual([0, 0x40, 0x4000, 0x40])
    expect(port.log.filter(line => line.startsWith('config 4/'))).toEqual([
      'config 4/2 400',
      'config 4/2 406',
    ])
  })

  test('MSI-X: enabled with all masked, entries from vector 40h upward to its APIC, then unmasked', () => {
    const port = new ScriptedPort(VF)
    plugIn(port)
    const table = 0x40_0000_4000
    for (let i = 0; i < 3; i++) {
      expect([0, 4, 8, 12].map(word => port.memory.get(table + 16 * i + word))).toEqual([
        0xfee0_5000,
        0,
        0x40 + i,
        0,
      ])
    }
    expect(port.log.filter(line => line.startsWith('config 52'))).toEqual([
      'config 52/2 c000',
      'config 52/2 8000',
    ])
  })

  test('MSI: an aligned block of vectors, address and data before enable', () => {
    const port = new ScriptedPort(MSI_FUNCTION)
    plugIn(port)
    expect(port.config.get(0x10)).toBe(0xc000_0000)
    expect(port.log.filter(line => line.startsWith('config 4') && !line.startsWith('config 4/'))).toEqual([
      'config 44/4 fee05000',
      'config 48/4 0',
      'config 4c/2 40',
      'config 42/2 21',
    ])
  })

  test('is silenced and ejected on request; its addresses and vectors are free again', () => {
    const port = new ScriptedPort(VF)
    const kernel = plugIn(port)
    const before = JSON.stringify(new GuestKernel(port, 0).save())
    port.log.length = 0
    port.removing = 2
    run(kernel.interrupt(0x30, true))
    expect(port.log).toEqual([
      'config 52/2 0',
      'config 4/2 400',
      'eject 2',
      'wrmsr 80b 0',
      '{"op":"iret","interruptFlag":true}',
    ])
    const pci = (text: string) => JSON.parse(text).pci
    expect(pci(JSON.stringify(kernel.save()))).toEqual(pci(before))
  })
})

test('a function that went away unasked: the driver forgets it and frees what it had', () => {
  const port = new ScriptedPort(VF)
  const kernel = new GuestKernel(port, 0)
  run(kernel.start())
  port.present = false
  port.changed = 2
  run(kernel.interrupt(0x30, true))
  expect(kernel.save()).toMatchObject({ pci: { devices: [], window64: [] } })
})

describe('handlers', () => {
  test('an interrupt is counted in guest memory, ended and returned from', () => {
    const port = new ScriptedPort()
    const kernel = new GuestKernel(port, 0)
    run(kernel.start())
    port.log.length = 0
    run(kernel.interrupt(0x41, true))
    run(kernel.interrupt(0x41, true))
    expect(run(interruptCount(port, 0, 0x41))).toBe(2)
    expect(port.memory.get(0x9_0000 + 0x41 * 4)).toBe(2)
    expect(port.log.slice(0, 2)).toEqual(['wrmsr 80b 0', '{"op":"iret","interruptFlag":true}'])
  })

  test('an exception has no EOI, and returns to code with interrupts off if they were off', () => {
    const port = new ScriptedPort()
    const kernel = new GuestKernel(port, 2)
    run(kernel.interrupt(13, false))
    expect(port.log).toEqual(['{"op":"iret","interruptFlag":false}'])
    expect(run(interruptCount(port, 2, 13))).toBe(1)
  })
})

test('the memory check names the first address that does not keep its pattern', () => {
  const port = new ScriptedPort()
  const failing: ScriptedPort['execute'] = function* (operation) {
    const result = yield* port.execute(operation)
    return operation.op === 'read' && operation.address === 0x2010 ? { ...result, low: 0xdead } : result
  }
  expect(run(checkMemory({ attempt: () => undefined, execute: failing }, 0x2000, 0x40))).toBe(0x2010)
})
