/** "Function Dependency Link", and what waits for virtual functions. */
import { describe, expect, it } from 'vitest'
import type { NorthbridgeError } from '../../src/core/index.ts'
import type { TopologyDocument, TopologyNodeDocument } from '../../src/platform/index.ts'
import { part } from '../pcie/machine.ts'
import { boot, machine } from './machine.ts'

const MS = 1_000_000

/** Offset of Function Dependency Link in the 82576. */
const LINK = 0x172

/** A function of the 82576 that depends on another one. */
function dependent(at: string, number: number, link: number): TopologyNodeDocument {
  const { image, kind, bars, sriov } = part('intel-82576', number)
  const changed = image.slice()
  changed[LINK] = link
  changed[0x0e] = 0x80
  const documents = (list: typeof bars) => list.map(({ size, ...bar }) => ({ ...bar, sizeBytes: size }))
  return {
    at,
    imported: {
      name: `function ${number}`,
      kind,
      image: Buffer.from(changed).toString('hex'),
      configSizeBytes: 4096,
      bars: documents(bars),
      sriov: {
        ari: sriov!.ari,
        nonAri: sriov!.nonAri,
        bars: documents(sriov!.bars),
        image: Buffer.from(sriov!.image).toString('hex'),
      },
    },
  }
}

const below = (...devices: TopologyNodeDocument[]): TopologyDocument => ({
  ...machine(),
  hostBridges: [{ devices: [{ at: '01.0', model: 'root-port', devices }] }],
})

function errnoOf(document: TopologyDocument, address: string): unknown {
  const { host, run, hash } = boot(document)
  const before = hash()
  try {
    run(host.setNumVfs(address, 1))
    return undefined
  } catch (error) {
    expect(hash()).toBe(before)
    return (error as NorthbridgeError).details['errno']
  }
}

describe('a PF that depends on another function', () => {
  it('has VFs where that one is a PF', () => {
    expect(errnoOf(below(dependent('00.0', 0, 0), dependent('00.1', 1, 0)), '0000:01:00.1')).toBeUndefined()
  })

  it('is refused where that one is not there (ENODEV)', () => {
    expect(errnoOf(below(dependent('00.0', 0, 1)), '0000:01:00.0')).toBe('ENODEV')
  })

  it('is refused where that one is no PF (ENOSYS)', () => {
    const other = { at: '00.1', model: 'intel-82574l' }
    expect(errnoOf(below(dependent('00.0', 0, 1), other), '0000:01:00.0')).toBe('ENOSYS')
  })

  it('on a root bus depends on a function of its own device', () => {
    const document = { ...machine(), hostBridges: [{ devices: [dependent('05.0', 0, 0)] }] }
    expect(errnoOf({ ...document, iommu: { kind: 'none' } }, '0000:00:05.0')).toBeUndefined()
  })
})

describe('virtual time', () => {
  it('passes while the kernel waits for VFs: 100 ms after they were enabled, a second after they were disabled', () => {
    const { host, run, engine } = boot(machine())
    const begin = engine.now
    run(host.setNumVfs('0000:01:00.0', 2))
    expect(engine.now - begin).toBe(100 * MS)
    run(host.setNumVfs('0000:01:00.0', 0))
    expect(engine.now - begin).toBe(1100 * MS)
  })

  it('passes after a reset of the PF, which enables its VFs anew', () => {
    const { host, run, engine } = boot(machine())
    run(host.setNumVfs('0000:01:00.0', 2))
    const begin = engine.now
    run(host.reset('0000:01:00.0'))
    expect(engine.now - begin).toBeGreaterThanOrEqual(100 * MS)
    expect(host.find('0000:01:10.2').kind).toBe('VF')
  })
})
