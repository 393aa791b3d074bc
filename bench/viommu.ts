/**
 * A guest that maps and unmaps a page for its device, by its own remapping unit: stores to its tables, descriptors, the
 * exits, and what the host makes of them. Shadowed and nested, beside the same device of a guest without a unit.
 */
import { readFileSync } from 'node:fs'
import { type Software, within } from '../src/engine/index.ts'
import { parseTopology } from '../src/platform/index.ts'
import { GuestRemapping, SimulatedPlatform } from '../src/system/index.ts'
import { measure, report } from './measure.ts'

const TOPOLOGY = parseTopology(JSON.parse(readFileSync('topologies/nested-translation.json', 'utf8')))
const VM = 'guest'
const COUNT = 100
/** I/O virtual page that is mapped and unmapped, and the guest page behind it. */
const PAGE = 0x4_0000
const FRAME = 0x900

function toEnd<Result>(software: Software<Result>): Result {
  for (;;) {
    const step = software.next()
    if (step.done) return step.value
  }
}

/** @param mode of the guest's unit; none without */
function guestWith(mode?: 'shadow' | 'nested') {
  const platform = toEnd(SimulatedPlatform.create(TOPOLOGY, { id: 'bench', name: 'bench' }))
  const run = <Result>(work: Software<Result>): Result => toEnd(within(platform.engine, work))
  const { host, hypervisor } = platform
  const pf = host.functions().find(fn => fn.sriov !== undefined)!
  run(host.setNumVfs(pf.address, 1))
  const vf = host.functions().find(fn => fn.kind === 'VF')!.address
  run(hypervisor.createVm({ name: VM, vcpus: 1, memoryMiB: 64, viommu: mode && { mode } }))
  run(hypervisor.attach(VM, vf))
  const mapping = { function: vf, page: PAGE, pages: 1, told: true }
  const rights = { read: true, write: true }
  const remapping = mode && new GuestRemapping(hypervisor, VM)
  if (remapping !== undefined) {
    run(remapping.use(true))
    run(remapping.map({ ...mapping, page: FRAME }, FRAME, rights))
  }
  const data = Uint8Array.of(0)
  return {
    write: (count: number): void => {
      for (let i = 0; i < count; i++) run(platform.dma(vf, true, FRAME, 0, data))
    },
    mapAndUnmap: (count: number): void => {
      for (let i = 0; i < count; i++) {
        run(remapping!.map(mapping, FRAME, rights))
        run(remapping!.unmap(mapping))
      }
    },
  }
}

const shadow = guestWith('shadow')
const nested = guestWith('nested')
report(
  measure([
    { name: 'write, no unit of the guest', run: guestWith().write, count: COUNT },
    { name: 'write, shadowed', run: shadow.write, count: COUNT },
    { name: 'write, nested', run: nested.write, count: COUNT },
    { name: 'map + unmap a page, shadowed', run: shadow.mapAndUnmap, count: COUNT },
    { name: 'map + unmap a page, nested', run: nested.mapAndUnmap, count: COUNT },
  ]),
)
