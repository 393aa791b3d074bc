import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import { createNorthbridge, type Northbridge, NorthbridgeError, type OperationId } from '../../src/index.ts'
import { OPERATIONS, type Operation, operationEntries } from '../../src/operations/index.ts'
import { type TestServer, testServer } from './server.ts'

/** How an operation ended: its result, or the code of its refusal. */
type Ending = { readonly result: unknown } | { readonly code: string }
type Face = (id: OperationId, input: Record<string, unknown>) => Promise<Ending>

const row = (id: OperationId): Operation => OPERATIONS[id] as unknown as Operation
const inPath = ({ rest }: Operation) => [...rest.path.matchAll(/\{(\w+)\}/g)].map(match => match[1]!)

const library =
  (northbridge: Northbridge): Face =>
  async (id, input) => {
    try {
      return { result: northbridge[id](input as never) }
    } catch (error) {
      if (error instanceof NorthbridgeError) return { code: error.code }
      throw error
    }
  }

const rest =
  (server: TestServer): Face =>
  async (id, input) => {
    const { rest, list } = row(id)
    const left = { ...input }
    const path = rest.path.replace(/\{(\w+)\}/g, (_match, name: string) => {
      const value = String(left[name])
      delete left[name]
      return encodeURIComponent(value)
    })
    const query = rest.method === 'GET' || rest.method === 'DELETE'
    const search = query ? new URLSearchParams(left as Record<string, string>).toString() : ''
    const body = query ? undefined : rest.body === undefined ? left : left[rest.body]
    const url = `${path}?${search}${list === undefined ? '' : '&limit=1000'}`
    const answer = await server.request(rest.method, url, body)
    if (answer.status >= 400) return { code: answer.body.code }
    expect(answer.status).toBe(rest.status ?? 200)
    return { result: rest.status === 204 ? null : list === undefined ? answer.body : answer.body.items }
  }

const commandLine =
  (url: () => string): Face =>
  async (id, input) => {
    const { words } = row(id)
    const positional = inPath(row(id))
    const flags = Object.entries(input)
      .filter(([name]) => !positional.includes(name))
      .flatMap(([name, value]) => [
        `--${name.replace('MiB', 'Mib').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`,
        typeof value === 'string' ? value : JSON.stringify(value),
      ])
    const said: string[] = []
    const complaints: string[] = []
    const args = [...words.split(' '), ...positional.map(name => String(input[name])), ...flags]
    const status = await runCli([...args, '--server', url(), '--json'], {
      print: text => said.push(text),
      complain: text => complaints.push(text),
    })
    if (status === 0) return { result: JSON.parse(said.join('\n')) }
    return { code: JSON.parse(complaints.join('\n')).code }
  }

const PLATFORM = { platform: 'p' }
const KERNEL_ALONE = { system: 'linux-vfio', files: [] }
const ASKED = [{ vm: 'alpha', needs: [{ resource: '0000:01:00.0', count: 1 }] }]
const PF = '0000:01:00.0'
const PORT = '0000:00:01.0'
const NIC_MAC = '02:00:00:00:00:a0'
const MINIMAL = { name: 'minimal', iommu: { kind: 'none' }, hostBridges: [{}] }

const EXPERIMENT = {
  title: 'Two sizes',
  configuration: { warmUp: 0, duration: 5000, workload: { kind: 'dma' } },
  axes: [{ name: 'size', field: '/workload/bytes', values: [64, 128] }],
  expect: [{ say: 'Larger is faster', metric: 'throughput', along: 'size', goes: 'up' }],
}

/** One life of a platform. `vf` and `unit` are filled in from what came before. */
const LIFE: readonly (readonly [OperationId, Record<string, unknown>])[] = [
  ['topologies', {}],
  ['experiments', {}],
  ['createExperiment', { document: EXPERIMENT }],
  ['createExperiment', { document: { ...EXPERIMENT, configuration: {} } }],
  ['createExperiment', { document: { ...EXPERIMENT, topology: 'nowhere' } }],
  ['experiment', { experiment: 'experiment-0001' }],
  ['experiment', { experiment: 'nonsense' }],
  ['experiments', {}],
  ['experimentEvents', { experiment: 'experiment-0001', after: 1 }],
  ['experimentResult', { experiment: 'experiment-0001' }],
  ['experimentReport', { experiment: 'experiment-0001' }],
  ['experimentCsv', { experiment: 'experiment-0001' }],
  ['compareExperiments', { a: { experiment: 'experiment-0001' }, b: { experiment: 'experiment-0001' } }],
  ['compareExperiments', { a: { experiment: 'experiment-0001' }, b: { experiment: 'nonsense' } }],
  ['cancelExperiment', { experiment: 'experiment-0001' }],
  ['deleteExperiment', { experiment: 'experiment-0001' }],
  ['deleteExperiment', { experiment: 'experiment-0001' }],
  ['workloads', {}],
  ['compareTechniques', { workload: 'task-priority-storm', costs: 'k8' }],
  ['importTopology', { name: 'listed', format: 'lspci', text: '00:00.0 Host bridge [0600]: A [8086:29c0]' }],
  ['importTopology', { name: 'listed', format: 'hwloc', text: '<topology/>' }],
  ['validateTopology', { document: MINIMAL }],
  ['createTopology', { document: MINIMAL }],
  ['createTopology', { document: MINIMAL }],
  ['topology', { name: 'minimal' }],
  ['replaceTopology', { name: 'minimal', document: { ...MINIMAL, description: 'again' } }],
  ['deleteTopology', { name: 'minimal' }],
  ['deleteTopology', { name: 'minimal' }],
  ['createPlatform', { topology: 'one-socket-82576', name: 'p', seed: 7 }],
  ['createPlatform', { topology: 'one-socket-82576', name: 'p' }],
  ['platforms', {}],
  ['platformState', PLATFORM],
  ['events', { ...PLATFORM, after: 3 }],
  ['functions', PLATFORM],
  ['setNumVfs', { ...PLATFORM, function: 'pf', numVfs: 2 }],
  ['setNumVfs', { ...PLATFORM, function: 'pf', numVfs: 3 }],
  ['function', { ...PLATFORM, function: 'vf' }],
  ['function', { ...PLATFORM, function: 'nonsense' }],
  ['readConfig', { ...PLATFORM, function: 'pf', offset: 0, length: 16 }],
  ['groups', PLATFORM],
  ['group', { ...PLATFORM, group: 0 }],
  ['devices', {}],
  ['device', { name: 'intel-82576' }],
  ['units', PLATFORM],
  ['allocateBuffer', { ...PLATFORM, function: 'pf', pages: 2 }],
  ['dma', { ...PLATFORM, function: 'pf', direction: 'write', address: '0x80000000', data: '0102' }],
  ['buffers', { ...PLATFORM, function: 'pf' }],
  ['route', { ...PLATFORM, function: 'pf', address: '0x80000000', access: 'write' }],
  ['injectError', { ...PLATFORM, function: 'pf', error: 'completionTimeout' }],
  ['errorLog', { ...PLATFORM, function: 'pf' }],
  ['injectFault', { ...PLATFORM, fault: { kind: 'poisonedCompletion', function: PF } }],
  ['injectFault', { ...PLATFORM, fault: { kind: 'earthquake' } }],
  [
    'faultPlan',
    {
      ...PLATFORM,
      plan: { faults: [{ at: 5, fault: { kind: 'detectedError', function: PF, error: 'badTlp' } }] },
    },
  ],
  ['passTime', { ...PLATFORM, nanoseconds: 5 }],
  ['injectedFaults', PLATFORM],
  ['clearFaults', PLATFORM],
  ['interruptCounts', PLATFORM],
  ['links', PLATFORM],
  ['setLink', { ...PLATFORM, function: PORT, state: 'whole', width: 1 }],
  ['setLink', { ...PLATFORM, function: 'pf', state: 'broken' }],
  ['pullCard', { ...PLATFORM, function: PORT }],
  ['insertCard', { ...PLATFORM, function: PORT, card: [] }],
  ['pressButton', { ...PLATFORM, function: PORT }],
  ['exportPlatform', { ...PLATFORM, format: 'lspci' }],
  ['exportPlatform', { ...PLATFORM, format: 'acpi' }],
  ['caches', { ...PLATFORM, unit: 'unit' }],
  ['tables', { ...PLATFORM, unit: 'unit', source: 'pf', address: '0x80001000' }],
  ['freeBuffer', { ...PLATFORM, function: 'pf', address: '0x80000000' }],
  ['freeBuffer', { ...PLATFORM, function: 'pf', address: '0x80000000' }],
  ['flushBuffers', PLATFORM],
  ['createVm', { ...PLATFORM, name: 'alpha', vcpus: 1, memoryMiB: 64 }],
  ['attach', { ...PLATFORM, vm: 'alpha', function: 'vf' }],
  ['attach', { ...PLATFORM, vm: 'alpha', function: 'vf' }],
  ['sanitizer', { ...PLATFORM, state: 'on' }],
  ['findings', PLATFORM],
  ['isolationReport', PLATFORM],
  ['isolationDiff', { ...PLATFORM, before: { functions: [], pairs: [] } }],
  ['repairIsolation', { ...PLATFORM, defect: { kind: 'translation', function: PF, entry: '0x1000' } }],
  ['planPolicy', { platforms: ['p'], policy: KERNEL_ALONE, requests: ASKED }],
  ['applyPolicy', { platforms: ['p'], policy: KERNEL_ALONE, requests: ASKED }],
  ['explainPolicy', { ...PLATFORM, policy: KERNEL_ALONE, request: ASKED[0] }],
  ['comparePolicies', { ...PLATFORM, machine: { vm: 'alpha' }, policies: [{ ...KERNEL_ALONE, needs: [] }] }],
  ['driftPolicy', { ...PLATFORM, policy: KERNEL_ALONE, requests: ASKED }],
  ['vms', PLATFORM],
  ['vm', { ...PLATFORM, vm: 'alpha' }],
  ['writeMemory', { ...PLATFORM, vm: 'alpha', address: '0x1000000', data: '0102' }],
  ['vmMemory', { ...PLATFORM, vm: 'alpha' }],
  ['setBalloon', { ...PLATFORM, vm: 'alpha', mebibytes: 2 }],
  ['createVm', { ...PLATFORM, name: 'paged', vcpus: 1, memoryMiB: 8, backing: 'paged' }],
  ['createVm', { ...PLATFORM, name: 'odd', vcpus: 1, memoryMiB: 8, backing: 'paged', hugePages: '1GiB' }],
  ['setVmMemory', { ...PLATFORM, vm: 'paged', shares: 500, reservationMiB: 2, limitMiB: 6 }],
  ['setVmMemory', { ...PLATFORM, vm: 'paged', reservationMiB: 7 }],
  ['useMemory', { ...PLATFORM, vm: 'paged', mebibytes: 2, contents: 'common' }],
  ['useMemory', { ...PLATFORM, vm: 'paged', mebibytes: 8 }],
  ['setSharing', { ...PLATFORM, scope: 'host' }],
  ['sharePages', { ...PLATFORM, large: true }],
  ['setBalloon', { ...PLATFORM, vm: 'paged', mebibytes: 3 }],
  ['swapOut', { ...PLATFORM, vm: 'paged', mebibytes: 1 }],
  ['collapseMemory', { ...PLATFORM, vm: 'paged' }],
  ['balanceMemory', PLATFORM],
  ['hostMemory', PLATFORM],
  ['setVmCpu', { ...PLATFORM, vm: 'paged', shares: 2000, reservationPercent: 20, loadPercent: 100 }],
  ['setVmCpu', { ...PLATFORM, vm: 'paged', limitPercent: 101 }],
  ['runCpu', { ...PLATFORM, nanoseconds: 20_000_000 }],
  ['runCpu', { ...PLATFORM, nanoseconds: 20_000_001 }],
  ['vmCpu', { ...PLATFORM, vm: 'paged' }],
  ['hostCpu', PLATFORM],
  [
    'consolidate',
    {
      ...PLATFORM,
      hosts: [{ name: 'old', processors: 2, memoryMiB: 4, loadPercent: 50, commonMiB: 1 }],
      nanoseconds: 20_000_000,
    },
  ],
  [
    'consolidate',
    {
      ...PLATFORM,
      hosts: [{ name: 'old', processors: 2, memoryMiB: 4, loadPercent: 50 }],
      nanoseconds: 20_000_000,
    },
  ],
  ['deleteVm', { ...PLATFORM, vm: 'old' }],
  ['deleteVm', { ...PLATFORM, vm: 'paged' }],
  ['dma', { ...PLATFORM, function: 'vf', direction: 'read', address: '0x1000000', length: 2 }],
  ['dma', { ...PLATFORM, function: 'vf', direction: 'write', address: '0xfffffffff000', data: '00' }],
  ['readMemory', { ...PLATFORM, vm: 'alpha', address: '0x1000000', length: 2 }],
  ['interrupt', { ...PLATFORM, function: 'vf', vector: 0 }],
  ['vcpu', { ...PLATFORM, vm: 'alpha', vcpu: 0 }],
  [
    'runVcpu',
    {
      ...PLATFORM,
      vm: 'alpha',
      vcpu: 0,
      operations: [
        { op: 'cpuid', leaf: 0 },
        { op: 'vmcall', number: 1 },
      ],
    },
  ],
  ['vmcs', { ...PLATFORM, vm: 'alpha', vcpu: 0 }],
  ['vmcs', { ...PLATFORM, vm: 'alpha', vcpu: 0, field: 'guestRip' }],
  ['vmcs', { ...PLATFORM, vm: 'alpha', vcpu: 0, field: 'guestAx' }],
  ['writeVmcs', { ...PLATFORM, vm: 'alpha', vcpu: 0, field: 'guestSysenterCs', value: '0x10' }],
  ['writeVmcs', { ...PLATFORM, vm: 'alpha', vcpu: 0, field: 'guestRflags', value: '0x0' }],
  ['writeVmcs', { ...PLATFORM, vm: 'alpha', vcpu: 0, field: 'pinBasedControls', value: '0x16' }],
  [
    'runProcessor',
    {
      operations: [{ op: 'vmlaunch' }, { op: 'cpuid', leaf: 0 }, { op: 'vmread', field: 'exitReason' }],
      fields: { exceptionBitmap: '0x2' },
      memory: [{ address: '0x5000', words: ['0x1'] }],
      throughIdt: true,
    },
  ],
  ['runProcessor', { operations: [{ op: 'vmread', field: 'guestAx' }] }],
  ['virtualApic', { ...PLATFORM, vm: 'alpha', vcpu: 0 }],
  ['interruptVcpu', { ...PLATFORM, vm: 'alpha', vcpu: 0, vector: 0x51 }],
  ['moveVcpu', { ...PLATFORM, vm: 'alpha', vcpu: 0, processor: 1 }],
  ['moveVcpu', { ...PLATFORM, vm: 'alpha', vcpu: 0, processor: 65_535 }],
  ['localApic', { ...PLATFORM, processor: 1 }],
  ['localApic', { ...PLATFORM, processor: 99 }],
  ['traceInterrupt', { ...PLATFORM, function: 'vf', vector: 0, guest: 'running' }],
  ['nics', PLATFORM],
  ['openNic', { ...PLATFORM, function: 'pf' }],
  ['setVf', { ...PLATFORM, function: 'pf', vf: 1, mac: '02:00:00:00:00:b1', trusted: true }],
  ['setVf', { ...PLATFORM, function: 'pf', vf: 1, mac: '01:00:00:00:00:b1' }],
  ['setVf', { ...PLATFORM, function: 'pf', vf: 200, vlan: 3 }],
  ['nic', { ...PLATFORM, function: 'pf' }],
  ['createSwitch', { ...PLATFORM, name: 'vs0', uplinks: [PF], mode: 'balance', hash: 'layer2' }],
  ['createSwitch', { ...PLATFORM, name: 'vs0' }],
  ['switches', PLATFORM],
  ['addNetworkDevice', { ...PLATFORM, vm: 'alpha', model: 'paravirtual', mac: NIC_MAC, switch: 'vs0' }],
  ['addNetworkDevice', { ...PLATFORM, vm: 'alpha', model: 'emulated', mac: NIC_MAC }],
  ['networkDevices', { ...PLATFORM, vm: 'alpha' }],
  ['captureFrames', { ...PLATFORM, function: 'pf', capture: 'on' }],
  ['traceFrame', { ...PLATFORM, function: PF, to: NIC_MAC }],
  ['traceFrame', { ...PLATFORM, vm: 'alpha', to: '02:00:00:00:00:09', sender: NIC_MAC, length: 99 }],
  ['traceFrame', { ...PLATFORM, to: NIC_MAC }],
  ['capturedFrames', { ...PLATFORM, function: 'pf' }],
  ['replayFrames', { ...PLATFORM, function: 'pf', pcap: '00' }],
  ['setEswitch', { ...PLATFORM, function: 'pf', mode: 'switchdev' }],
  ['setRepresentor', { ...PLATFORM, switch: 'vs0', port: 'vs0-uplink', vlan: 3 }],
  ['setLine', { ...PLATFORM, function: 'pf', line: 'timed' }],
  [
    'offerTraffic',
    { ...PLATFORM, function: 'pf', pattern: 'imix', stations: ['02:00:00:00:00:09', NIC_MAC], frames: 5 },
  ],
  ['offerTraffic', { ...PLATFORM, function: 'pf', pattern: 'fixed', stations: [NIC_MAC, NIC_MAC] }],
  ['setCable', { ...PLATFORM, function: 'pf', cable: 'pulled' }],
  ['mirrorPort', { ...PLATFORM, switch: 'vs0', ports: ['vs0-uplink'], direction: 'in', port: 'vs0-uplink' }],
  ['switch', { ...PLATFORM, switch: 'vs0' }],
  ['createOutsideSwitch', { ...PLATFORM, name: 'rack', functions: [PF], aggregation: 'lacp' }],
  ['outsideSwitches', PLATFORM],
  ['outsideSwitch', { ...PLATFORM, switch: 'rack' }],
  ['deleteOutsideSwitch', { ...PLATFORM, switch: 'rack' }],
  ['removeNetworkDevice', { ...PLATFORM, vm: 'alpha', slot: 2 }],
  ['deleteSwitch', { ...PLATFORM, switch: 'vs0' }],
  ['openDisk', { ...PLATFORM, vm: 'alpha', model: 'paravirtual' }],
  ['disk', { ...PLATFORM, vm: 'alpha' }],
  ['writeBlocks', { ...PLATFORM, vm: 'alpha', sector: 1, data: 'a5'.repeat(512) }],
  ['readBlocks', { ...PLATFORM, vm: 'alpha', sector: 1, count: 1 }],
  [
    'runBlockWorkload',
    { ...PLATFORM, vm: 'alpha', pattern: 'random', commands: 20, depth: 4, readPercent: 50 },
  ],
  ['traceBlock', { ...PLATFORM, vm: 'alpha', sector: 1, count: 1 }],
  ['nvmeControllers', { ...PLATFORM, function: 'pf' }],
  ['closeDisk', { ...PLATFORM, vm: 'alpha' }],
  ['nvmeNamespaces', { ...PLATFORM, function: 'pf' }],
  ['createNamespace', { ...PLATFORM, function: 'pf', blocks: 64 }],
  ['attachNamespace', { ...PLATFORM, function: 'pf', namespace: 1, to: 'vf' }],
  ['detachNamespace', { ...PLATFORM, function: 'pf', namespace: 1, to: 'vf' }],
  ['putNamespaceOnFile', { ...PLATFORM, function: 'pf', namespace: 1, file: 'disk' }],
  ['deleteNamespace', { ...PLATFORM, function: 'pf', namespace: 1 }],
  ['registers', { ...PLATFORM, unit: 'unit' }],
  ['faults', { ...PLATFORM, unit: 'unit' }],
  ['explain', { ...PLATFORM, unit: 'unit', source: 'vf', address: '0x1000000', access: 'read' }],
  ['containers', PLATFORM],
  ['resources', PLATFORM],
  ['hotResetMembers', { ...PLATFORM, vm: 'alpha', function: 'vf' }],
  ['setResetMethods', { ...PLATFORM, function: 'vf', methods: ['bus'] }],
  ['setResetMethods', { ...PLATFORM, function: 'vf', methods: [] }],
  ['resetDevice', { ...PLATFORM, vm: 'alpha', function: 'vf' }],
  ['setResetMethods', { ...PLATFORM, function: 'vf' }],
  ['resetDevice', { ...PLATFORM, vm: 'alpha', function: 'vf' }],
  ['holdDevice', { ...PLATFORM, vm: 'alpha', function: 'vf', open: true }],
  ['requestRemoval', { ...PLATFORM, vm: 'alpha', function: 'vf', waitMs: 5 }],
  ['requestRemoval', { ...PLATFORM, vm: 'nobody', function: 'vf' }],
  ['attach', { ...PLATFORM, vm: 'alpha', function: 'vf', vfToken: 'sesame', reset: 'required' }],
  ['detach', { ...PLATFORM, vm: 'alpha', function: 'vf' }],
  ['detach', { ...PLATFORM, vm: 'alpha', function: 'vf' }],
  ['createVm', { ...PLATFORM, name: 'beta', vcpus: 1, memoryMiB: 16, viommu: 'shadow' }],
  ['createVm', { ...PLATFORM, name: 'gamma', vcpus: 1, memoryMiB: 16, viommu: 'none' }],
  ['attach', { ...PLATFORM, vm: 'beta', function: 'vf' }],
  ['mapViommu', { ...PLATFORM, vm: 'beta', function: 'vf', address: '0x1000', guestAddress: '0x900000' }],
  ['setViommu', { ...PLATFORM, vm: 'beta', enabled: true }],
  ['setViommu', { ...PLATFORM, vm: 'beta', enabled: true }],
  [
    'mapViommu',
    { ...PLATFORM, vm: 'beta', function: 'vf', address: '0x1000', guestAddress: '0x900000', pages: 3 },
  ],
  ['mapViommu', { ...PLATFORM, vm: 'beta', function: 'vf', address: '0x1001', guestAddress: '0x900000' }],
  ['dma', { ...PLATFORM, function: 'vf', direction: 'write', address: '0x3000', data: '01' }],
  ['dma', { ...PLATFORM, function: 'vf', direction: 'write', address: '0x4000', data: '01' }],
  ['viommu', { ...PLATFORM, vm: 'beta' }],
  ['viommu', { ...PLATFORM, vm: 'alpha' }],
  ['unmapViommu', { ...PLATFORM, vm: 'beta', function: 'vf', address: '0x2000' }],
  ['deleteVm', { ...PLATFORM, vm: 'beta' }],
  ['resetFunction', { ...PLATFORM, function: 'vf' }],
  ['deleteVm', { ...PLATFORM, vm: 'alpha' }],
  ['createVm', { ...PLATFORM, name: 'mover', vcpus: 1, memoryMiB: 4 }],
  ['createSwitch', { ...PLATFORM, name: 'vs1' }],
  ['addNetworkDevice', { ...PLATFORM, vm: 'mover', model: 'paravirtual', mac: NIC_MAC, switch: 'vs1' }],
  ['takeSnapshot', { ...PLATFORM, vm: 'mover', name: 'before' }],
  ['takeSnapshot', { ...PLATFORM, vm: 'mover', name: 'before' }],
  ['snapshots', {}],
  ['snapshot', { snapshot: 'before' }],
  ['pauseVm', { ...PLATFORM, vm: 'mover' }],
  ['pauseVm', { ...PLATFORM, vm: 'mover' }],
  ['runVcpu', { ...PLATFORM, vm: 'mover', vcpu: 0, operations: [{ op: 'nop' }] }],
  ['resumeVm', { ...PLATFORM, vm: 'mover' }],
  ['rewindVm', { ...PLATFORM, vm: 'mover', snapshot: 'before' }],
  ['cloneVm', { ...PLATFORM, vm: 'mover', name: 'twin', macs: ['02:00:00:00:00:a1'] }],
  ['cloneVm', { ...PLATFORM, vm: 'mover', name: 'third', macs: [] }],
  ['exportSnapshot', { snapshot: 'before' }],
  ['importSnapshot', { name: 'brought', document: '{' }],
  ['importSnapshot', { name: 'brought', document: '{}' }],
  ['createPlatform', { topology: 'hot-plug', name: 'q' }],
  ['migrateVm', { ...PLATFORM, vm: 'twin', to: 'q' }],
  ['createSwitch', { platform: 'q', name: 'vs9' }],
  ['migrateVm', { ...PLATFORM, vm: 'twin', to: 'q', switches: { vs1: 'vs9' }, tracking: 'pml' }],
  ['migrateVm', { ...PLATFORM, vm: 'mover', to: 'p' }],
  ['placeSnapshot', { platform: 'q', snapshot: 'before', switches: { vs1: 'vs9' }, paused: true }],
  ['planConversion', { ...PLATFORM, way: 'p2v', to: 'q', memoryMiB: 16, network: ['paravirtual'] }],
  ['planConversion', { ...PLATFORM, way: 'p2v', vm: 'mover', to: 'q' }],
  ['convert', { ...PLATFORM, way: 'v2v', vm: 'mover', to: 'q', name: 'converted', disks: ['emulation'] }],
  ['convert', { ...PLATFORM, way: 'v2v', vm: 'mover', to: 'p' }],
  ['resumeVm', { ...PLATFORM, vm: 'mover' }],
  ['protectVm', { platform: 'q', vm: 'twin', to: 'q' }],
  ['protectVm', { platform: 'q', vm: 'twin', to: 'p', switches: { vs9: 'vs1' } }],
  ['protections', {}],
  ['unprotectVm', { ...PLATFORM, vm: 'mover' }],
  ['failOver', { platform: 'q' }],
  ['failOver', { platform: 'q', fence: true, detectMs: 5 }],
  ['deleteSnapshot', { snapshot: 'before' }],
  ['deletePlatform', { platform: 'q' }],
  ['deleteVm', { ...PLATFORM, vm: 'mover' }],
  ['platformState', PLATFORM],
  ['power', { ...PLATFORM, action: 'off' }],
  ['functions', PLATFORM],
  ['power', { ...PLATFORM, action: 'on' }],
  ['commands', PLATFORM],
  ['rewindPlatform', { ...PLATFORM, to: 3 }],
  ['rewindPlatform', { ...PLATFORM, to: 9999 }],
  ['forkPlatform', { ...PLATFORM, name: 'fork', at: 2 }],
  ['forkPlatform', { ...PLATFORM, name: 'fork' }],
  ['archivePlatform', PLATFORM],
  ['importPlatform', { archive: 'archive', name: 'moved' }],
  ['importPlatform', { archive: 'archive' }],
  ['platformState', { platform: 'moved' }],
  ['commands', { platform: 'moved', after: 5 }],
  ['deletePlatform', PLATFORM],
  ['platforms', {}],
]

async function live(face: Face): Promise<readonly (readonly [OperationId, Ending])[]> {
  const names: Record<string, unknown> = { pf: PF }
  const endings: [OperationId, Ending][] = []
  for (const [id, input] of LIFE) {
    const filled = Object.fromEntries(
      Object.entries(input).map(([key, value]) => [key, names[String(value)] ?? value]),
    )
    const ending = await face(id, filled)
    endings.push([id, ending])
    if (!('result' in ending)) continue
    if (id === 'functions') {
      const functions = ending.result as { address: string; kind: string; remappingUnit: string }[]
      const pf = functions.find(fn => fn.kind === 'PF')!
      names['pf'] = pf.address
      names['unit'] = pf.remappingUnit
    }
    if (id === 'archivePlatform') names['archive'] = ending.result
    if (id === 'setNumVfs')
      names['vf'] = (ending.result as { virtualFunctions: string[] }).virtualFunctions[0]!
  }
  return endings
}

describe('every operation', () => {
  let forRest: TestServer
  let forCommandLine: TestServer
  let url = ''
  beforeAll(async () => {
    forRest = await testServer()
    forCommandLine = await testServer()
    await forCommandLine.app.listen({ port: 0, host: '127.0.0.1' })
    url = `http://127.0.0.1:${(forCommandLine.app.server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    await forRest.app.close()
    await forCommandLine.app.close()
  })

  it('is part of the life below', () => {
    expect([...new Set(LIFE.map(([id]) => id))].sort()).toEqual(
      operationEntries()
        .map(([id]) => id)
        .sort(),
    )
  })

  it('has three faces that answer alike', async () => {
    const byLibrary = await live(library(createNorthbridge()))
    const byRest = await live(rest(forRest))
    const byCommandLine = await live(commandLine(() => url))
    expect(byRest).toEqual(JSON.parse(JSON.stringify(byLibrary)))
    expect(byCommandLine).toEqual(byRest)
    const codes = byLibrary.flatMap(([, ending]) => ('code' in ending ? [ending.code] : []))
    expect(codes).toEqual([
      'invalidDocument',
      'notFound',
      'notFound',
      'notFound',
      'alreadyDone',
      'notFound',
      'malformedInput',
      'nameTaken',
      'notFound',
      'nameTaken',
      'sriovBusy',
      'notFound',
      'invalidDocument',
      'invalidArgument',
      'topologyConflict',
      'topologyConflict',
      'topologyConflict',
      'notFound',
      'functionInUse',
      'notFound',
      'policyRefused',
      'memoryPinned',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'nameTaken',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'notFound',
      'invalidArgument',
      'notFound',
      'nameTaken',
      'invalidArgument',
      'invalidArgument',
      'malformedInput',
      'unsupported',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'unsupported',
      'invalidArgument',
      'invalidArgument',
      'resetUnavailable',
      'notFound',
      'functionInUse',
      'notFound',
      'invalidArgument',
      'notFound',
      'alreadyDone',
      'invalidArgument',
      'notFound',
      'nameTaken',
      'alreadyDone',
      'vmPaused',
      'invalidArgument',
      'invalidDocument',
      'invalidDocument',
      'notFound',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'invalidArgument',
      'notFound',
      'platformAlive',
      'poweredOff',
      'notFound',
      'nameTaken',
      'nameTaken',
    ])
  })

  it('is told by the command line that no server answers', async () => {
    const closed: Server = createServer().listen(0)
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    const complaints: string[] = []
    const status = await runCli(['platforms', 'list', '--server', `http://127.0.0.1:${port}`], {
      print: () => {},
      complain: text => complaints.push(text),
    })
    expect(status).toBe(3)
    expect(complaints[0]).toContain('No server answers')
  })
})
