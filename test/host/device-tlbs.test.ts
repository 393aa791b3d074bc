import { describe, expect, it } from 'vitest'
import type { AssignedFunction } from '../../src/host/index.ts'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { type Booted, boot } from './machine.ts'

const CARD = '0000:01:00.0'
const OTHER = '0000:02:00.0'
const READ_WRITE = { read: true, write: true }
const SM = 'intel_iommu=on,sm_on'
const LEGACY = { DT: 1 } as const
const SCALABLE = { DT: 1, SMTS: 1, SSTS: 1, SMPWCS: 1, SSADS: 1, PASID: 1, PSS: 19, PRS: 1 } as const

type Vtd = Extract<TopologyDocument['iommu'], { kind: 'intel-vtd' }>

/** Two cards with device-TLBs below a root port each. */
const cards = (
  capabilities: Vtd['units'][number]['capabilities'],
  more: Partial<Vtd> = { atsPorts: [{ allPorts: true }] },
): TopologyDocument => ({
  name: 'device-tlbs',
  memory: [{ sizeMiB: 256 }],
  iommu: {
    kind: 'intel-vtd',
    units: [{ id: 'unit', includeAll: true, capabilities: { ...capabilities } }],
    ...more,
  },
  hostBridges: [
    {
      devices: [
        ...(more.integratedCaches === undefined ? [] : [{ at: '04.0', model: 'ats-accelerator' }]),
        { at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'ats-accelerator' }] },
        { at: '02.0', model: 'root-port', devices: [{ at: '00.0', model: 'ats-accelerator' }] },
      ],
    },
  ],
})

/** "ATS Enable" in the ATS Control register, at 0x154 of this card. */
const atsEnabled = ({ platform }: Booted, rid: number): boolean =>
  platform.port.readDword(0x8000_0000 + rid * 4096 + 0x154) >>> 31 === 1

/** DMA by way of the device-TLB: where it ended, and with what address type it was made. */
function ats({ platform, host }: Booted, address: string, write: boolean, page: number) {
  const { segment, rid } = host.find(address)
  const engine = platform.engineOf(platform.fabric.functionAt(segment, rid)!)
  const [part] = engine.dma(write, page, 0, Uint8Array.of(1, 2, 3, 4), { useAts: true })
  return { ...part!, engine }
}

const TRANSLATED = 2
const SUCCESSFUL = 0
const TRANSLATION_DENIED = 9
const PAGE_REQUESTED = 10

const assign = ({ run, host }: Booted, address = CARD): AssignedFunction => {
  const handle = run(host.vfio.attach(address, 'guest'))
  handle.writeConfig(4, 2, 0x4)
  return handle
}

describe('a device-TLB', () => {
  it.each([
    [
      'below every root port, if firmware names all of them',
      { atsPorts: [{ allPorts: true }] },
      [true, true],
    ],
    ['below the root ports that firmware names', { atsPorts: [{ functions: ['00:02.0'] }] }, [false, true]],
    ['nowhere else', {}, [false, false]],
  ])('is enabled %s', (_, more, expected) => {
    const booted = boot(cards(LEGACY, more))
    expect([0x0100, 0x0200].map(rid => atsEnabled(booted, rid))).toEqual(expected)
  })

  it('of the root complex itself needs no port; one that is on by itself in legacy mode is left alone', () => {
    const integrated = (required: boolean) => ({
      integratedCaches: [{ required, functions: ['00:04.0'] }],
    })
    expect(atsEnabled(boot(cards(LEGACY, { integratedCaches: [] })), 0x0020)).toBe(true)
    expect(atsEnabled(boot(cards(LEGACY, integrated(false))), 0x0020)).toBe(true)
    expect(atsEnabled(boot(cards(LEGACY, integrated(true))), 0x0020)).toBe(false)
    const scalable = boot(cards(SCALABLE, integrated(true)), { commandLine: SM })
    expect(atsEnabled(scalable, 0x0020)).toBe(true)
  })

  it('is not enabled if the unit serves none, or if addresses pass through in legacy mode', () => {
    expect(atsEnabled(boot(cards({})), 0x0100)).toBe(false)
    expect(atsEnabled(boot(cards(LEGACY), { commandLine: 'intel_iommu=on iommu=pt' }), 0x0100)).toBe(false)
    expect(atsEnabled(boot(cards(SCALABLE), { commandLine: `${SM} iommu=pt` }), 0x0100)).toBe(true)
  })

  it.each([
    ['legacy', LEGACY, 'intel_iommu=on'],
    ['scalable', SCALABLE, SM],
  ])('forgets a page that is unmapped, in %s mode', (_, capabilities, commandLine) => {
    const booted = boot(cards(capabilities), { commandLine })
    const { host, run } = booted
    const handle = assign(booted)
    const page = host.memory.allocate(512, 512)
    run(handle.map(0x40_0000, page, 512, READ_WRITE))
    run(handle.map(0x80_0000, page, 1, READ_WRITE))
    expect(ats(booted, CARD, true, 0x407)).toMatchObject({ addressType: TRANSLATED, physicalPage: page + 7 })
    expect(ats(booted, CARD, true, 0x800)).toMatchObject({ addressType: TRANSLATED, physicalPage: page })
    run(handle.unmap(0x80_0000, 1))
    expect(ats(booted, CARD, true, 0x800).status).not.toBe(SUCCESSFUL)
    expect(ats(booted, CARD, true, 0x407)).toMatchObject({ status: SUCCESSFUL })
    run(handle.unmap(0x40_0000, 512))
    expect(ats(booted, CARD, true, 0x407).status).not.toBe(SUCCESSFUL)
    run(handle.release())
    expect(atsEnabled(booted, 0x0100)).toBe(true)
  })

  it('of a device that does not answer does not keep the kernel from forgetting', () => {
    const booted = boot(cards(LEGACY))
    const { host, run, platform, dma } = booted
    const handle = assign(booted)
    const page = host.memory.allocate(1)
    run(handle.map(0x40_0000, page, 1, READ_WRITE))
    expect(dma(CARD, true, 0x400).ended).toBe('memory')
    const { segment, rid } = host.find(CARD)
    platform.fabric.functionAt(segment, rid)!.translation!.invalidationDelay = -1
    run(handle.unmap(0x40_0000, 1))
    expect(dma(CARD, true, 0x400).ended).toBe('fault')
    // "Fault Status Register": ITE was cleared, and the queue goes on.
    expect(platform.port.readDword(0xfed9_0034) & 0x40).toBe(0)
    run(handle.map(0x40_0000, page, 1, READ_WRITE))
    expect(dma(CARD, true, 0x400).ended).toBe('memory')
  })

  it('is still enabled after a reset of the function', () => {
    const booted = boot(cards(LEGACY))
    booted.run(booted.host.reset(CARD))
    expect(atsEnabled(booted, 0x0100)).toBe(true)
  })
})

describe('page requests', () => {
  const withRequests = () => {
    const booted = boot(cards(SCALABLE), { commandLine: SM })
    const handle = assign(booted)
    const asked: number[] = []
    const page = booted.host.memory.allocate(2)
    booted.run(
      handle.servePageRequests(function* (iova, { write }) {
        asked.push(iova)
        if (iova >= 0x100_0000) return false
        yield* handle.map(iova, page, 1, { read: true, write })
        return true
      }),
    )
    const answer = (): number => {
      booted.host.serviceInterrupts()
      return booted.run(booted.host.answerPageRequests())
    }
    return { booted, handle, asked, page, answer }
  }

  it('have a page mapped when the device wants it', () => {
    const { booted, asked, page, answer } = withRequests()
    const first = ats(booted, CARD, true, 0x123)
    expect(first.status).toBe(PAGE_REQUESTED)
    expect(answer()).toBe(1)
    expect(asked).toEqual([0x12_3000])
    const [again] = first.engine.retry()
    expect(again).toMatchObject({ status: SUCCESSFUL, addressType: TRANSLATED, physicalPage: page })
    expect(answer()).toBe(0)
  })

  it('that the owner refuses are denied to the device', () => {
    const { booted, asked, answer } = withRequests()
    const first = ats(booted, CARD, true, 0x1000)
    expect(first.status).toBe(PAGE_REQUESTED)
    expect(answer()).toBe(1)
    expect(asked).toEqual([0x100_0000])
    expect(first.engine.retry()[0]).toMatchObject({ status: TRANSLATION_DENIED })
  })

  it('end with the assignment', () => {
    const { booted, handle } = withRequests()
    booted.run(handle.release())
    const control = booted.platform.port.readDword(0x8000_0000 + 0x0100 * 4096 + 0x164)
    expect(control & 1).toBe(0)
  })

  it('are refused where the unit takes none', () => {
    const booted = boot(cards({ ...SCALABLE, PRS: 0 }), { commandLine: SM })
    const handle = assign(booted, OTHER)
    expect(() =>
      booted.run(handle.servePageRequests(() => booted.host.answerPageRequests() as never)),
    ).toThrow(/ECAP.PRS/)
  })
})
