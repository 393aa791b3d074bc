import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DmaBuffer } from '../../src/host/index.ts'
import { boot, machine } from './machine.ts'

const NIC = '0000:01:00.0'
const READ_WRITE = { read: true, write: true }
const SCALABLE = { SMTS: 1, SMPWCS: 1 } as const

const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('allocate' as const), pages: fc.constantFrom(1, 2, 3, 7, 512) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('free' as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
)

describe('whatever drivers allocate and take back', () => {
  it.each([
    ['second-stage tables of legacy mode', { SSLPS: 3 }, 'intel_iommu=on'],
    ['second-stage tables of scalable mode', { ...SCALABLE, SSTS: 1 }, 'intel_iommu=on,sm_on'],
    ['first-stage tables', { ...SCALABLE, FSTS: 1 }, 'intel_iommu=on,sm_on'],
    ['first-stage tables, strict', { ...SCALABLE, FSTS: 1 }, 'intel_iommu=on,sm_on iommu.strict=1'],
    ['domain-selective invalidation alone', { PSI: 0, MAMV: 0 }, 'intel_iommu=on'],
    ['an address mask of one page', { MAMV: 0 }, 'intel_iommu=on iommu.strict=1'],
    ['register-based invalidation', { QI: 0, IR: 0, EIM: 0 }, 'intel_iommu=on'],
  ])(
    'with %s, a function reaches what is allocated, and nothing that was flushed',
    (_, capabilities, commandLine) => {
      const strict = commandLine.includes('strict')
      const booted = boot(machine(capabilities), { commandLine })
      const { host, run, dma } = booted
      // The first mapping makes tables that stay.
      const warm = run(host.allocateBuffer(NIC, 1, READ_WRITE))
      run(host.freeBuffer(NIC, warm.address))
      run(host.flushDeferred())
      fc.assert(
        fc.property(fc.array(action, { maxLength: 25 }), actions => {
          const live: DmaBuffer[] = []
          let stale: DmaBuffer[] = []
          let gone: DmaBuffer[] = []
          const flush = (): void => {
            run(host.flushDeferred())
            gone.push(...stale)
            stale = []
          }
          for (const one of actions) {
            if (one.do === 'allocate') live.push(run(host.allocateBuffer(NIC, one.pages, READ_WRITE)))
            else if (one.do === 'flush') flush()
            else if (live.length > 0) {
              const [buffer] = live.splice(one.which % live.length, 1)
              run(host.freeBuffer(NIC, buffer!.address))
              if (strict) gone.push(buffer!)
              else stale.push(buffer!)
            }
            for (const { address, hostPage, pages } of live) {
              const end = dma(NIC, true, address / 4096 + pages - 1)
              expect(end).toMatchObject({ ended: 'memory', page: hostPage + pages - 1 })
            }
            for (const { address, hostPage, pages } of stale) {
              const end = dma(NIC, false, address / 4096 + pages - 1)
              if (end.ended === 'memory') expect(end.page).toBe(hostPage + pages - 1)
              else expect(end.ended).toBe('fault')
            }
            const reused = (page: number): boolean =>
              live.some(
                buffer => page >= buffer.address / 4096 && page < buffer.address / 4096 + buffer.pages,
              )
            gone = gone.filter(({ address, pages }) => !reused(address / 4096 + pages - 1))
            for (const { address, pages } of gone) {
              expect(dma(NIC, false, address / 4096 + pages - 1).ended).toBe('fault')
            }
          }
          const inUse = [...live, ...stale].flatMap(({ hostPage, pages }) =>
            Array.from({ length: pages }, (_, i) => hostPage + i),
          )
          expect(new Set(inUse).size).toBe(inUse.length)
          for (const { address } of live) run(host.freeBuffer(NIC, address))
          run(host.flushDeferred())
        }),
        { numRuns: 12 },
      )
    },
  )
})
