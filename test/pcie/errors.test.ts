/** "Error Signaling and Logging": who logs what, who is told, and what a port contains. */
import { describe, expect, it } from 'vitest'
import { reportCorrectable, reportUncorrectable } from '../../src/pcie/index.ts'
import { ALL, Machine, part, request, rid } from './machine.ts'
import { hotplugPort, PORT } from './port-parts.ts'

const UR = 1 << 20
const ACS_VIOLATION = 1 << 21
/** Device Status bits, as they stand in the dword of Device Control. */
const CED = 0x1_0000
const NFED = 0x2_0000
const FED = 0x4_0000
const URD = 0x8_0000

/** A root port that reports and forwards every error, an endpoint below it with AER. */
function reporting() {
  const machine = new Machine()
  const port = machine.plug(hotplugPort(), '1.0')
  const nic = machine.plug(part('intel-82574l'), '0.0', port)
  machine.number(0, 1, 0, 1, 1)
  machine.window(0, 1, 0, 0xe00, 0xe0f)
  machine.write(1, 0, 0, 0x10, 0xe000_0000)
  for (const offset of [0x14, 0x1c]) machine.write(1, 0, 0, offset, 0xe010_0000 + offset * 0x1_0000)
  machine.write(1, 0, 0, 0x04, 0x106, 0xffff)
  // SERR# Enable in Command and Bridge Control of the port; all errors reported, root error interrupts on.
  machine.write(0, 1, 0, 0x04, 0x106, 0xffff)
  machine.write(0, 1, 0, 0x3c, 0x2_0000, 0xffff_0000)
  const express = nic.layout.find(0x10)
  const aer = nic.layout.findExtended(1)
  machine.write(1, 0, 0, express + 8, 0xf, 0xffff)
  machine.write(0, 1, 0, PORT.express + 8, 0xf, 0xffff)
  machine.write(0, 1, 0, PORT.aer + 0x2c, 0x7)
  machine.write(0, 1, 0, PORT.msi + 4, 0xfee0_0000)
  machine.write(0, 1, 0, PORT.msi + 8, 0x40, 0xffff)
  machine.write(0, 1, 0, PORT.msi, 0x1_0000, 0xffff_0000)
  const root = (offset: number): number => machine.read(0, 1, 0, PORT.aer + offset) >>> 0
  const messages = (): number => machine.notes.arrivals.filter(({ page }) => page === 0xfee00).length
  return { machine, port, nic, express, aer, root, messages }
}

describe('an uncorrectable error', () => {
  it('is logged by who detects it, and its message names it to the root port, which interrupts', () => {
    const { nic, express, aer, root, messages } = reporting()
    reportUncorrectable(nic, 14, undefined, false)
    expect(nic.readConfig(aer + 4)).toBe(1 << 14)
    expect(nic.readConfig(express + 8) & 0xf_0000).toBe(NFED)
    expect(nic.readConfig(aer + 0x18) & 0x1f).toBe(14)
    // ERR_FATAL/NONFATAL Received, Non-Fatal Error Messages Received; the source in the upper half.
    expect(root(0x30) & 0x7f).toBe(0x24)
    expect(root(0x34) >>> 16).toBe(rid(1, 0, 0))
    expect(messages()).toBe(1)
  })

  it('a second one is counted as more, keeps the first source and pointer, and does not interrupt again', () => {
    const { machine, nic, aer, root, messages } = reporting()
    reportUncorrectable(nic, 14, undefined, false)
    reportUncorrectable(nic, 15, undefined, false)
    expect(nic.readConfig(aer + 4)).toBe(0xc000)
    expect(nic.readConfig(aer + 0x18) & 0x1f).toBe(14)
    expect([root(0x30) & 0x7f, messages()]).toEqual([0x2c, 1])
    // Once software has cleared the first, the pointer is free for the next.
    machine.write(1, 0, 0, aer + 4, 1 << 14)
    reportUncorrectable(nic, 12, undefined, false)
    expect(nic.readConfig(aer + 0x18) & 0x1f).toBe(12)
  })

  it('that its severity makes fatal is told as fatal', () => {
    const { nic, express, root } = reporting()
    reportUncorrectable(nic, 18, undefined, false)
    expect(nic.readConfig(express + 8) & 0xf_0000).toBe(FED)
    // First Uncorrectable Fatal, Fatal Error Messages Received.
    expect(root(0x30) & 0x7f).toBe(0x54)
  })

  it('that is masked sets its status bit and Device Status, and nothing else', () => {
    const { machine, nic, express, aer, root } = reporting()
    machine.write(1, 0, 0, aer + 8, 1 << 14)
    reportUncorrectable(nic, 14, undefined, false)
    expect([nic.readConfig(aer + 4), nic.readConfig(express + 8) & 0xf_0000, root(0x30) & 0x7f]).toEqual([
      1 << 14,
      NFED,
      0,
    ])
  })

  it('stays with a bridge whose SERR# Enable for the secondary side is clear', () => {
    const { machine, nic, root } = reporting()
    machine.write(0, 1, 0, 0x3c, 0, 0xffff_0000)
    reportUncorrectable(nic, 14, undefined, false)
    expect(root(0x30) & 0x7f).toBe(0)
    // Received System Error.
    expect(machine.read(0, 1, 0, 0x1c) & 0x4000_0000).not.toBe(0)
  })

  it('of a root port itself is collected there', () => {
    const { port, root } = reporting()
    reportUncorrectable(port, 22, undefined, false)
    expect([root(0x30) & 0x7f, root(0x34) >>> 16]).toEqual([0x54, rid(0, 1, 0)])
  })

  it('is sticky: a hot reset leaves the log', () => {
    const { machine, nic, aer } = reporting()
    reportUncorrectable(nic, 14, undefined, false)
    machine.write(0, 1, 0, 0x3c, 0x42_0000, 0xffff_0000)
    machine.write(0, 1, 0, 0x3c, 0x2_0000, 0xffff_0000)
    expect(nic.readConfig(aer + 4)).toBe(1 << 14)
  })
})

describe('a correctable error', () => {
  it('is told as correctable, with its own source', () => {
    const { nic, express, aer, root, messages } = reporting()
    reportCorrectable(nic, 6)
    expect([nic.readConfig(aer + 0x10), nic.readConfig(express + 8) & 0xf_0000]).toEqual([0x40, CED])
    expect([root(0x30) & 0x7f, root(0x34) & 0xffff, messages()]).toEqual([1, rid(1, 0, 0), 1])
  })

  it('interrupts when it is enabled later', () => {
    const { machine, nic, messages } = reporting()
    machine.write(0, 1, 0, PORT.aer + 0x2c, 0)
    reportCorrectable(nic, 6)
    expect(messages()).toBe(0)
    machine.write(0, 1, 0, PORT.aer + 0x2c, 1)
    expect(messages()).toBe(1)
  })
})

describe('a request that nobody takes', () => {
  /** Two functions below two ports of one device, so that requests cross inside it. */
  function neighbours() {
    const made = reporting()
    const peer = made.machine.plug(part('root-port'), '1.1')
    made.machine.number(0, 1, 1, 2, 2)
    made.machine.window(0, 1, 1, 0xf00, 0xf0f)
    return { ...made, peer }
  }

  it('a write is a non-fatal error of who refuses it, with the header of the request', () => {
    const { nic, peer } = neighbours()
    const sent = request(0xf000_0040)
    nic.issue(sent)
    expect(sent.status).toBe(1)
    const aer = PORT.aer
    expect(peer.readConfig(aer + 4)).toBe(UR)
    expect(peer.readConfig(PORT.express + 8) & 0xf_0000).toBe(NFED | URD)
    // MWr of one dword, all bytes, from 01:00.0.
    expect([0x1c, 0x20, 0x24].map(at => peer.readConfig(aer + at))).toEqual([
      0x4000_0001, 0x0100_000f, 0xf000_0040,
    ])
  })

  it('a read is answered UR, which makes it an advisory error, and the requester notes a master abort', () => {
    const { nic, peer } = neighbours()
    nic.issue(request(0xf000_0040, false))
    // Advisory Non-Fatal is masked after reset: nothing is logged but that.
    expect([peer.readConfig(PORT.aer + 0x10), peer.readConfig(PORT.aer + 4)]).toEqual([0x2000, 0])
    expect(peer.readConfig(PORT.express + 8) & 0xf_0000).toBe(CED | URD)
    expect(nic.readConfig(4) & 0x2000_0000).not.toBe(0)
  })

  it('an access control violation is logged as such at the port; a read gets CA', () => {
    const { machine, port, nic } = reporting()
    machine.write(0, 1, 0, PORT.acs + 4, 0x1_0000, 0xffff_0000)
    nic.captureBus(9)
    nic.issue(request(0x1000))
    expect(port.readConfig(PORT.aer + 4)).toBe(ACS_VIOLATION)
    nic.issue(request(0x1000, false))
    expect(nic.readConfig(4) & 0x1000_0000).not.toBe(0)
    expect(port.readConfig(4) & 0x0800_0000).not.toBe(0)
  })

  it('poisoned data is dropped by the completer, which logs it', () => {
    const { machine, nic } = reporting()
    const second = machine.plug(part('intel-82574l'), '2.0')
    const first = machine.plug(part('intel-82574l'), '2.1')
    for (const [i, fn] of [second, first].entries()) {
      for (const [n, offset] of [0x10, 0x14, 0x1c].entries()) {
        machine.write(0, 2, i, offset, 0xd000_0000 + i * 0x100_0000 + n * 0x10_0000)
      }
      machine.write(0, 2, i, 4, 0x46, 0xffff)
      expect(fn.rid).toBe(rid(0, 2, i))
    }
    const sent = request(0xd000_0000)
    sent.poisoned = true
    first.issue(sent)
    expect(sent.status).toBe(13)
    expect(machine.fabric.readMemory(0xd000_0000)).toBe(0)
    expect(second.readConfig(nic.layout.findExtended(1) + 4)).toBe(1 << 12)
    // Detected Parity Error there, Master Data Parity Error here.
    expect(second.readConfig(4) >>> 31).toBe(1)
    expect(first.readConfig(4) & 0x0100_0000).not.toBe(0)
  })
})

describe('downstream port containment', () => {
  function contained(trigger: number) {
    const made = reporting()
    made.machine.write(0, 1, 0, PORT.dpc + 4, (trigger << 16) | 0x8_0000, 0xffff_0000)
    return made
  }
  const status = (machine: Machine): number => machine.read(0, 1, 0, PORT.dpc + 8)

  it('a fatal message takes the link down, is not passed on, and its source is kept', () => {
    const { machine, nic, root } = contained(1)
    reportUncorrectable(nic, 18, undefined, false)
    // Triggered, by ERR_FATAL, interrupt; source 01:00.0.
    expect(status(machine)).toBe((rid(1, 0, 0) << 16) | 0xd)
    expect(root(0x30) & 0x7f).toBe(0)
    expect(machine.read(1, 0, 0, 0)).toBe(ALL)
    expect(machine.read(0, 1, 0, PORT.express + 0x10) & 0x2000_0000).toBe(0)
    const sent = request(0x1000)
    nic.words[1]! |= 4
    nic.issue(sent)
    expect(sent.status).toBe(6)
  })

  it('a non-fatal message triggers it only where software says so', () => {
    for (const [trigger, triggered] of [
      [1, 0],
      [2, 1],
    ] as const) {
      const { machine, nic } = contained(trigger)
      reportUncorrectable(nic, 14, undefined, false)
      expect(status(machine) & 1).toBe(triggered)
    }
  })

  it('software triggers it too, and clearing the status brings the link back up, everything below reset', () => {
    const { machine, nic } = contained(1)
    machine.write(0, 1, 0, PORT.dpc + 4, 0x0041_0000, 0xffff_0000)
    // Reason: see the extension, which says software.
    expect(status(machine) & 0x67).toBe(0x27)
    machine.write(0, 1, 0, PORT.dpc + 8, 1)
    expect(machine.read(1, 0, 0, 0)).not.toBe(ALL)
    expect(nic.readConfig(0x10)).toBe(0)
  })

  it('requests from above are refused as the Completion Control bit says', () => {
    for (const [bit, expected] of [
      [0, 4],
      [0x4_0000, 1],
    ] as const) {
      const { machine } = contained(1)
      machine.write(0, 1, 0, PORT.dpc + 4, 0x0041_0000 | bit, 0xffff_0000)
      const rciep = machine.plug(part('intel-82574l'), '1.1')
      machine.write(0, 1, 1, 4, 4, 0xffff)
      const sent = request(0xe000_0000)
      rciep.issue(sent)
      expect(sent.status).toBe(expected)
    }
  })
})
