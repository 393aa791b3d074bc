/** AMD-V: VMRUN's faults and consistency checks, intercepts, injection, nested paging, GIF. Offsets are written out. */
import { describe, expect, it } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { ApicBus, InterruptMessage } from '../../src/interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../../src/memory/index.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import { LogicalProcessor } from '../../src/vmx/index.ts'

const VMCB = 0x1_0000
const NPT = 0x2_0000
const GUEST = 0x10_0000

function host() {
  const memory = new PhysicalMemory([{ base: 0, size: 0x400_0000 }])
  const bus = new ApicBus()
  const cpu = new LogicalProcessor(
    { number: 0, apicId: 0, capabilities: { svm: true } },
    {
      map: new SystemAddressMap(memory),
      bus,
      ports: { in: () => 0x5a, out: () => undefined },
      engine: new Engine(),
    },
  )
  const run = (operation: Operation) => cpu.execute(operation)
  const set = (offset: number, low: number, high = 0): void => {
    memory.writeDword(VMCB + offset, low >>> 0)
    memory.writeDword(VMCB + offset + 4, high >>> 0)
  }
  const get = (offset: number): number => memory.readDword(VMCB + offset)!
  run({ op: 'wrmsr', msr: 0xc000_0080, value: [0x1d01, 0] })
  // Intercept VMRUN and CPUID, ASID 1; 64-bit guest at CPL 0, paging tables at GUEST.
  set(0x00c, 1 << 18, 1)
  memory.writeDword(VMCB + 0x058, 1)
  set(0x4d0, 0x1d01)
  set(0x558, 0x8001_0031)
  set(0x550, GUEST)
  set(0x548, 0x20)
  set(0x570, 2)
  set(0x578, 0x1000)
  memory.writeDword(VMCB + 0x410, (0xa9b << 16) | 8)
  memory.writeDword(VMCB + 0x414, 0xffff_ffff)
  for (const offset of [0x400, 0x420, 0x430]) {
    memory.writeDword(VMCB + offset, (0xc93 << 16) | 0x10)
    memory.writeDword(VMCB + offset + 4, 0xffff_ffff)
  }
  for (let level = 0; level < 3; level++) {
    memory.writeDword(GUEST + level * 0x1000, (GUEST + (level + 1) * 0x1000) | 7)
  }
  for (let page = 0; page < 512; page++) memory.writeDword(GUEST + 0x3000 + page * 8, (page * 4096) | 7)
  const vmrun = () => run({ op: 'vmrun', address: VMCB })
  const interrupt = (vector: number): void => {
    const message = new InterruptMessage()
    message.vector = vector
    bus.deliver(message)
  }
  return { memory, cpu, run, set, get, vmrun, interrupt }
}

describe('VMRUN', () => {
  it('is #UD without EFER.SVME, #GP for a VMCB that is not page-aligned', () => {
    const { run } = host()
    expect(run({ op: 'vmrun', address: VMCB + 8 })).toMatchObject({ outcome: 'exception', vector: 13 })
    run({ op: 'wrmsr', msr: 0xc000_0080, value: [0xd01, 0] })
    expect(run({ op: 'vmrun', address: VMCB })).toMatchObject({ outcome: 'exception', vector: 6 })
  })

  it.each<[string, number, number, number]>([
    ['the VMRUN intercept clear', 0x010, 0, 0],
    ['ASID 0', 0x058, 0, 0],
    ['EFER.SVME clear', 0x4d0, 0xd01, 0],
    ['bits 63:32 of CR0', 0x558, 0x8001_0031, 1],
    ['bits 63:32 of CR4', 0x548, 0x20, 1],
    ['bits 63:32 of DR6', 0x568, 0, 1],
    ['bits 63:32 of DR7', 0x560, 0, 1],
    ['CR0.CD clear and NW set', 0x558, 0xa001_0031, 0],
    ['long mode without CR4.PAE', 0x548, 0, 0],
  ])('exits with code -1 for %s', (_name, offset, low, high) => {
    const { memory, set, get, vmrun, cpu } = host()
    if (offset === 0x010 || offset === 0x058) memory.writeDword(VMCB + offset, low)
    else set(offset, low, high)
    expect(vmrun().outcome).toBe('vmExit')
    expect([get(0x070), get(0x074)]).toEqual([0xffff_ffff, 0xffff_ffff])
    expect(cpu.execute({ op: 'nop' }).outcome).toBe('done')
  })

  it('exits with code -1 for CS.L and CS.D both set', () => {
    const { memory, get, vmrun } = host()
    memory.writeDword(VMCB + 0x410, (0xe9b << 16) | 8)
    expect(vmrun().outcome).toBe('vmExit')
    expect(get(0x070)).toBe(0xffff_ffff)
  })
})

describe('a guest', () => {
  it('leaves for an intercepted operation, with its exit code, its RIP, and the host back', () => {
    const { run, get, vmrun } = host()
    expect(vmrun().outcome).toBe('done')
    expect(run({ op: 'nop' }).outcome).toBe('done')
    expect(run({ op: 'cpuid', leaf: 0 }).outcome).toBe('vmExit')
    expect(get(0x070)).toBe(0x72)
    expect(get(0x578)).toBe(0x1001)
    expect(get(0x0c8)).toBe(0x1003)
    expect(run({ op: 'movFromCr', cr: 3 }).low).toBe(0)
  })

  it('runs what is not intercepted, and leaves for ports and MSRs by their bitmaps', () => {
    const { memory, run, set, get, vmrun } = host()
    set(0x00c, (1 << 27) | (1 << 28), 1)
    set(0x040, 0x3_0000)
    set(0x048, 0x4_0000)
    memory.writeDword(0x3_0000 + 0x60, 1 << 1)
    // IA32_LSTAR, writes only.
    memory.writeDword(0x4_0000 + 0x800 + ((0x82 * 2) >> 5) * 4, 1 << ((0x82 * 2 + 1) & 31))
    vmrun()
    expect(run({ op: 'in', port: 0x300, width: 1 })).toMatchObject({ outcome: 'done', low: 0x5a })
    expect(run({ op: 'rdmsr', msr: 0xc000_0082 }).outcome).toBe('done')
    expect(run({ op: 'wrmsr', msr: 0xc000_0082, value: [1, 0] }).outcome).toBe('vmExit')
    expect([get(0x070), get(0x078)]).toEqual([0x7c, 1])
    vmrun()
    expect(run({ op: 'in', port: 0x301, width: 1 }).outcome).toBe('vmExit')
    expect([get(0x070), get(0x078)]).toEqual([0x7b, 0x0301_0011])
  })

  it('leaves for an intercepted page fault with its error code and address', () => {
    const { memory, run, get, vmrun, set } = host()
    set(0x008, 1 << 14, 1 << 18)
    memory.writeDword(VMCB + 0x010, 1)
    memory.writeDword(GUEST + 0x3000 + 5 * 8, 0)
    vmrun()
    expect(run({ op: 'writeLinear', address: [0x5678, 0], width: 4, value: [1, 0] }).outcome).toBe('vmExit')
    expect([get(0x070), get(0x078), get(0x080)]).toEqual([0x4e, 2, 0x5678])
  })

  it('leaves for a physical interrupt, which the host takes after STGI', () => {
    const { cpu, run, get, vmrun, interrupt, set } = host()
    run({ op: 'write', address: 0xfee0_00f0, width: 4, value: [0x1ff, 0] })
    run({ op: 'sti' })
    run({ op: 'nop' })
    set(0x00c, 1, 1)
    set(0x060, 1 << 24)
    vmrun()
    interrupt(0x41)
    expect(run({ op: 'nop' }).outcome).toBe('vmExit')
    expect(get(0x070)).toBe(0x60)
    expect(cpu.takeInterrupt()).toBe(-1)
    run({ op: 'stgi' })
    expect(cpu.takeInterrupt()).toBe(0x41)
  })

  it('under nested paging faults with the guest-physical address, and walks in two dimensions', () => {
    const { memory, cpu, run, get, set, vmrun } = host()
    set(0x090, 1)
    set(0x0b0, NPT)
    for (let level = 0; level < 3; level++) {
      memory.writeDword(NPT + level * 0x1000, (NPT + (level + 1) * 0x1000) | 7)
    }
    for (let page = 0; page < 512; page++) {
      if (page !== 7) memory.writeDword(NPT + 0x3000 + page * 8, (page * 4096) | 7)
    }
    vmrun()
    const before = cpu.walkCounts()
    expect(run({ op: 'readLinear', address: [0x5000, 0], width: 4 }).outcome).toBe('done')
    const after = cpu.walkCounts()
    // 24, and no more: setting accessed flags meets the same cached translations.
    expect([after.paging - before.paging, after.nested - before.nested]).toEqual([4, 20])
    expect(run({ op: 'writeLinear', address: [0x7010, 0], width: 4, value: [1, 0] }).outcome).toBe('vmExit')
    expect([get(0x070), get(0x078), get(0x07c), get(0x080)]).toEqual([0x400, 6, 1, 0x7010])
  })
})

describe('VMMCALL', () => {
  it('is #UD where nothing intercepts it', () => {
    const { run } = host()
    expect(run({ op: 'vmmcall' })).toMatchObject({ outcome: 'exception', vector: 6 })
  })
})
