import { describe, expect, it } from 'vitest'
import type { NorthbridgeError } from '../../src/core/index.ts'
import { boot, machine } from './machine.ts'

const NIC = '0000:01:00.0'
const DISK = '0000:00:1f.2'
const READ_WRITE = { read: true, write: true }
const gart = (commandLine = '') =>
  boot(machine({}, { iommu: { kind: 'gart' } }), { commandLine, bootVfs: { [NIC]: 1 } })

describe('a machine with an aperture', () => {
  it('gives a driver addresses in the aperture, and every function reaches them', () => {
    const { host, run, dma, platform } = gart()
    const buffer = run(host.allocateBuffer(NIC, 2, READ_WRITE))
    expect(buffer.address).not.toBe(buffer.hostPage * 4096)
    expect(dma(NIC, true, buffer.address / 4096 + 1)).toMatchObject({ page: buffer.hostPage + 1 })
    expect(dma(DISK, false, buffer.address / 4096 + 1)).toMatchObject({
      ended: 'memory',
      data: [1, 2, 3, 4],
    })
    expect(platform.units).toEqual([])
    run(host.freeBuffer(NIC, buffer.address))
    expect(dma(NIC, true, buffer.address / 4096).ended).not.toBe('memory')
  })

  it('passes addresses outside of the aperture unchanged', () => {
    expect(gart().dma(DISK, true, 0x500)).toMatchObject({ ended: 'memory', page: 0x500 })
  })

  it('is one without translation at all with iommu=off', () => {
    const { host, run } = gart('iommu=off')
    const buffer = run(host.allocateBuffer(NIC, 1, READ_WRITE))
    expect(buffer.address).toBe(buffer.hostPage * 4096)
  })

  it('takes the aperture from its memory, in the size that the command line says', () => {
    const taken = (commandLine: string) =>
      gart('iommu=off').host.memory.freePages - gart(commandLine).host.memory.freePages
    expect(taken('iommu=memaper=0')).toBe(0x2000 + 8)
    expect(taken('')).toBe(0x2000 + 8) // 64 MiB would be more than a quarter of what is free
  })

  it('has no groups, and assigns no function, because nothing tells requesters apart', () => {
    const { host, run, hash } = gart()
    expect(host.groups()).toEqual([])
    const before = hash()
    const attach = () => run(host.vfio.attach('0000:01:10.0', 'guest'))
    expect(attach).toThrow(/one table for all requesters/)
    try {
      attach()
    } catch (error) {
      expect((error as NorthbridgeError).code).toBe('noRemapping')
    }
    expect(hash()).toBe(before)
  })
})
