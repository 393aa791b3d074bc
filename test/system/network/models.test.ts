/** One frame under each of the five I/O models, there and back, through real registers, rings and tables. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import type { NicInspection } from '../../../src/devices/nic/common/nic-model.ts'
import { createNorthbridge, type InputOf, type Northbridge } from '../../../src/index.ts'

const PF = '0000:01:00.0'
const P = { platform: 'p' }
const MAC = '02:00:00:00:00:a0'
const OUTSIDE = '02:00:00:00:00:09'

type Model = InputOf<'addNetworkDevice'>['model']

/** A small server whose two ports are of an adapter. */
const serverWith = (nic: string): object => {
  const file = new URL('../../../topologies/one-socket-82576.json', import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8').replaceAll('82576', nic))
}

describe.each([
  // The 82599 does not tell whose frames it caught.
  { nic: '82576', spoofed: 1 },
  { nic: '82599', spoofed: null },
])('over an $nic', ({ nic, spoofed }) => {
  const topology = serverWith(nic) as InputOf<'createPlatform'>['topology']

  function machine(): Northbridge {
    const northbridge = createNorthbridge()
    northbridge.createPlatform({ topology, name: 'p' })
    northbridge.createVm({ ...P, name: 'a', vcpus: 1, memoryMiB: 64 })
    return northbridge
  }

  /** A virtual machine with one device; returns its address. */
  function withDevice(northbridge: Northbridge, model: Model, vm = 'a', mac = MAC): string {
    if (model === 'emulated' || model === 'paravirtual') {
      if (northbridge.switches(P).length === 0) northbridge.createSwitch({ ...P, name: 'vs0', uplinks: [PF] })
      return northbridge.addNetworkDevice({ ...P, vm, model, mac, switch: 'vs0' }).mac
    }
    const vfs = (): readonly string[] => northbridge.function({ ...P, function: PF }).virtualFunctions ?? []
    if (model === 'sriov' && vfs().length === 0) northbridge.setNumVfs({ ...P, function: PF, numVfs: 2 })
    const taken = northbridge.vms(P).flatMap(({ devices }) => devices.map(device => device.function))
    const fn = model === 'sriov' ? vfs().find(address => !taken.includes(address))! : PF
    return northbridge.addNetworkDevice({ ...P, vm, model, mac, function: fn }).mac
  }

  const MODELS: readonly Model[] = ['emulated', 'paravirtual', 'vmdq', 'sriov', 'direct']

  describe.each(MODELS)('%s', model => {
    let northbridge: Northbridge
    let mac: string
    beforeAll(() => {
      northbridge = machine()
      mac = withDevice(northbridge, model)
    })

    it('brings a frame from the wire into a buffer of the guest, byte for byte', () => {
      for (const length of [60, 61, 1000, 1514]) {
        const trace = northbridge.traceFrame({ ...P, function: PF, to: mac, length })
        expect(trace).toMatchObject({ sent: true, length, received: [{ vm: 'a', slot: 1, intact: true }] })
      }
    })

    it('sends a frame of the guest to the wire, byte for byte', () => {
      northbridge.captureFrames({ ...P, function: PF, capture: 'on' })
      const { sent } = northbridge.traceFrame({ ...P, vm: 'a', to: OUTSIDE, sender: mac, length: 200 })
      expect(sent).toBe(true)
      const { frames, pcap } = northbridge.capturedFrames({ ...P, function: PF })
      northbridge.captureFrames({ ...P, function: PF, capture: 'off' })
      expect(frames).toBe(1)
      expect(pcap.slice(-400, -372)).toBe(`${OUTSIDE}${mac}88b5`.replaceAll(':', ''))
      expect(pcap.length / 2).toBe(24 + 16 + 200)
    })

    it('takes more frames than its rings have entries', () => {
      for (let i = 0; i < 40; i++) {
        expect(northbridge.traceFrame({ ...P, function: PF, to: mac }).received.length).toBe(1)
        expect(northbridge.traceFrame({ ...P, vm: 'a', to: OUTSIDE, sender: mac }).sent).toBe(true)
      }
      const { counters } = northbridge.networkDevices({ ...P, vm: 'a' })[0]!
      expect(counters).toMatchObject({ sent: 41, received: 44, refused: 0 })
    })

    it('is taken away and can come again', () => {
      northbridge.removeNetworkDevice({ ...P, vm: 'a', slot: 1 })
      expect(northbridge.networkDevices({ ...P, vm: 'a' })).toEqual([])
      const to = withDevice(northbridge, model)
      expect(northbridge.traceFrame({ ...P, function: PF, to }).received.length).toBe(1)
    })
  })

  it('costs what each model is known for: who copies, who exits', () => {
    const costs = MODELS.map(model => {
      const northbridge = machine()
      const to = withDevice(northbridge, model)
      northbridge.traceFrame({ ...P, function: PF, to })
      const { exitsByReason, copies, dmaReads, dmaWrites, iotlbLookups, interrupts } = northbridge.traceFrame(
        {
          ...P,
          function: PF,
          to,
        },
      )
      const registerExits = exitsByReason['eptViolation'] ?? 0
      return { model, registerExits, copies, dmaReads, dmaWrites, iotlbLookups, interrupts }
    })
    const dma = { dmaReads: 1, dmaWrites: 2, iotlbLookups: 3, interrupts: 1 }
    expect(costs).toEqual([
      // ICR, IMC, RDT and IMS: each register access of an emulated card exits.
      { model: 'emulated', registerExits: 4, copies: 1, ...dma },
      { model: 'paravirtual', registerExits: 0, copies: 1, ...dma },
      { model: 'vmdq', registerExits: 0, copies: 1, ...dma },
      { model: 'sriov', registerExits: 0, copies: 0, ...dma },
      { model: 'direct', registerExits: 0, copies: 0, ...dma },
    ])
  })

  describe('between virtual machines', () => {
    it.each(['emulated', 'paravirtual', 'sriov', 'vmdq'] as const)(
      '%s: a frame does not see the wire',
      model => {
        const northbridge = machine()
        northbridge.createVm({ ...P, name: 'b', vcpus: 1, memoryMiB: 64 })
        const source = withDevice(northbridge, model)
        const to = withDevice(northbridge, model, 'b', '02:00:00:00:00:b0')
        // Both are known after one frame each.
        northbridge.traceFrame({ ...P, vm: 'b', to: source, sender: to })
        const [before] = northbridge.nics(P)
        const trace = northbridge.traceFrame({ ...P, vm: 'a', to, sender: source, length: 300 })
        expect(trace.received).toEqual([{ vm: 'b', slot: 1, intact: true }])
        expect(northbridge.nics(P)[0]!.framesOut).toBe(before!.framesOut)
      },
    )

    it('posted interrupts: a virtual function’s frame costs no exit for its delivery', () => {
      const northbridge = createNorthbridge()
      northbridge.createPlatform({ topology, name: 'p' })
      northbridge.createVm({ ...P, name: 'a', vcpus: 1, memoryMiB: 64, interrupts: 'virtualized' })
      const to = withDevice(northbridge, 'sriov')
      const { exitsByReason, received } = northbridge.traceFrame({ ...P, function: PF, to })
      expect(received.length).toBe(1)
      // The end of interrupt is the processor's own: only going to sleep exits.
      expect(exitsByReason).toEqual({ hlt: 1 })
    })
  })

  describe('what the adapter lets through', () => {
    it('drops a frame of a virtual function that lies about its source, and counts it', () => {
      const northbridge = machine()
      const source = withDevice(northbridge, 'sriov')
      northbridge.traceFrame({ ...P, vm: 'a', to: OUTSIDE, sender: '02:00:00:00:00:66' })
      const nic = northbridge.nic({ ...P, function: PF })
      expect(nic.framesOut).toBe(0)
      expect(nic.drops).toMatchObject({ macSpoof: 1 })
      expect(nic.virtualFunctions[0]).toMatchObject({ spoofed, mac: source, clearToSend: true })
      northbridge.setVf({ ...P, function: PF, vf: 0, spoofCheck: false })
      northbridge.traceFrame({ ...P, vm: 'a', to: OUTSIDE, sender: '02:00:00:00:00:66' })
      expect(northbridge.nic({ ...P, function: PF }).framesOut).toBe(1)
    })

    it('keeps a virtual function to the port VLAN that it was given, without it knowing', () => {
      const northbridge = machine()
      northbridge.setNumVfs({ ...P, function: PF, numVfs: 1 })
      const [fn] = northbridge.function({ ...P, function: PF }).virtualFunctions!
      northbridge.addNetworkDevice({ ...P, vm: 'a', model: 'sriov', mac: MAC, function: fn!, vlan: 30 })
      expect(northbridge.traceFrame({ ...P, function: PF, to: MAC }).received).toEqual([])
      expect(northbridge.traceFrame({ ...P, function: PF, to: MAC, vlan: 31 }).received).toEqual([])
      // The tag was taken off: the guest has the frame without it.
      expect(northbridge.traceFrame({ ...P, function: PF, to: MAC, vlan: 30 }).received.length).toBe(1)
      northbridge.captureFrames({ ...P, function: PF, capture: 'on' })
      northbridge.traceFrame({ ...P, vm: 'a', to: OUTSIDE, sender: MAC })
      const { pcap } = northbridge.capturedFrames({ ...P, function: PF })
      expect(pcap.slice(80, 80 + 36)).toBe(`${OUTSIDE}${MAC}8100001e88b5`.replaceAll(':', ''))
    })

    it('gives a VM’s pool its frames of its VLAN only', () => {
      const northbridge = machine()
      northbridge.addNetworkDevice({ ...P, vm: 'a', model: 'vmdq', mac: MAC, function: PF, vlan: 7 })
      expect(northbridge.traceFrame({ ...P, function: PF, to: MAC }).received).toEqual([])
      expect(northbridge.traceFrame({ ...P, function: PF, to: MAC, vlan: 7 }).received.length).toBe(1)
    })
  })

  it('opens an adapter with rings and an interval between interrupts as it is told to, once', () => {
    const northbridge = machine()
    const options = { ringEntries: 16, interruptInterval: 50 }
    northbridge.openNic({ ...P, function: PF, ...options })
    const { registers } = northbridge.nic({ ...P, function: PF })
    const { receive, transmit, vectors } = registers as unknown as NicInspection
    const enabled = [...receive, ...transmit].filter(ring => ring.enabled)
    expect(enabled.map(({ descriptors }) => descriptors)).toEqual([16, 16])
    expect(vectors.filter(({ intervalNs }) => intervalNs === 50_000).length).toBeGreaterThan(1)
    northbridge.openNic({ ...P, function: PF })
    expect(() => northbridge.openNic({ ...P, function: PF, ...options })).toThrow('is open already')
    expect(() => northbridge.openNic({ ...P, function: PF, ringEntries: 12 })).toThrow()
  })

  describe('the cable', () => {
    it('pulled out of the active uplink: the other takes over, addresses stay, and the switch outside hears of it', () => {
      const northbridge = machine()
      const other = '0000:01:00.1'
      northbridge.createSwitch({ ...P, name: 'vs0', uplinks: [PF, other] })
      northbridge.addNetworkDevice({ ...P, vm: 'a', model: 'paravirtual', mac: MAC, switch: 'vs0' })
      northbridge.traceFrame({ ...P, vm: 'a', to: OUTSIDE, sender: MAC })
      northbridge.captureFrames({ ...P, function: other, capture: 'on' })
      northbridge.setCable({ ...P, function: PF, cable: 'pulled' })
      expect(northbridge.switch({ ...P, switch: 'vs0' }).team).toMatchObject({
        active: other,
        failovers: 1,
        announcements: 1,
      })
      // The announcement: a broadcast RARP from the address that moved.
      const { pcap } = northbridge.capturedFrames({ ...P, function: other })
      expect(pcap.slice(80, 80 + 28)).toBe(`ffffffffffff${MAC}8035`.replaceAll(':', ''))
      // Not one frame after it is lost, either way, and the address is the same.
      const outward = northbridge.traceFrame({ ...P, vm: 'a', to: OUTSIDE, sender: MAC })
      const inward = northbridge.traceFrame({ ...P, function: other, to: MAC })
      expect(outward.sent).toBe(true)
      expect(inward.received).toEqual([{ vm: 'a', slot: 1, intact: true }])
      expect(northbridge.capturedFrames({ ...P, function: other }).frames).toBe(3)
      northbridge.setCable({ ...P, function: PF, cable: 'plugged' })
      expect(northbridge.switch({ ...P, switch: 'vs0' }).team).toMatchObject({ active: PF, failovers: 2 })
    })

    it('pulled out of every uplink: what is sent is dropped with a name', () => {
      const northbridge = machine()
      withDevice(northbridge, 'paravirtual')
      northbridge.setCable({ ...P, function: PF, cable: 'pulled' })
      northbridge.traceFrame({ ...P, vm: 'a', to: OUTSIDE, sender: MAC })
      const { ports, team } = northbridge.switch({ ...P, switch: 'vs0' })
      expect(ports.find(({ kind }) => kind === 'uplink')!.droppedOut).toEqual({ noCarrier: 1 })
      expect(team).toMatchObject({ active: null, lost: 1 })
    })
  })

  it('a capture that is read in is delivered byte for byte', () => {
    const northbridge = machine()
    const to = withDevice(northbridge, 'paravirtual')
    northbridge.captureFrames({ ...P, function: PF, capture: 'on' })
    for (const length of [60, 777, 1514]) northbridge.traceFrame({ ...P, function: PF, to, length })
    const first = northbridge.capturedFrames({ ...P, function: PF }).pcap
    northbridge.captureFrames({ ...P, function: PF, capture: 'on' })
    expect(northbridge.replayFrames({ ...P, function: PF, pcap: first })).toEqual({
      frames: 3,
      sent: 3,
      cut: 0,
    })
    expect(northbridge.capturedFrames({ ...P, function: PF }).pcap).toBe(first)
    const { counters } = northbridge.networkDevices({ ...P, vm: 'a' })[0]!
    expect(counters).toMatchObject({ received: 6, receivedBytes: 2 * (60 + 777 + 1514) })
  })

  it('refuses without a trace of it in the state', () => {
    const northbridge = machine()
    withDevice(northbridge, 'paravirtual')
    const before = northbridge.platformState(P)
    const refused = (input: Partial<InputOf<'addNetworkDevice'>>) => () =>
      northbridge.addNetworkDevice({
        ...P,
        vm: 'a',
        model: 'emulated',
        mac: MAC,
        ...input,
      } as InputOf<'addNetworkDevice'>)
    expect(refused({ switch: 'nowhere' })).toThrow('there is no virtual switch nowhere')
    expect(refused({})).toThrow('a device of this model is connected to a switch')
    expect(refused({ model: 'sriov', function: PF })).toThrow('is no virtual function')
    expect(refused({ model: 'direct', function: PF })).toThrow('is an uplink of switch vs0')
    expect(refused({ mac: '01:00:00:00:00:01', switch: 'vs0' })).toThrow('individual address')
    expect(refused({ vm: 'nobody', switch: 'vs0' })).toThrow('there is no virtual machine nobody')
    expect(refused({ switch: 'vs0' })).toThrow('has a port')
    expect(() => northbridge.deleteSwitch({ ...P, switch: 'vs0' })).toThrow('is connected to switch')
    expect(northbridge.platformState(P)).toEqual(before)
  })
})
