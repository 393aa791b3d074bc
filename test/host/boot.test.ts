import { describe, expect, it } from 'vitest'
import { boot, machine } from './machine.ts'

const GSTS = 0x1c
const RTADDR = 0x20
const FECTL = 0x38
const IRTA = 0xb8

const register = ({ platform }: ReturnType<typeof boot>, offset: number): number => {
  const unit = platform.units[0]!
  return unit.readDword(offset) >>> 0
}

describe('a booted host kernel', () => {
  it('finds every function where firmware numbered it, and says what it is', () => {
    const { host } = boot(machine())
    expect(host.functions().map(({ address, kind, driver }) => `${address} ${kind} ${driver}`)).toEqual([
      '0000:00:00.0 hostBridge null',
      '0000:00:01.0 rootPort pcieport',
      '0000:00:02.0 rootPort pcieport',
      '0000:00:03.0 rootPort pcieport',
      '0000:00:1f.0 endpoint lpc_ich',
      '0000:00:1f.2 endpoint ahci',
      '0000:00:1f.3 endpoint i801_smbus',
      '0000:01:00.0 PF igb',
      '0000:02:00.0 upstreamPort pcieport',
      '0000:03:00.0 downstreamPort pcieport',
      '0000:03:01.0 downstreamPort pcieport',
      '0000:04:00.0 endpoint e1000e',
      '0000:05:00.0 PF nvme',
      '0000:06:00.0 bridge null',
      '0000:07:01.0 endpoint e1000',
    ])
    expect(host.find('0000:07:01.0').parent).toBe('0000:06:00.0')
    expect(host.find('01:00.0').capabilities).toContain('SR-IOV')
  })

  it('has DMA and interrupt remapping on: TES, QIES, IRES, RTPS and IRTPS of GSTS', () => {
    const machineOn = boot(machine())
    expect(register(machineOn, GSTS) & 0xc700_0000).toBe(0xc700_0000 | 0)
    expect(register(machineOn, RTADDR) & 0xfff).toBe(0)
    expect(register(machineOn, IRTA) & 0xfff).toBe(0x80f) // EIME, 2^16 entries
    expect(register(machineOn, FECTL)).toBe(0x8000_0000)
  })

  it('leaves EIME clear in a unit without extended interrupt mode', () => {
    expect(register(boot(machine({ EIM: 0 })), IRTA) & 0xfff).toBe(0x00f)
  })

  it('invalidates by registers where the unit has no queue, and then remaps no interrupts', () => {
    const old = boot(machine({ QI: 0, IR: 0, EIM: 0 }))
    expect(register(old, GSTS)).toBe(0xc000_0000)
    expect(old.dma('0000:04:00.0', true, 0x100)).toMatchObject({ ended: 'fault', reason: 0x05 })
  })

  it('gives every function a domain in which nothing is mapped', () => {
    const { dma } = boot(machine())
    expect(dma('0000:01:00.0', true, 0x400)).toMatchObject({ ended: 'fault', reason: 0x05 })
    expect(dma('0000:01:00.0', false, 0x400)).toMatchObject({ ended: 'fault', reason: 0x06 })
    // Behind the PCIe-to-PCI bridge requests carry the requester id 07:00.0, which no function has.
    expect(dma('0000:07:01.0', true, 0x400)).toMatchObject({ ended: 'fault', reason: 0x05 })
  })

  it('lets ISA bridges and their group reach the memory below 16 MiB', () => {
    const { dma } = boot(machine())
    expect(dma('0000:00:1f.2', true, 0xfff)).toMatchObject({ ended: 'memory', page: 0xfff })
    expect(dma('0000:00:1f.2', true, 0x1000)).toMatchObject({ ended: 'fault' })
  })

  it('hands out no memory that ISA bridges reach', () => {
    expect(boot(machine()).host.memory.allocate(1)).toBeGreaterThanOrEqual(0x1000)
  })

  it('passes addresses through with iommu=pt, by translation type or by identity tables', () => {
    const host = { commandLine: 'intel_iommu=on iommu=pt' }
    for (const PT of [1, 0]) {
      const { dma } = boot(machine({ PT }, { host }))
      expect(dma('0000:01:00.0', true, 0x5678)).toMatchObject({ ended: 'memory', page: 0x5678 })
    }
  })

  it('leaves translation off unless intel_iommu=on asks for it', () => {
    const off = boot(machine({}, { host: { commandLine: 'quiet' } }))
    expect(register(off, GSTS) >>> 31).toBe(0)
    expect(off.host.groups()).toEqual([])
    expect(off.dma('0000:01:00.0', true, 0x5678)).toMatchObject({ ended: 'memory', page: 0x5678 })
  })

  it('groups what shares a path without isolation, and says what lacks', () => {
    const { host } = boot(machine())
    const members = host.groups().map(({ functions }) => functions.join(' '))
    expect(members).toContain('0000:00:1f.0 0000:00:1f.2 0000:00:1f.3')
    expect(members).toContain('0000:00:02.0 0000:02:00.0 0000:03:00.0 0000:03:01.0 0000:04:00.0 0000:05:00.0')
    expect(members).toContain('0000:06:00.0 0000:07:01.0')
    const why = host.groups().flatMap(group => group.why)
    expect(why.find(reason => reason.function === '0000:04:00.0')).toMatchObject({
      rule: 'unisolatedPath',
      missing: ['ACS'],
    })
    expect(why.find(reason => reason.function === '0000:07:01.0')).toMatchObject({
      rule: 'alias',
      joined: '0000:06:00.0',
    })
    expect(why.find(reason => reason.function === '0000:00:1f.2')).toMatchObject({ rule: 'multifunction' })
  })

  it('takes redirection back where pci=disable_acs_redir names a port', () => {
    const host = { commandLine: 'intel_iommu=on pci=disable_acs_redir=00:01.0' }
    const booted = boot(machine({}, { host }))
    expect(booted.host.groups().map(({ functions }) => functions.join(' '))).toContain(
      '0000:00:01.0 0000:01:00.0',
    )
  })

  it('identity-maps reserved memory (RMRR) for the function that needs it', () => {
    const reservedMemory = [{ base: '0x8000000', limit: '0x8001fff', functions: ['00:01.0/00.0'] }]
    const { dma } = boot(machine({}, { reservedMemory }))
    expect(dma('0000:01:00.0', true, 0x8001)).toMatchObject({ ended: 'memory', page: 0x8001 })
    expect(dma('0000:01:00.0', true, 0x8002)).toMatchObject({ ended: 'fault' })
  })

  it('takes faults out of the registers if fault interrupts are unmasked', () => {
    const booted = boot(machine(), { faultInterrupts: true })
    booted.dma('0000:01:00.0', true, 0x12345)
    expect(booted.platform.units[0]!.faultRecords()).toHaveLength(1)
    expect(booted.host.serviceInterrupts()).toBe(1)
    expect(booted.platform.units[0]!.faultRecords()).toEqual([])
    expect(booted.host.faults('dmar0')).toEqual([
      { unit: 'dmar0', reason: 0x05, source: '0000:01:00.0', address: '0x12345000', write: true },
    ])
  })

  it('leaves faults in the registers otherwise', () => {
    const booted = boot(machine())
    booted.dma('0000:01:00.0', true, 0x12345)
    expect(booted.host.serviceInterrupts()).toBe(0)
    expect(booted.platform.units[0]!.faultRecords()).toHaveLength(1)
  })

  it('is the same, to the last bit, each time', () => {
    expect(boot(machine()).hash()).toBe(boot(machine()).hash())
  })
})
