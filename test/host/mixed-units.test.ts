import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { type Booted, boot } from './machine.ts'

const file = join(import.meta.dirname, '../../topologies/accelerator-two-units.json')
const document = (): TopologyDocument => JSON.parse(readFileSync(file, 'utf8')) as TopologyDocument
const READ_WRITE = { read: true, write: true }
const CARD = '0000:81:00.0'
const VF = '0000:81:00.1'

const register = ({ platform: { port } }: Booted, unit: number, offset: number): number =>
  port.readDword(port.board.remapping.units[unit]!.registerBase + offset) >>> 0
const atsEnabled = (booted: Booted, address: string): boolean => {
  const { rid } = booted.host.find(address)
  return booted.platform.port.readDword(0x8000_0000 + rid * 4096 + 0x154) >>> 31 === 1
}

describe('units that differ', () => {
  it('each run in the best mode that they have', () => {
    const booted = boot(document())
    expect((register(booted, 0, 0x20) >>> 10) & 3).toBe(1)
    expect((register(booted, 1, 0x20) >>> 10) & 3).toBe(0)
    expect(register(booted, 0, 0x90) & 0x800).toBe(0x800)
    expect(register(booted, 1, 0x90) & 0x800).toBe(0)
  })

  it('have device-TLBs on only below the port that firmware names, VFs included', () => {
    const booted = boot(document())
    const other = booted.host.functions().find(fn => fn.deviceId === 0x00a5 && fn.address !== CARD)!
    expect(atsEnabled(booted, CARD)).toBe(true)
    expect(atsEnabled(booted, VF)).toBe(true)
    expect(atsEnabled(booted, other.address)).toBe(false)
  })

  it('let a function reach its reserved memory, and nobody else', () => {
    const { dma } = boot(document())
    expect(dma('0000:00:1f.2', true, 0x7_f000)).toMatchObject({ ended: 'memory', page: 0x7_f000 })
    expect(dma('0000:01:00.0', true, 0x7_f000).ended).toBe('fault')
  })

  it('track dirty pages of the one, and refuse to for the other', () => {
    const booted = boot(document())
    const { host, run, dma } = booted
    const handle = run(host.vfio.attach(VF, 'guest'))
    handle.writeConfig(4, 2, 0x4)
    const page = host.memory.allocate(9)
    run(handle.map(0, page, 9, READ_WRITE))
    run(handle.trackDirty(true))
    dma(VF, true, 8)
    expect([...run(handle.dirtyPages(0, 9))]).toEqual([0, 1])
    const nic = run(host.vfio.attach('0000:01:10.0', 'guest'))
    expect(() => run(nic.trackDirty(true))).toThrow(/chipset|dmar1/)
  })
})
