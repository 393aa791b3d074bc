/** What the kernel does with a function that takes its time after a reset. */
import { describe, expect, it } from 'vitest'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { image } from '../platform/documents.ts'
import { boot } from './machine.ts'

const MS = 1_000_000
const CARD = '0000:01:00.0'

/** A root port and a card with a function level reset, one 4-KiB BAR and this time after a reset. */
const machine = (resetTimeNs: number): TopologyDocument => ({
  name: 'slow',
  iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
  hostBridges: [
    {
      devices: [
        {
          at: '01.0',
          model: 'root-port',
          devices: [
            {
              at: '00.0',
              imported: {
                name: 'slow card',
                kind: 'endpoint',
                configSizeBytes: 4096,
                resetTimeNs,
                image: image({
                  0: [4, 0x1234_8086],
                  6: [2, 0x10],
                  11: [1, 2],
                  52: [1, 0x40],
                  64: [4, 0x0002_0010],
                  68: [4, 0x1000_8000],
                }),
                bars: [{ index: 0, kind: 'memory32', sizeBytes: 0x1000 }],
              },
            },
          ],
        },
      ],
    },
  ],
})

describe('a reset', () => {
  it('waits in virtual time until the function answers, asking after 1, 2, 4 … ms', () => {
    const { host, run, engine, platform } = boot(machine(20 * MS))
    const bar = () => platform.fabric.functionAt(0, 0x100 as never)!.readConfig(0x10) >>> 0
    const [before, start] = [bar(), engine.now]
    expect(run(host.reset(CARD))).toEqual({ method: 'flr' })
    // 1 + 2 + 4 + 8 + 16 ms.
    expect(engine.now - start).toBe(31 * MS)
    expect([before > 0, bar()]).toEqual([true, before])
  })

  it('takes no time where the function answers at once', () => {
    const { host, run, engine } = boot(machine(0))
    const start = engine.now
    run(host.reset(CARD))
    expect(engine.now).toBe(start)
  })

  it('is given up after a minute, by the name of ENOTTY', () => {
    const { host, run, engine } = boot(machine(100_000 * MS))
    expect(() => run(host.reset(CARD))).toThrow(expect.objectContaining({ code: 'resetUnavailable' }))
    expect(engine.now).toBeGreaterThanOrEqual(60_000 * MS)
  })
})
