/**
 * What the public drivers of both controllers do to registers when they probe and open a port, written as facts: what is
 * read or written, and what shape of answer lets the driver go on. Offsets are those of the drivers' headers.
 */
import { describe, expect, it } from 'vitest'
import type { PcieFunction } from '../../src/pcie/index.ts'
import { NicRig } from './nic-rig.ts'

type Step =
  | readonly [does: string, write: number, value: number]
  | readonly [does: string, read: number, mask: number, expected: number]

function follow(rig: NicRig, steps: readonly Step[], fn: PcieFunction = rig.pf): void {
  for (const step of steps) {
    const [does, offset, third, expected] = step
    if (expected === undefined) rig.write(offset, third, fn)
    else expect([does, (rig.read(offset, fn) & third) >>> 0]).toEqual([does, expected >>> 0])
  }
}

/** Reads a word as both drivers do: START, poll DONE, data in the upper half. */
function nvmWord(rig: NicRig, register: number, word: number): number {
  rig.write(register, (word << 2) | 1)
  const value = rig.read(register)
  expect(value & 2).toBe(2)
  return value >>> 16
}

function mailboxRequest(
  rig: NicRig,
  vf: PcieFunction,
  register: number,
  memory: number,
  words: number[],
): void {
  rig.write(register, 0x4, vf)
  expect(rig.read(register, vf) & 0x4).toBe(0x4)
  for (const [i, word] of words.entries()) rig.write(memory + i * 4, word, vf)
  rig.write(register, 0x1, vf)
}

describe('igb finds in an 82576', () => {
  const steps: readonly Step[] = [
    ['IMC masks everything', 0x150c, 0xffff_ffff],
    ['RCTL stops the receiver', 0x100, 0],
    ['TCTL stops the transmitter', 0x400, 0x8],
    ['CTRL.GIO_MASTER_DISABLE is asked for', 0x0, 0x4],
    ['STATUS says that requests have ended', 0x8, 1 << 19, 0],
    ['CTRL.RST resets the port', 0x0, 1 << 26],
    ['CTRL.RST clears itself', 0x0, 1 << 26, 0],
    ['STATUS says that the port may master again', 0x8, 1 << 19, 1 << 19],
    ['EECD.AUTO_RD: the EEPROM was read', 0x10, 0x200, 0x200],
    ['EECD.PRES: there is one', 0x10, 0x100, 0x100],
    ['EEMNGCTL: port 0 is configured', 0x1010, 1 << 18, 1 << 18],
    ['IMC again', 0x150c, 0xffff_ffff],
    ['ICR is empty', 0xc0, 0xffff_ffff, 0],
    ['SWSM.SMBI is free', 0x5b50, 0x1, 0],
    ['and taken by reading it', 0x5b50, 0x1, 1],
    ['SWSM.SWESMBI is asked for', 0x5b50, 0x3],
    ['and granted', 0x5b50, 0x2, 2],
    ['SW_FW_SYNC: nobody has the transceiver', 0x5b5c, 0xffff_ffff, 0],
    ['it is taken', 0x5b5c, 0x2],
    ['SWSM is given back', 0x5b50, 0],
    ['SWSM.SMBI is free again', 0x5b50, 0x1, 0],
    ['SWSM is given back', 0x5b50, 0],
    ['MDIC reads PHY identifier 1', 0x20, 0x0822_0000],
    ['READY, no error, 02a8', 0x20, 0x5000_ffff, 0x1000_02a8],
    ['MDIC reads PHY identifier 2', 0x20, 0x0823_0000],
    ['IGP03E1000', 0x20, 0x5000_fff0, 0x1000_0390],
    ['MDIC reads the status', 0x20, 0x0821_0000],
    ['link, autonegotiation complete', 0x20, 0x5000_0024, 0x1000_0024],
    ['MDIC asks a transceiver that is not there', 0x20, 0x0842_0000],
    ['error', 0x20, 0x5000_0000, 0x5000_0000],
    ['STATUS: link up, full duplex, 1000 Mb/s', 0x8, 0xc3, 0x83],
    ['RAH0: the address is valid', 0x5404, 0x8000_0000, 0x8000_0000],
    ['CTRL_EXT.DRV_LOAD tells the firmware', 0x18, 1 << 28],
    ['and stays', 0x18, 1 << 28, 1 << 28],
    ['RXDCTL0 is enabled', 0xc028, 0x0200_0000],
    ['and says so', 0xc028, 0x0200_0000, 0x0200_0000],
    ['also where 82575 drivers look', 0x2828, 0x0200_0000, 0x0200_0000],
    ['TXDCTL3 is enabled at its old place', 0x3b28, 0x0200_0000],
    ['and says so at the new one', 0xe0e8, 0x0200_0000, 0x0200_0000],
    ['GPIE: MSI-X, auto-mask, PBA', 0x1514, 0xc000_0010],
    ['IVAR0 keeps what is written', 0x1700, 0x0000_8180],
    ['and reads back', 0x1700, 0xffff, 0x8180],
    ['EIMS sets bits', 0x1524, 0x3],
    ['EIMS sets more bits', 0x1524, 0x4],
    ['and reads all of them', 0x1524, 0x1ff_ffff, 0x7],
    ['EIMC clears some', 0x1528, 0x2],
    ['and the rest stays', 0x1524, 0x1ff_ffff, 0x5],
  ]

  it('everything that probe and open ask for', () => {
    follow(new NicRig('intel-82576'), steps)
  })

  it('an EEPROM whose words 0 to 3f sum up to baba, and whose address is the one in RAL0 and RAH0', () => {
    const rig = new NicRig('intel-82576', 1)
    const words = Array.from({ length: 0x40 }, (_, word) => nvmWord(rig, 0x14, word))
    expect(words.reduce((sum, word) => sum + word, 0) & 0xffff).toBe(0xbaba)
    const address = [rig.read(0x5400) & 0xffff, rig.read(0x5400) >>> 16, rig.read(0x5404) & 0xffff]
    expect(words.slice(0, 3)).toEqual(address)
    expect(words[0]! & 1).toBe(0)
    expect((rig.read(0x8) >>> 2) & 3).toBe(1)
  })

  it('different addresses on its two ports', () => {
    const [first, second] = [0, 1].map(port => new NicRig('intel-82576', port).read(0x5404))
    expect(first).not.toBe(second)
  })

  it('what igbvf asks for in a virtual function', () => {
    const rig = new NicRig('intel-82576')
    const [vf] = rig.enableVfs(2)
    rig.enableMsiX(rig.pf, 10, 0x40)
    follow(rig, [
      ['STATUS.IOV_MODE and NUM_VFS', 0x8, 0x7_c000, (1 << 18) | (2 << 14)],
      ['port reset', 0x0, 1 << 26],
      ['GPIE', 0x1514, 0xc000_0010],
      ['IVAR_MISC: other causes at vector 0', 0x1740, 0x8000],
      ['EIAC: the message acknowledges', 0x152c, 0x1],
      ['EIMS', 0x1524, 0x1],
      ['IMS: mailbox', 0x1508, 0x100],
    ])
    follow(rig, [['V2PMAILBOX.RSTI: the physical function is in reset', 0xc40, 0x40, 0x40]], vf)
    rig.set(0x18, 1 << 14)
    follow(
      rig,
      [
        ['V2PMAILBOX.RSTD: no more', 0xc40, 0xc0, 0x80],
        ['told once', 0xc40, 0xc0, 0],
        ['VTCTRL.RST', 0x0, 1 << 26],
        ['reset done', 0xc40, 0xc0, 0x80],
        ['VTEIMC', 0x1528, 0x7],
        ['VTSTATUS: link up', 0x8, 0x2, 0x2],
      ],
      vf,
    )
    expect(rig.read(0xc88)).toBe(1)
    rig.write(0xc88, 1)
    expect(rig.read(0xc88)).toBe(0)
    expect(rig.read(0x1500) & 0x100).toBe(0x100)
    const before = rig.messages.length
    mailboxRequest(rig, vf!, 0xc40, 0x800, [1, 2, 3])
    expect(rig.messages.length).toBe(before + 1)
    expect(rig.read(0xc80) & 0xff).toBe(1)
    expect([rig.read(0x800), rig.read(0x804), rig.read(0x808)]).toEqual([1, 2, 3])
    // The physical function answers: acknowledge, take the buffer, write, tell.
    rig.write(0xc80, 1)
    rig.write(0xc00, 0x2)
    rig.write(0xc00, 0x8)
    expect(rig.read(0xc00) & 0x8).toBe(0x8)
    rig.write(0x800, 0x8000_0001)
    rig.write(0xc00, 0x1)
    expect(rig.read(0xc40, vf) & 0x30).toBe(0x30)
    expect(rig.read(0x800, vf)).toBe(0x8000_0001)
    rig.write(0xc40, 0x2, vf)
    expect(rig.read(0xc80) >>> 16).toBe(1)
  })
})

describe('ixgbe finds in an 82599', () => {
  it('everything that probe and open ask for', () => {
    const rig = new NicRig('intel-82599')
    follow(rig, [
      ['EIMC masks everything', 0x888, 0xffff_ffff],
      ['EICR is empty', 0x800, 0xffff_ffff, 0],
      ['CTRL.GIO_DIS is asked for', 0x0, 0x4],
      ['STATUS says that requests have ended', 0x8, 1 << 19, 0],
      ['CTRL.RST resets the port', 0x0, 1 << 26],
      ['CTRL.RST clears itself', 0x0, 0x0400_0008, 0],
      ['EEC: present, read', 0x1_0010, 0x300, 0x300],
      ['EEMNGCTL: port 0 is configured', 0x1_0110, 1 << 18, 1 << 18],
      ['RDRXCTL.DMAIDONE', 0x2f00, 0x8, 0x8],
      ['SWSM.SMBI is free', 0x1_0140, 0x1, 0],
      ['and taken by reading it', 0x1_0140, 0x1, 1],
      ['SWESMBI is asked for', 0x1_0140, 0x3],
      ['and granted', 0x1_0140, 0x2, 2],
      ['SW_FW_SYNC: nobody has anything', 0x1_0160, 0xffff_ffff, 0],
      ['SWSM is given back', 0x1_0140, 0],
      ['AUTOC: 10 Gb/s serial', 0x42a0, 0xe000, 0x6000],
      ['AUTOC restarts autonegotiation', 0x42a0, 0xc09c_7004],
      ['which is over', 0x42a0, 0x1000, 0],
      ['LINKS: up, 10 Gb/s', 0x42a4, 0x7000_0000, 0x7000_0000],
      ['RAH0: the address is valid', 0x5404, 0x8000_0000, 0x8000_0000],
      ['RAH0 at its new place', 0xa204, 0x8000_0000, 0x8000_0000],
      ['SECRXSTAT: the receive path is idle', 0x8d04, 1, 1],
      ['CTRL_EXT.DRV_LOAD', 0x18, 1 << 28],
      ['MSCA: a command', 0x425c, 0x4c01_0000],
      ['is over', 0x425c, 0x4000_0000, 0],
      ['RXDCTL127 is enabled', 0xd000 + 63 * 0x40 + 0x28, 0x0200_0000],
      ['and says so', 0xd000 + 63 * 0x40 + 0x28, 0x0200_0000, 0x0200_0000],
      ['SRRCTL3 at its old place', 0x210c, 0x0200_0002],
      ['is the one of queue 3', 0x10d4, 0xffff_ffff, 0x0200_0002],
      ['EIMS_EX0 sets bits', 0xaa0, 0x0001_0003],
      ['its lower half is EIMS', 0x880, 0xffff, 0x3],
      ['EIMS: link and mailbox', 0x880, 0x0018_0000],
      ['reads together', 0x880, 0xffff_ffff, 0x0018_0003],
      ['EIMC_EX0 clears', 0xab0, 0x0001_0001],
      ['what it names', 0xaa0, 0xffff_ffff, 0x2],
    ])
    const words = Array.from({ length: 0x40 }, (_, word) => nvmWord(rig, 0x1_0014, word))
    expect(words.reduce((sum, word) => sum + word, 0) & 0xffff).toBe(0xbaba)
    expect(words[0]).toBe(rig.read(0x5400) & 0xffff)
    expect(rig.read(0x7_0000)).toBe(0xffff_ffff)
  })

  it('what ixgbevf asks for in a virtual function', () => {
    const rig = new NicRig('intel-82599')
    const vfs = rig.enableVfs(20)
    const vf = vfs[17]!
    rig.enableMsiX(rig.pf, 64, 0x40)
    follow(rig, [
      ['STATUS.IOV_ACTIVE', 0x8, 1 << 18, 1 << 18],
      ['port reset', 0x0, 1 << 26],
      ['VT_CTL', 0x51b0, 0x4000_0001 | (20 << 7)],
      ['MRQC: 64 pools', 0x5818, 0x8],
      ['GPIE', 0x898, 0xc000_c010],
      ['IVAR_MISC: other causes at vector 5', 0xa00, 0x8500],
      ['EIMS: mailbox', 0x880, 1 << 19],
    ])
    follow(rig, [['RSTI', 0x2fc, 0x40, 0x40]], vf)
    rig.set(0x18, 1 << 14)
    follow(
      rig,
      [
        ['RSTD', 0x2fc, 0xc0, 0x80],
        ['VFCTRL.RST', 0x0, 1 << 26],
        ['reset done', 0x2fc, 0xc0, 0x80],
        ['VFLINKS', 0x10, 0x7000_0000, 0x7000_0000],
        ['VFRXDCTL1', 0x1068, 0x0200_0000],
        ['enabled', 0x1068, 0x0200_0000, 0x0200_0000],
        ['a third queue is not there', 0x10a8, 0xffff_ffff, 0],
      ],
      vf,
    )
    expect(rig.read(0x600)).toBe(1 << 17)
    rig.write(0x700, 1 << 17)
    expect(rig.read(0x600)).toBe(0)
    // Its second queue is number 35 of the port.
    expect(rig.read(0x1000 + 35 * 0x40 + 0x28) & 0x0200_0000).toBe(0x0200_0000)
    rig.read(0x800)
    rig.messages.length = 0
    mailboxRequest(rig, vf, 0x2fc, 0x200, [1, 7])
    expect(rig.messages.map(({ data }) => data)).toEqual([0x45])
    expect(rig.read(0x714)).toBe(1 << 1)
    expect(rig.read(0x1_3000 + 17 * 64 + 4)).toBe(7)
    rig.write(0x714, 0xffff_ffff)
    expect(rig.read(0x714)).toBe(0)
    // Vector 2 of the virtual function is its mailbox's.
    rig.enableMsiX(vf, 3, 0x80)
    rig.write(0x140, 0x82, vf)
    rig.write(0x108, 0x4, vf)
    rig.write(0x4b00 + 17 * 4, 0x1)
    expect(rig.messages.at(-1)).toEqual({ requesterId: vf.rid, address: 0xfee0_0000, data: 0x82 })
    expect(rig.read(0x100, vf)).toBe(0x4)
  })
})
