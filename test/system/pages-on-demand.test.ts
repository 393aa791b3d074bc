/** A function that asks for pages: what its machine's memory holds is never lost, however the host takes pages away meanwhile. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { drive, within } from '../../src/engine/index.ts'
import type { InputOf, OutputOf } from '../../src/operations/index.ts'
import { leaksSince, takeStock } from '../../src/system/index.ts'
import { MovingWorld, shipped } from './moves/moving-world.ts'

const DEVICE = '0000:81:00.1'
const MATE = '0000:81:00.2'
const P = 'a'
const VM = 'lab'
const MEMORY_MIB = 8
/** Pages that the guest and the device use, behind those of the guest's kernel. */
const FIRST = 0x40_0000
const PAGES = 24

const hexOf = (address: number): string => `0x${address.toString(16)}`

class Laboratory extends MovingWorld {
  readonly running = this.add(P, shipped('accelerator-two-units'))
  /** What memory is to hold. */
  readonly model = new Uint8Array(PAGES * 4096)

  constructor(...functions: readonly string[]) {
    super()
    this.run('createVm', {
      platform: P,
      name: VM,
      vcpus: 1,
      memoryMiB: MEMORY_MIB,
      backing: 'paged',
      hugePages: 'none',
    })
    for (const fn of functions) this.run('attach', { platform: P, vm: VM, function: fn, memory: 'onDemand' })
  }

  get view(): OutputOf<'vmMemory'> {
    return this.run('vmMemory', { platform: P, vm: VM })
  }

  guestWrites(offset: number, data: Uint8Array): void {
    this.model.set(data, offset)
    this.running.hypervisor.writeGuest(VM, FIRST + offset, data)
  }

  deviceWrites(offset: number, data: Uint8Array, fn = DEVICE): void {
    this.model.set(data, offset)
    const { parts } = this.run('dma', {
      platform: P,
      function: fn,
      direction: 'write',
      address: hexOf(FIRST + offset),
      data: Buffer.from(data).toString('hex'),
      ats: true,
    })
    for (const { outcome } of parts) expect(outcome).toBe('completed')
  }

  deviceReads(offset: number, length: number): string {
    const input: InputOf<'dma'> = {
      platform: P,
      function: DEVICE,
      direction: 'read',
      address: hexOf(FIRST + offset),
      length,
      ats: true,
    }
    return this.run('dma', input).data!
  }

  check(): void {
    const found = this.running.hypervisor.readGuest(VM, FIRST, this.model.length)
    expect(Buffer.from(found).equals(this.model)).toBe(true)
  }
}

describe('a function that asks for pages', () => {
  it('brings those that it uses and no other, and reads what the guest wrote', () => {
    const lab = new Laboratory(DEVICE)
    const before = lab.view.resident
    lab.guestWrites(4096, Uint8Array.of(1, 2, 3))
    expect(lab.deviceReads(4096, 4)).toBe('01020300')
    lab.deviceWrites(3 * 4096 - 1, Uint8Array.of(8, 9))
    lab.check()
    expect(lab.view).toMatchObject({
      resident: before + 3,
      devicePages: 3,
      pagedFor: [DEVICE],
      pinnedBy: [],
      counters: { requested: 3, recalled: 0 },
    })
    // By translations that it has kept: nobody is asked.
    lab.deviceWrites(4096, Uint8Array.of(7))
    lab.check()
    expect(lab.view.counters.requested).toBe(3)
  })

  it('is refused where it, or its unit, cannot, and where all memory is there', () => {
    const lab = new Laboratory()
    const attach = (vm: string, fn: string) => () =>
      lab.run('attach', { platform: P, vm, function: fn, memory: 'onDemand' })
    const before = lab.running.stateHash()
    expect(attach(VM, '0000:01:10.0')).toThrow('takes no page requests')
    expect(lab.running.stateHash()).toBe(before)
    lab.run('createVm', { platform: P, name: 'fixed', vcpus: 1, memoryMiB: 8 })
    expect(attach('fixed', DEVICE)).toThrow('nothing is brought on demand')
    lab.run('attach', { platform: P, vm: VM, function: DEVICE })
    expect(lab.view).toMatchObject({ pinnedBy: [DEVICE], pagedFor: [] })
  })

  it('is denied what is no memory, and what its machine has none left for', () => {
    const lab = new Laboratory(DEVICE)
    const { parts } = lab.run('dma', {
      platform: P,
      function: DEVICE,
      direction: 'write',
      address: hexOf(MEMORY_MIB * 2 ** 20),
      data: '00',
      ats: true,
    })
    expect(parts[0]).toMatchObject({ outcome: 'notIssued', cause: 'translationDenied' })
  })

  it('shares pages with its mates, and leaves them theirs when it goes', () => {
    const lab = new Laboratory(DEVICE, MATE)
    lab.deviceWrites(0, Uint8Array.of(1))
    lab.deviceWrites(1, Uint8Array.of(2), MATE)
    expect(lab.view.devicePages).toBe(1)
    lab.run('detach', { platform: P, vm: VM, function: DEVICE })
    expect(lab.view).toMatchObject({ devicePages: 0, pagedFor: [MATE] })
    lab.deviceWrites(2, Uint8Array.of(3), MATE)
    lab.check()
  })

  it('goes on beside a function that pins all memory, and after that one has left', () => {
    const lab = new Laboratory(DEVICE)
    lab.deviceWrites(0, Uint8Array.of(1))
    lab.run('attach', { platform: P, vm: VM, function: MATE })
    expect(lab.view).toMatchObject({ pinnedBy: [MATE], pagedFor: [DEVICE], devicePages: 0 })
    lab.deviceWrites(4096, Uint8Array.of(2))
    expect(() => lab.run('swapOut', { platform: P, vm: VM, mebibytes: 1 })).toThrow('may reach all memory')
    lab.run('detach', { platform: P, vm: VM, function: MATE })
    lab.run('swapOut', { platform: P, vm: VM, mebibytes: 8 })
    lab.deviceWrites(8192, Uint8Array.of(3))
    expect(lab.view.devicePages).toBe(1)
    lab.check()
  })

  it('asks again after a reset, and after the platform was put back from its saved state', () => {
    const lab = new Laboratory(DEVICE)
    lab.deviceWrites(0, Uint8Array.of(1))
    const saved = lab.running.save()
    const hash = lab.running.stateHash()
    lab.running.load(saved)
    expect(lab.running.stateHash()).toBe(hash)
    lab.deviceWrites(1, Uint8Array.of(2))
    lab.deviceWrites(5 * 4096, Uint8Array.of(3))
    expect(lab.view).toMatchObject({ devicePages: 2, counters: { requested: 2 } })
    lab.run('resetDevice', { platform: P, vm: VM, function: DEVICE })
    lab.deviceWrites(6 * 4096, Uint8Array.of(4))
    lab.check()
  })

  it('leaves nothing behind', () => {
    const lab = new Laboratory()
    lab.run('sharePages', { platform: P })
    const stock = takeStock(lab.running)
    lab.run('attach', { platform: P, vm: VM, function: DEVICE, memory: 'onDemand' })
    lab.deviceWrites(0, new Uint8Array(5 * 4096).fill(7))
    lab.run('detach', { platform: P, vm: VM, function: DEVICE })
    lab.guestWrites(0, new Uint8Array(5 * 4096))
    lab.run('sharePages', { platform: P })
    expect(leaksSince(stock, lab.running)).toEqual([])
  })
})

describe('pages that are taken away', () => {
  it('are forgotten by the device before they are swapped out, however late it answers', () => {
    const lab = new Laboratory(DEVICE)
    lab.deviceWrites(0, Uint8Array.of(1))
    lab.run('injectFault', {
      platform: P,
      fault: { kind: 'silentDeviceTlb', function: DEVICE, delayNs: 5000 },
    })
    const { running } = lab
    const recall = running.hypervisor.memory.recall(VM)
    // The device has not answered yet: the page is still nobody else's.
    expect(recall.next().done).toBe(false)
    expect(lab.view.devicePages).toBe(1)
    running.hypervisor.memory.swapOut(VM, MEMORY_MIB)
    expect(lab.view.devicePages).toBe(1)
    const began = running.engine.now
    drive(within(running.engine, recall), () => running.engine.advance())
    expect(running.engine.now - began).toBeGreaterThanOrEqual(5000)
    expect(lab.view.devicePages).toBe(0)
    running.hypervisor.memory.swapOut(VM, MEMORY_MIB)
    lab.deviceWrites(9, Uint8Array.of(2))
    lab.check()
  })

  const offset = fc.integer({ min: 0, max: PAGES * 4096 - 6000 })
  const data = fc.uint8Array({ minLength: 1, maxLength: 6000 })
  const act = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('device' as const), offset, data }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('guest' as const), offset, data }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constantFrom('swapOut', 'share', 'balance', 'collapse', 'balloon', 'limit', 'late', 'again'),
      }),
    },
  )

  it('come back with what guest and device wrote, in any order of events', () => {
    fc.assert(
      fc.property(fc.array(act, { minLength: 5, maxLength: 25 }), acts => {
        const lab = new Laboratory(DEVICE)
        const here = { platform: P, vm: VM }
        const others = {
          swapOut: () => lab.run('swapOut', { ...here, mebibytes: MEMORY_MIB }),
          share: () => lab.run('sharePages', { platform: P, large: true }),
          balance: () => lab.run('balanceMemory', { platform: P }),
          collapse: () => lab.run('collapseMemory', here),
          balloon: () => lab.run('setBalloon', { ...here, mebibytes: lab.view.ballooned > 0 ? 0 : 2 }),
          limit: () => lab.run('setVmMemory', { ...here, limitMiB: lab.view.limitMiB > 3 ? 3 : 8 }),
          late: () =>
            lab.run('injectFault', {
              platform: P,
              fault: { kind: 'silentDeviceTlb', function: DEVICE, delayNs: 900, times: 3 },
            }),
          again: () => lab.running.load(lab.running.save()),
        }
        for (const one of acts) {
          if (one.do === 'device') lab.deviceWrites(one.offset, one.data)
          else if (one.do === 'guest') lab.guestWrites(one.offset, one.data)
          else others[one.do]()
          expect(lab.view.devicePages).toBeLessThanOrEqual(lab.view.resident)
        }
        lab.check()
      }),
      { numRuns: 12, seed: 4 },
    )
  })
})
