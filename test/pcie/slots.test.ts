/** Links that come up and go down; slots that tell software about cards. */
import { describe, expect, it } from 'vitest'
import { digest } from '../../src/core/index.ts'
import { ALL, Machine, part, patched } from './machine.ts'
import { hotplugPort, PORT } from './port-parts.ts'

const CONTROL = PORT.express + 0x18
const LINK = PORT.express + 0x10
/** Slot Status, in the upper half of the dword. */
const ABP = 0x1_0000
const PDC = 0x8_0000
const CC = 0x10_0000
const PDS = 0x40_0000
const DLLSC = 0x100_0000
const DLL_ACTIVE = 0x2000_0000

function slot(options?: { surprise: boolean }) {
  const machine = new Machine()
  const port = machine.plug(hotplugPort(options), '1.0')
  machine.number(0, 1, 0, 1, 1)
  machine.write(0, 1, 0, PORT.msi + 4, 0xfee0_0000)
  machine.write(0, 1, 0, PORT.msi, 0x1_0000, 0xffff_0000)
  const status = (): number => port.readConfig(CONTROL) & ~0xffff
  const insert = (): void => {
    port.port!.beginInsertion()
    machine.plug(part('intel-82574l'), '0.0', port)
    port.port!.endInsertion()
  }
  const pull = (): void => {
    for (const fn of port.secondary!.clear()) fn.remove()
    port.port!.removed()
  }
  const messages = (): number => machine.notes.arrivals.length
  return { machine, port, status, insert, pull, messages }
}

describe('a hot-plug slot', () => {
  it('is switched off while it is empty: a card shows, but its link stays down', () => {
    const { machine, status, insert } = slot()
    insert()
    expect(status()).toBe(PDC | PDS)
    expect(machine.read(1, 0, 0, 0)).toBe(ALL)
  })

  it('power brings the link up: the data link layer tells, and the card answers', () => {
    const { machine, port, status, insert } = slot()
    insert()
    machine.write(0, 1, 0, CONTROL, 0, 0xffff)
    expect(status()).toBe(PDC | PDS | DLLSC | CC)
    expect(port.readConfig(LINK) & DLL_ACTIVE).not.toBe(0)
    expect(machine.read(1, 0, 0, 0)).toBe(0x10d3_8086)
  })

  it('switched off again, the card loses everything', () => {
    const { machine, port, insert } = slot()
    insert()
    machine.write(0, 1, 0, CONTROL, 0, 0xffff)
    machine.write(1, 0, 0, 4, 6, 0xffff)
    machine.write(0, 1, 0, CONTROL, 0x400, 0xffff)
    expect(machine.read(1, 0, 0, 0)).toBe(ALL)
    machine.write(0, 1, 0, CONTROL, 0, 0xffff)
    expect(port.secondary!.functions[0]!.readConfig(4) & 0xffff).toBe(0)
  })

  it('interrupts for enabled events, once until they are cleared', () => {
    const { machine, port, messages } = slot()
    // Attention Button Pressed Enable, Hot-Plug Interrupt Enable.
    machine.write(0, 1, 0, CONTROL, 0x421, 0xffff)
    machine.write(0, 1, 0, CONTROL, CC, 0xffff_0000)
    port.port!.pressAttentionButton()
    port.port!.pressAttentionButton()
    expect(messages()).toBe(1)
    machine.write(0, 1, 0, CONTROL, ABP, 0xffff_0000)
    port.port!.pressAttentionButton()
    expect(messages()).toBe(2)
  })

  it('an event that happened before its enable was set interrupts then', () => {
    const { machine, port, messages } = slot()
    port.port!.pressAttentionButton()
    expect(messages()).toBe(0)
    machine.write(0, 1, 0, CONTROL, 0x421, 0xffff)
    expect(messages()).toBe(1)
  })

  it('a write of the status half is no command', () => {
    const { machine, status } = slot()
    machine.write(0, 1, 0, CONTROL, ABP, 0xffff_0000)
    expect(status() & CC).toBe(0)
    machine.write(0, 1, 0, CONTROL, 0x400, 0xffff)
    expect(status() & CC).toBe(CC)
  })

  it('a card that is pulled out is gone at once: presence and link changed', () => {
    const { machine, port, status, insert, pull } = slot()
    insert()
    machine.write(0, 1, 0, CONTROL, 0, 0xffff)
    machine.write(0, 1, 0, CONTROL, PDC | DLLSC | CC, 0xffff_0000)
    const nic = port.secondary!.functions[0]!
    pull()
    expect(status()).toBe(PDC | DLLSC)
    expect([machine.read(1, 0, 0, 0), nic.present]).toEqual([ALL, false])
  })

  it('is a Surprise Down error where surprise is not allowed', () => {
    for (const [surprise, logged] of [
      [true, 0],
      [false, 0x20],
    ] as const) {
      const { machine, port, insert, pull } = slot({ surprise })
      insert()
      machine.write(0, 1, 0, CONTROL, 0, 0xffff)
      pull()
      expect(port.readConfig(PORT.aer + 4)).toBe(logged)
    }
  })
})

describe('a link', () => {
  /** LnkSta of both ends: speed code and width. */
  const trained = (machine: Machine, express: number): readonly [number, number] => [
    (machine.read(0, 1, 0, LINK) >>> 16) & 0x3ff,
    (machine.read(1, 0, 0, express + 0x10) >>> 16) & 0x3ff,
  ]

  function linked() {
    const machine = new Machine()
    // 8 GT/s, x16 at the port; 2.5 GT/s, x4 at the far end.
    const port = machine.plug(part('root-port'), '1.0')
    const nic = part('intel-82574l')
    const express = 0xe0
    const fn = machine.plug(
      patched(nic, [express + 0x0c, 0x42], [express + 0x12, 0x42], [express + 0x13, 0]),
      '0.0',
      port,
    )
    machine.number(0, 1, 0, 1, 1)
    return { machine, port, fn, express }
  }

  it('comes up with the speed and width that both ends can', () => {
    const { machine, express } = linked()
    expect(trained(machine, express)).toEqual([0x42, 0x42])
  })

  it('trains again with fewer lanes or slower where wires are bad, and at the target speed', () => {
    const { machine, port, express } = linked()
    port.port!.limit({ speed: 0, width: 1 })
    expect(trained(machine, express)).toEqual([0x12, 0x12])
    port.port!.limit({ speed: 0, width: 0 })
    machine.write(0, 1, 0, PORT.express + 0x30, 1, 0xf)
    machine.write(0, 1, 0, LINK, 0x20, 0xffff)
    expect(trained(machine, express)).toEqual([0x41, 0x41])
    // Retrain Link reads 0.
    expect(machine.read(0, 1, 0, LINK) & 0x20).toBe(0)
  })

  it('Link Disable takes it down with everything below', () => {
    const { machine, fn } = linked()
    machine.write(1, 0, 0, 4, 6, 0xffff)
    machine.write(0, 1, 0, LINK, 0x10, 0xffff)
    expect(machine.read(1, 0, 0, 0)).toBe(ALL)
    machine.write(0, 1, 0, LINK, 0, 0xffff)
    expect([machine.read(1, 0, 0, 0), fn.readConfig(4) & 0xffff]).toEqual([0x10d3_8086, 0])
  })

  it('its state survives saving and loading', () => {
    const { machine, port } = linked()
    port.port!.limit({ speed: 1, width: 1 })
    port.port!.sever(true)
    const saved = machine.fabric.save()
    const other = linked()
    other.machine.fabric.load(saved)
    expect(digest(other.machine.fabric.save())).toBe(digest(saved))
    expect(other.machine.read(1, 0, 0, 0)).toBe(ALL)
  })
})
