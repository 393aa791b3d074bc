/** Generated traffic at ports and from virtual machines, on lines that take their time and past rate limits. */
import { describe, expect, it } from 'vitest'
import { createNorthbridge, type Northbridge } from '../../../src/index.ts'

const PF = '0000:01:00.0'
const P = { platform: 'p' }
const OUTSIDE = '02:00:00:00:00:f0'
const [A, B, C] = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03'] as const

/** Three virtual machines behind one adapter: emulated, paravirtual, and with a virtual function. */
function machine(): Northbridge {
  const northbridge = createNorthbridge()
  northbridge.createPlatform({ topology: 'one-socket-82576', name: 'p' })
  northbridge.setNumVfs({ ...P, function: PF, numVfs: 1 })
  northbridge.createSwitch({ ...P, name: 'vs0', uplinks: [PF] })
  for (const [name, mac, model] of [
    ['a', A, 'emulated'],
    ['b', B, 'paravirtual'],
    ['c', C, 'sriov'],
  ] as const) {
    northbridge.createVm({ ...P, name, vcpus: 1, memoryMiB: 16 })
    const where = model === 'sriov' ? { function: '0000:01:10.0' } : { switch: 'vs0' }
    northbridge.addNetworkDevice({ ...P, vm: name, model, mac, ...where })
  }
  return northbridge
}

const framesOf = (report: { received: readonly { vm: string; frames: number }[] }) =>
  Object.fromEntries(report.received.map(({ vm, frames }) => [vm, frames]))

describe('traffic', () => {
  it('of mixed sizes from outside reaches every model, frame for frame', () => {
    const northbridge = machine()
    const report = northbridge.offerTraffic({
      ...P,
      function: PF,
      pattern: 'imix',
      stations: [OUTSIDE, A, B, C],
      frames: 90,
    })
    expect(report).toMatchObject({ offered: 90, sent: 90, adapterDrops: {}, switchDrops: {} })
    expect(framesOf(report)).toEqual({ a: 30, b: 30, c: 30 })
  })

  it('between virtual machines uses no wire where a switch can carry it', () => {
    const northbridge = machine()
    const report = northbridge.offerTraffic({
      ...P,
      function: PF,
      pattern: 'requestResponse',
      stations: [A, B],
      frames: 20,
    })
    expect(report).toMatchObject({ sent: 20, leftByWire: 0 })
    expect(framesOf(report)).toEqual({ a: 10, b: 10, c: 0 })
  })

  it('of many to one meets at the one', () => {
    const northbridge = machine()
    const report = northbridge.offerTraffic({
      ...P,
      function: PF,
      pattern: 'incast',
      stations: [C, A, B, OUTSIDE],
      frames: 60,
    })
    expect(framesOf(report)).toEqual({ a: 0, b: 0, c: 60 })
  })

  it('is the same for the same seed, to the nanosecond', () => {
    const run = () => {
      const northbridge = machine()
      northbridge.offerTraffic({ ...P, function: PF, pattern: 'imix', stations: [OUTSIDE, A, C], load: 0.3 })
      return northbridge.platformState(P).stateHash
    }
    expect(run()).toBe(run())
  })

  it('is refused where two stations have one address', () => {
    const northbridge = machine()
    expect(() =>
      northbridge.offerTraffic({ ...P, function: PF, pattern: 'fixed', stations: [A, A] }),
    ).toThrow('stations/1')
  })
})

describe('a limit of the administrator', () => {
  const MBPS = 10
  const send = (northbridge: Northbridge, sender: string) =>
    northbridge.offerTraffic({
      ...P,
      function: PF,
      pattern: 'fixed',
      stations: [sender, OUTSIDE],
      frames: 30,
      length: 1518,
    })

  it('lets a virtual function send what its rate allows, and the rest when time has passed', () => {
    const northbridge = machine()
    northbridge.setVf({ ...P, function: PF, vf: 0, maximumRate: MBPS })
    const { leftByWire, durationNs } = send(northbridge, C)
    const frameTime = (1538 * 8000) / MBPS
    expect(leftByWire).toBe(Math.floor(durationNs / frameTime) + 1)
    northbridge.passTime({ ...P, nanoseconds: 30 * frameTime })
    expect(northbridge.nics(P)[0]!.framesOut).toBe(30)
  })

  it('does not concern the others', () => {
    const northbridge = machine()
    northbridge.setVf({ ...P, function: PF, vf: 0, maximumRate: MBPS })
    expect(send(northbridge, B).leftByWire).toBe(30)
  })
})

describe('a line that takes its time', () => {
  it('carries no more than its speed, whoever sends', () => {
    const northbridge = machine()
    expect(northbridge.setLine({ ...P, function: PF, line: 'timed' }).speedMbps).toBe(1000)
    const { leftByWire, durationNs } = northbridge.offerTraffic({
      ...P,
      function: PF,
      pattern: 'fixed',
      stations: [C, OUTSIDE],
      frames: 50,
      length: 1518,
    })
    expect(leftByWire).toBe(50)
    expect((leftByWire * 1538 * 8) / durationNs).toBeLessThan(1)
    expect(northbridge.nics(P)[0]!.line).toBe('timed')
  })

  it('keeps a capture that is replayed to its speed', () => {
    const northbridge = machine()
    northbridge.captureFrames({ ...P, function: PF, capture: 'on' })
    northbridge.offerTraffic({ ...P, function: PF, pattern: 'fixed', stations: [OUTSIDE, A], frames: 10 })
    const { pcap } = northbridge.capturedFrames({ ...P, function: PF })
    northbridge.setLine({ ...P, function: PF, line: 'timed' })
    const { timeNs } = northbridge.platformState(P)
    northbridge.replayFrames({ ...P, function: PF, pcap })
    const passed = northbridge.platformState(P).timeNs - timeNs
    expect(passed).toBeGreaterThanOrEqual((10 * (512 + 20) * 8000) / 1000)
  })
})
