import { describe, expect, it } from 'vitest'
import { planSweep } from '../../../src/experiments/index.ts'
import { installation } from '../../../src/operations/index.ts'
import { documentWith, QUICK } from './documents.ts'

const { topologies } = installation()

function configurationOn(topology: string | object, fields: object = {}) {
  const document = { ...documentWith({ axes: [] }), topology, ...fields }
  return planSweep(document, name => topologies.get(name).topology).points[0]!.configuration
}

const server = (
  host: object,
  iommu: object = { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
) => ({
  name: 'server',
  iommu,
  host,
  hostBridges: [{ devices: [{ at: '00.0', model: 'host-bridge' }] }],
})

describe('the machine of a sweep', () => {
  it('has the sockets and processors of its topology', () => {
    expect(configurationOn('two-socket-82599').machine).toMatchObject({
      sockets: 2,
      cores: 8,
      threadsPerCore: 1,
    })
  })

  it('has half as many cores as logical processors where two threads share a core', () => {
    const configuration = { ...QUICK, machine: { threadsPerCore: 2 } }
    expect(configurationOn('two-socket-82599', { configuration }).machine).toMatchObject({ cores: 4 })
  })

  it("has the adapter's link, and payloads that every port on the way takes", () => {
    // The 82599 of devices/ has a link of 5 GT/s with 8 lanes and could take payloads of 512 bytes, its root port 256.
    expect(configurationOn('two-socket-82599').link).toMatchObject({ generation: 2, lanes: 8, mps: 256 })
  })

  it('has the link of the adapter that is asked for', () => {
    expect(configurationOn('two-socket-82599', { adapter: 'nvme-sriov' }).link.generation).toBeGreaterThan(2)
  })

  it.each([
    [{ commandLine: 'intel_iommu=on' }, 'deferred'],
    [{ commandLine: 'intel_iommu=on iommu.strict=1' }, 'strict'],
    [{ commandLine: 'intel_iommu=on iommu=pt' }, 'passThrough'],
    [{ commandLine: 'quiet' }, 'off'],
  ])('with %j maps as that kernel does: %s', (host, mode) => {
    expect(configurationOn(server(host)).iommu.mode).toBe(mode)
  })

  it('without remapping units has the IOMMU off', () => {
    expect(configurationOn(server({}, { kind: 'none' })).iommu.mode).toBe('off')
  })

  it('is what the document says, where both say something', () => {
    const configuration = {
      ...QUICK,
      machine: { cores: 3 },
      link: { generation: 4 },
      iommu: { mode: 'strict' },
    }
    expect(configurationOn('two-socket-82599', { configuration })).toMatchObject({
      machine: { sockets: 2, cores: 3 },
      link: { generation: 4, lanes: 8 },
      iommu: { mode: 'strict' },
    })
  })
})
