/** NVM Express 1.4, §5.22 Virtualization Management, §8.5 Virtualization Enhancements. */
import { describe, expect, it } from 'vitest'
import { pattern, Rig } from './rig.ts'

const BUFFER = 0x20_0000
const manage = (rig: Rig, action: number, type: number, controller: number, count = 0) =>
  rig.admin([0x1c, 0, 0, 0, 0, 0, 0, 0, 0, 0, (controller << 16) | (type << 8) | action, count])

function rigWithVfs(count = 2): { rig: Rig; vf: number } {
  const rig = new Rig()
  rig.enable()
  return { rig, vf: rig.enableVirtualFunctions(count) }
}

/** Gives controller 1 two queue pairs and two vectors and brings it online. */
function online(): { rig: Rig; vf: number } {
  const { rig, vf } = rigWithVfs()
  expect(manage(rig, 8, 0, 1, 2)).toMatchObject({ status: 0, result: 2 })
  expect(manage(rig, 8, 1, 1, 2)).toMatchObject({ status: 0, result: 2 })
  expect(manage(rig, 9, 0, 1).status).toBe(0)
  return { rig, vf }
}

describe('a secondary controller', () => {
  it('is offline at first: its status says fatal error, other registers read 0', () => {
    const { rig, vf } = rigWithVfs()
    rig.base = vf
    expect([0x00, 0x04, 0x08, 0x14].map(at => rig.read(at))).toEqual([0, 0, 0, 0])
    expect(rig.read(0x1c)).toBe(2)
    rig.write(0x14, 1)
    expect(rig.read(0x1c)).toBe(2)
  })

  it('goes online with two queue pairs and an interrupt, and serves commands of its own function', () => {
    const { rig, vf } = online()
    const data = pattern(512)
    rig.createPair(1, 0x30_0000)
    rig.poke(BUFFER, data)
    expect(rig.io(1, 77, 1, BUFFER).status).toBe(0)
    rig.base = vf
    rig.unmask(vf, 0, 0x70)
    rig.fn.virtualFunctions[0]!.writeConfig(0x40, 0x8000_0000, 0xffff_0000)
    rig.enable({ asq: 0x60_0000, acq: 0x60_1000 })
    expect(rig.read(0x1c)).toBe(1)
    expect(rig.createPair(1, 0x70_0000, 32, 1)).toEqual([0, 0])
    expect(rig.io(2, 77, 1, BUFFER + 0x1000).status).toBe(0)
    expect(rig.bytes(BUFFER + 0x1000, 512)).toEqual(data)
    expect(rig.sink.vectors).toContain(0x70)
  })

  it('has no more queues and vectors than it was given', () => {
    const { rig, vf } = online()
    rig.base = vf
    rig.enable({ asq: 0x60_0000, acq: 0x60_1000 })
    expect(rig.admin([0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0x000f_000f]).result).toBe(0)
    expect(rig.createPair(2, 0x70_0000)).toEqual([0x101, 0x101])
    expect(rig.createPair(1, 0x70_0000, 32, 2)).toEqual([0x108, 0x100])
    // It manages nobody, and tells nothing of others.
    expect(manage(rig, 7, 0, 2).status).toBe(0x001)
    expect(rig.admin([0x06, 0, 0, 0, 0, 0, BUFFER, 0, 0, 0, 0x15]).status).toBe(0x002)
  })

  it('goes offline when its function goes, when the primary controller is reset, and when told', () => {
    const state = (rig: Rig): number => {
      rig.admin([0x06, 0, 0, 0, 0, 0, BUFFER, 0, 0, 0, 0x15])
      return rig.bytes(BUFFER + 32 + 4, 1)[0]!
    }
    const told = online()
    expect(state(told.rig)).toBe(1)
    expect(manage(told.rig, 7, 0, 1).status).toBe(0)
    expect(state(told.rig)).toBe(0)
    const gone = online()
    gone.rig.fn.writeConfig(0x178 + 0x08, 0, 0xffff)
    expect(state(gone.rig)).toBe(0)
    const reset = online()
    reset.rig.write(0x14, 0)
    reset.rig.enable()
    expect(state(reset.rig)).toBe(0)
  })

  it('stays online through a reset of its own function, with its registers as from the start', () => {
    const { rig, vf } = online()
    rig.base = vf
    rig.enable({ asq: 0x60_0000, acq: 0x60_1000 })
    rig.fn.virtualFunctions[0]!.functionLevelReset()
    expect(rig.read(0x1c)).toBe(0)
    expect(rig.read(0x28)).toBe(0)
    expect(rig.read(0x08)).toBe(0x0001_0400)
  })
})

describe('resources', () => {
  it('are told by the primary controller', () => {
    const { rig } = online()
    rig.admin([0x06, 0, 0, 0, 0, 0, BUFFER, 0, 0, 0, 0x14])
    const view = new DataView(rig.bytes(BUFFER, 4096).buffer)
    expect(view.getUint8(4)).toBe(3)
    // 32 functions of 9: total, assigned; then to the primary, private, most of one, granularity.
    expect([view.getUint32(32, true), view.getUint32(36, true)]).toEqual([288, 2])
    expect([40, 42, 44, 46].map(at => view.getUint16(at, true))).toEqual([0, 65, 9, 1])
    rig.admin([0x06, 0, 0, 0, 0, 0, BUFFER, 0, 0, 0, (2 << 16) | 0x15])
    const list = new DataView(rig.bytes(BUFFER, 4096).buffer)
    expect(list.getUint8(0)).toBe(31)
    expect([32, 34, 40].map(at => list.getUint16(at, true))).toEqual([2, 0, 2])
  })

  it('of the primary controller follow with its next reset', () => {
    const rig = new Rig()
    rig.enable()
    expect(manage(rig, 1, 0, 0, 10)).toMatchObject({ status: 0, result: 10 })
    const privately = rig.admin([0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0x00ff_00ff]).result
    rig.fn.functionLevelReset()
    rig.place()
    rig.enable()
    const more = rig.admin([0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0x00ff_00ff]).result
    expect([privately, more]).toEqual([0x003f_003f, 0x0049_0049])
  })

  it.each([
    ['a controller that there is not', 8, 0, 33, 1, 0x11f],
    ['the primary controller as a secondary one', 8, 0, 0, 1, 0x11f],
    ['a secondary controller as the primary one', 1, 0, 1, 1, 0x11f],
    ['a resource that there is not', 8, 2, 1, 1, 0x122],
    ['more than one may have', 8, 0, 1, 10, 0x121],
    ['more than there are', 1, 0, 0, 289, 0x121],
    ['a controller online without queues', 9, 0, 1, 0, 0x120],
    ['an action that there is not', 3, 0, 1, 0, 0x002],
  ])('refuse %s', (_, action, type, controller, count, status) => {
    const { rig } = rigWithVfs()
    expect(manage(rig, action, type, controller, count).status).toBe(status)
  })

  it('are assigned to offline controllers only, and a function that is not enabled stays offline', () => {
    const { rig } = online()
    expect(manage(rig, 8, 0, 1, 3).status).toBe(0x120)
    manage(rig, 8, 0, 9, 2)
    manage(rig, 8, 1, 9, 2)
    expect(manage(rig, 9, 0, 9).status).toBe(0x120)
  })
})

describe('controllers that ring each other’s doorbells', () => {
  it('work one at a time, and never with each other’s data', () => {
    const { rig, vf } = online()
    rig.createPair(1, 0x30_0000)
    // Block 5 holds the value for the other controller’s doorbell; block 6 something of its own.
    rig.poke(BUFFER, new Uint8Array(4096).fill(0))
    rig.poke(BUFFER, Uint8Array.of(1))
    rig.io(1, 5, 1, BUFFER)
    const data = pattern(512, 3)
    rig.poke(BUFFER, data)
    rig.io(1, 6, 1, BUFFER)
    rig.base = vf
    rig.enable({ asq: 0x60_0000, acq: 0x60_1000 })
    rig.createPair(1, 0x70_0000, 32, 1)
    rig.submit(1, [2, 1, 0, 0, 0, 0, BUFFER + 0x1000, 0, 0, 0, 6, 0, 0])
    // The primary controller reads block 5 into the secondary one’s doorbell of queue 1.
    rig.base = 0xe000_0000
    rig.words(0x30_0000 + 2 * 64, (9 << 16) | 2, 1, 0, 0, 0, 0, vf + 0x1008, 0, 0, 0, 5, 0, 0)
    rig.write(0x1008, 3)
    expect(rig.bytes(BUFFER + 0x1000, 512)).toEqual(data)
  })
})
