import { describe, expect, it } from 'vitest'
import { type Booted, boot, machine } from './machine.ts'

const NIC = '0000:01:00.0'
const READ_WRITE = { read: true, write: true }

const allocate = ({ run, host }: Booted, pages = 1) => run(host.allocateBuffer(NIC, pages, READ_WRITE))
const reaches = ({ dma }: Booted, address: number): boolean =>
  dma(NIC, true, address / 4096).ended === 'memory'

describe('memory of a driver', () => {
  it('is where its function says, with the rights that the driver gave', () => {
    const booted = boot(machine())
    const { host, run, dma } = booted
    const buffer = run(host.allocateBuffer(NIC, 2, { read: true, write: false }))
    expect(host.buffers(NIC)).toEqual([buffer])
    expect(dma(NIC, false, buffer.address / 4096 + 1)).toMatchObject({
      ended: 'memory',
      page: buffer.hostPage + 1,
      data: [0, 0, 0, 0],
    })
    expect(dma(NIC, true, buffer.address / 4096)).toMatchObject({ ended: 'fault', reason: 0x05 })
    expect(dma('0000:00:1f.2', false, buffer.address / 4096).ended).toBe('fault')
  })

  it('lies at its physical address with iommu=pt, and without any unit', () => {
    for (const booted of [
      boot(machine(), { commandLine: 'intel_iommu=on iommu=pt' }),
      boot(machine({ PT: 0 }), { commandLine: 'intel_iommu=on iommu=pt' }),
      boot(machine({}, { iommu: { kind: 'none' } })),
    ]) {
      const before = booted.hash()
      const buffer = allocate(booted)
      expect(buffer.address).toBe(buffer.hostPage * 4096)
      expect(reaches(booted, buffer.address)).toBe(true)
      booted.run(booted.host.freeBuffer(NIC, buffer.address))
      expect(booted.hash()).not.toBe(before) // the page was written
    }
  })

  it('is refused to a function without a driver, and is gone with the driver', () => {
    const booted = boot(machine())
    const { host, run } = booted
    const free = host.memory.freePages
    const { address } = allocate(booted)
    run(host.bind(NIC, null))
    expect(host.buffers(NIC)).toEqual([])
    expect(reaches(booted, address)).toBe(false)
    run(host.flushDeferred())
    expect(free - host.memory.freePages).toBeLessThanOrEqual(3) // tables stay for the next buffer
    expect(() => allocate(booted)).toThrow(/no driver of the host/)
  })

  it('that was never allocated cannot be taken back', () => {
    const { host, run } = boot(machine())
    expect(() => run(host.freeBuffer(NIC, 0x8000_0000))).toThrow(/has no buffer at 0x80000000/)
  })
})

describe('memory of others that a driver lends to its function', () => {
  const twoRuns = ({ host }: Booted) =>
    [3, 1].map(pages => ({ hostPage: host.memory.allocate(pages), pages }))

  it.each(['intel_iommu=on iommu.strict=1', 'intel_iommu=on iommu.strict=0'])(
    'is reached until it is taken back, and not a moment longer, with %s',
    commandLine => {
      const booted = boot(machine(), { commandLine })
      const { host, run, dma } = booted
      const memory = twoRuns(booted)
      const device = host.device(NIC)
      const lent = run(device.lend(memory))
      for (const [i, { address, pages }] of lent.entries()) {
        const last = dma(NIC, true, address / 4096 + pages - 1)
        expect(last).toMatchObject({ ended: 'memory', page: memory[i]!.hostPage + pages - 1 })
      }
      run(device.takeBack(lent))
      for (const { address } of lent) expect(reaches(booted, address)).toBe(false)
      // It is its owner's still: nobody else gets it.
      const free = host.memory.freePages
      run(host.flushDeferred())
      expect(host.memory.freePages).toBe(free)
      expect(host.buffers(NIC)).toEqual([])
    },
  )

  it('is out of reach when the driver leaves', () => {
    const booted = boot(machine())
    const { host, run } = booted
    const [first] = run(host.device(NIC).lend(twoRuns(booted)))
    run(host.bind(NIC, null))
    run(host.bind(NIC, 'e1000e'))
    expect(reaches(booted, first!.address)).toBe(false)
  })

  it('is not reached at all if some of it cannot be', () => {
    const booted = boot(machine())
    const { host, run } = booted
    const [memory] = twoRuns(booted)
    const device = host.device(NIC)
    const lent = run(device.lend([memory!]))
    run(device.takeBack(lent))
    expect(() => run(device.lend([memory!, { hostPage: 0, pages: 2 ** 20 }]))).toThrow(
      expect.objectContaining({ code: 'outOfMemory' }),
    )
    // Where it was, and where it would have been again.
    expect(reaches(booted, lent[0]!.address)).toBe(false)
    expect(run(device.lend([memory!]))).toEqual(lent)
  })
})

describe('taking memory back', () => {
  const touched = (commandLine: string, capabilities = {}) => {
    const booted = boot(machine(capabilities), { commandLine })
    const buffer = allocate(booted)
    expect(reaches(booted, buffer.address)).toBe(true)
    return { booted, buffer }
  }

  it('in strict mode ends with no unit knowing the translation', () => {
    for (const { booted, buffer } of [
      touched('intel_iommu=on iommu.strict=1'),
      touched('intel_iommu=on', { CM: 1 }),
    ]) {
      booted.run(booted.host.freeBuffer(NIC, buffer.address))
      expect(reaches(booted, buffer.address)).toBe(false)
    }
  })

  it('in deferred mode leaves the device its translation until the flush', () => {
    const { booted, buffer } = touched('intel_iommu=on iommu.strict=0')
    booted.run(booted.host.freeBuffer(NIC, buffer.address))
    expect(reaches(booted, buffer.address)).toBe(true)
    booted.run(booted.host.flushDeferred())
    expect(reaches(booted, buffer.address)).toBe(false)
  })

  it('in deferred mode keeps page and address from others until the flush', () => {
    const { booted, buffer } = touched('intel_iommu=on')
    booted.run(booted.host.freeBuffer(NIC, buffer.address))
    const next = allocate(booted)
    expect(next.hostPage).not.toBe(buffer.hostPage)
    expect(next.address).not.toBe(buffer.address)
    booted.run(booted.host.flushDeferred())
    const last = allocate(booted)
    expect(last.address).toBe(buffer.address)
    expect(last.hostPage).toBe(buffer.hostPage)
    expect(reaches(booted, last.address)).toBe(true)
  })

  it('in deferred mode flushes by itself when 256 ranges wait', () => {
    const { booted, buffer } = touched('intel_iommu=on')
    const others = Array.from({ length: 255 }, () => allocate(booted))
    booted.run(booted.host.freeBuffer(NIC, buffer.address))
    for (const { address } of others.slice(1)) booted.run(booted.host.freeBuffer(NIC, address))
    expect(reaches(booted, buffer.address)).toBe(true)
    booted.run(booted.host.freeBuffer(NIC, others[0]!.address))
    expect(reaches(booted, buffer.address)).toBe(false)
  })

  it('in deferred mode frees only tables that the range covered whole, and those after the flush', () => {
    const booted = boot(machine({ SSLPS: 0 }), { commandLine: 'intel_iommu=on' })
    allocate(booted)
    const free = booted.host.memory.freePages
    const large = allocate(booted, 1024)
    booted.run(booted.host.freeBuffer(NIC, large.address))
    expect(booted.host.memory.freePages).toBeLessThan(free - 1024)
    booted.run(booted.host.flushDeferred())
    expect(free - booted.host.memory.freePages).toBeLessThanOrEqual(1)
  })

  it('is not for a driver that does no DMA: user space may take the group from under it', () => {
    const { host, run } = boot(machine())
    run(host.bind(NIC, null))
    run(host.bind(NIC, 'pci-stub'))
    expect(() => run(host.allocateBuffer(NIC, 1, READ_WRITE))).toThrow(/pci-stub .* does no DMA/)
  })

  it('is for good when the function goes to a virtual machine', () => {
    const vf = '0000:01:10.0'
    const { host, run, dma } = boot(machine(), { bootVfs: { [NIC]: 1 } })
    const buffer = run(host.allocateBuffer(vf, 1, READ_WRITE))
    expect(dma(vf, true, buffer.address / 4096).ended).toBe('memory')
    const handle = run(host.vfio.attach(vf, 'guest'))
    handle.writeConfig(4, 2, 0x4)
    expect(dma(vf, true, buffer.address / 4096).ended).toBe('fault')
    expect(() => run(host.allocateBuffer(vf, 1, READ_WRITE))).toThrow(/no driver of the host/)
    run(handle.release())
    expect(dma(vf, true, buffer.address / 4096).ended).toBe('fault')
  })
})
