import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { drive } from '../../src/engine/index.ts'
import { STATUS } from '../../src/pcie/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'

describe('a virtual machine with more memory than one 1-GiB leaf, in two ranges', () => {
  const topology = parseTopology(JSON.parse(readFileSync('topologies/two-socket-82599.json', 'utf8')))
  const platform = drive(SimulatedPlatform.create(topology, { id: 'p', name: 'p' }), () => false)
  const run = platform.engine.run.bind(platform.engine)
  const pf = platform.host.functions().find(fn => fn.virtualFunctions.length > 0)!
  const [vf] = pf.virtualFunctions

  it.each([1025, 3073, 5121])(
    'lets its function reach the last byte of %d MiB and not the next',
    memoryMiB => {
      run(platform.hypervisor.createVm({ name: 'large', vcpus: 1, memoryMiB }))
      run(platform.hypervisor.attach('large', vf!))
      const [low, high] = platform.hypervisor.vm('large').memory
      const end = (high ?? low!).base + (high ?? low!).size
      const last = (end - 4096) / 4096
      const [inside] = run(platform.dma(vf!, true, last, 4095, Uint8Array.of(0x77))).parts
      expect(inside!.status).toBe(STATUS.successful)
      expect([...platform.hypervisor.readGuest('large', end - 1, 1)]).toEqual([0x77])
      const [outside] = run(platform.dma(vf!, true, last + 1, 0, Uint8Array.of(0x77))).parts
      expect([outside!.status, outside!.faultReason]).toEqual([STATUS.remappingFault, 0x05])
      run(platform.hypervisor.deleteVm('large'))
    },
  )
})
