/** How functions of a machine come to their device models, and ports to their wires. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DEVICE_MODELS, dataSheetNames, loadDataSheet } from '../../src/devices/index.ts'
import type { NicModel } from '../../src/devices/nic/common/nic-model.ts'
import { Engine } from '../../src/engine/index.ts'
import { Frame } from '../../src/net/index.ts'
import { Platform, parseTopology } from '../../src/platform/index.ts'

const ALL = 0xffff_ffff

function build(name: string, more: object = {}): Platform {
  const engine = new Engine()
  const document = JSON.parse(readFileSync(`topologies/${name}.json`, 'utf8'))
  const platform = engine.run(Platform.build(parseTopology({ ...document, ...more }), engine))
  platform.powerOn()
  return platform
}

describe('device models', () => {
  it('exist for every data sheet that names one', () => {
    const named = dataSheetNames().flatMap(name =>
      loadDataSheet(name).functions.flatMap(fn => fn.registerModel ?? []),
    )
    expect(named.length).toBeGreaterThan(3)
    for (const name of named) expect(Object.keys(DEVICE_MODELS)).toContain(name)
  })

  it('are made when something reaches the function, and not by looking', () => {
    const platform = build('one-socket-82576')
    const [first, second] = platform.network.ports
    expect([first!.port.name, second!.port.name]).toEqual(['0000:00:01.0/00.0', '0000:00:01.0/00.1'])
    const before = platform.save()
    expect([first!.function.modelMade, second!.function.modelMade]).toEqual([undefined, undefined])
    first!.partner.send(Frame.of(new Uint8Array(64)))
    expect((first!.function.modelMade as NicModel).inspect().drops).toEqual({ receiverDisabled: 1 })
    second!.function.region(0).readDword(0x8)
    expect(second!.function.modelMade).toBeDefined()
    // Forgotten again with the state of before.
    platform.load(before)
    expect(first!.function.modelMade).toBeUndefined()
    expect(platform.save()).toEqual(before)
  })

  it('leave the MSI-X table where it is', () => {
    const platform = build('two-socket-82599')
    const { function: fn } = platform.network.ports[0]!
    fn.region(4).writeDword(0, 0xfee0_0000, ALL)
    expect(fn.region(4).readDword(0)).toBe(0xfee0_0000)
    expect(fn.modelMade).toBeUndefined()
  })
})

describe('the wires of a machine', () => {
  const PORTS = ['00:01.0/00.0', '00:01.0/00.1']

  it('go where the topology says', () => {
    const platform = build('one-socket-82576', { wires: [{ functions: PORTS }] })
    const [first, second] = platform.network.ports
    expect(first!.port.wire!.ends).toEqual([first!.port, second!.port])
    expect([first!.port.carrier, first!.partner.port.carrier]).toEqual([true, false])
    const other = build('one-socket-82576')
    other.load(platform.save())
    expect(other.save()).toEqual(platform.save())
  })

  it.each([
    [['00:01.0/00.0', '00:01.0'], 'has no network port that is modelled'],
    [['00:01.0/00.0', '00:07.0'], 'names no function: "00:07.0"'],
    [['00:01.0/00.0', '00:01.0/00.0'], 'is at the end of a wire already: "00:01.0/00.0"'],
  ])('have two network ports of the machine at their ends: %s', (functions, message) => {
    const issue = { path: '/wires/0/functions/1', message }
    expect(() => build('one-socket-82576', { wires: [{ functions }] })).toThrowError(
      expect.objectContaining({ details: expect.objectContaining({ issues: [issue] }) }),
    )
  })

  it('lead outside, until two ports are connected to each other; and that is state', () => {
    const platform = build('one-socket-82576')
    const [first, second] = platform.network.ports
    const before = platform.save()
    platform.network.connect(first!.function, second!.function)
    expect(first!.port.wire).toBe(second!.port.wire)
    expect(first!.partner.port.carrier).toBe(false)
    first!.port.send(Frame.of(new Uint8Array(64)))
    expect((second!.function.modelMade as NicModel).inspect().drops).toEqual({ receiverDisabled: 1 })
    first!.port.wire!.plugged = false
    expect(second!.port.carrier).toBe(false)
    const connected = platform.save()
    platform.load(before)
    expect(first!.partner.port.carrier).toBe(true)
    expect(platform.save()).toEqual(before)
    platform.load(connected)
    expect(first!.port.wire).toBe(second!.port.wire)
    expect(platform.save()).toEqual(connected)
    platform.network.connect(first!.function, undefined)
    expect([first!.partner.port.carrier, second!.partner.port.carrier]).toEqual([true, true])
  })

  it('are no more where a card was pulled out', () => {
    const platform = build('hot-plug')
    const [port] = platform.network.ports
    platform.cards.pull(port!.function.bus.bridge as never)
    expect(platform.network.ports).not.toContain(port)
    expect(() => platform.network.portOf(platform.fabric.functions()[0]!)).toThrow('has no network port')
  })

  it('keep their state through a reset of the machine, whose ports come out of it as new', () => {
    const platform = build('one-socket-82576')
    const [port] = platform.network.ports
    const registers = port!.function.region(0)
    registers.writeDword(0x100, 0x2, ALL)
    port!.port.wire!.plugged = false
    platform.reset()
    expect([registers.readDword(0x100), port!.port.wire!.plugged]).toEqual([0, false])
  })
})
