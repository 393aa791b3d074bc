import { describe, expect, it } from 'vitest'
import { createPlatform, type NorthbridgePlatform } from '../../src/index.ts'

const WEB = '0000:01:10.0'
const DATABASE = '0000:01:10.2'

function tenants(): NorthbridgePlatform {
  const platform = createPlatform('one-socket-82576')
  platform.setNumVfs({ function: '0000:01:00.0', numVfs: 2 })
  for (const [name, address] of [
    ['web', WEB],
    ['database', DATABASE],
  ] as const) {
    platform.createVm({ name, vcpus: 1, memoryMiB: 64 })
    platform.attach({ vm: name, function: address })
  }
  return platform
}

const breachesOf = (platform: NorthbridgePlatform) => platform.isolationReport().pairs[0]!.breaches

describe('repairing a breach of isolation', () => {
  it('writes a paging entry anew as the host has mapped it: the function reaches its own memory there again', () => {
    const platform = tenants()
    const write = { function: WEB, direction: 'write', address: '0x400000', data: '01' } as const
    const right = platform.dma(write).parts[0]!.physicalAddress
    platform.injectFault({
      fault: { kind: 'tableBit', function: WEB, table: 'secondStage', address: '0x400000', bit: 26 },
    } as never)
    const [breach] = breachesOf(platform)
    const { repaired, pairs } = platform.repairIsolation({ defect: breach!.repair.defect! })
    expect(repaired).toEqual([breach!.text])
    expect(pairs[0]!.isolated).toBe(true)
    expect(platform.dma(write).parts[0]!.physicalAddress).toBe(right)
    platform.detach({ vm: 'web', function: WEB })
  })

  it('lets an interrupt remapping entry accept its own function alone', () => {
    const platform = tenants()
    platform.injectFault({
      fault: { kind: 'interruptEntryBit', function: DATABASE, vector: 0, bit: 82 },
    } as never)
    const [breach] = breachesOf(platform)
    expect(breach).toMatchObject({ kind: 'interrupt', from: 'web', to: 'database' })
    platform.repairIsolation({ defect: breach!.repair.defect! })
    expect(breachesOf(platform)).toEqual([])
    expect(platform.interrupt({ function: DATABASE, vector: 0 }).outcome).toBe('delivered')
  })

  it('refuses to mend what no breach comes from, and changes nothing', () => {
    const platform = tenants()
    const before = platform.platformState().stateHash
    const defect = { kind: 'translation', function: WEB, entry: '0x1000' } as const
    expect(() => platform.repairIsolation({ defect })).toThrow('no breach of isolation')
    expect(platform.platformState().stateHash).toBe(before)
  })
})
