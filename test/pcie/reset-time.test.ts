/** "Request Retry Status": what a function that is not ready after a reset answers, and how software sees it. */
import { describe, expect, it } from 'vitest'
import { digest } from '../../src/core/index.ts'
import type { PcieFunction } from '../../src/pcie/index.ts'
import { ALL, Machine, part, patched } from './machine.ts'

const MS = 1_000_000
const RESET_TIME = 30 * MS
/** Root Control of the root port's data sheet; RRS Software Visibility in the upper half. */
const ROOT_CONTROL = 0xac
const BRIDGE_CONTROL = 0x3c

/** An 82574L that needs 30 ms after a reset, below a root port that can show who asks to be tried again. */
function machine(visible: boolean) {
  const clock = { now: 0 }
  const made = new Machine(0, 255, { clock })
  const port = made.plug(patched(part('root-port'), [ROOT_CONTROL + 2, 1]), '1.0')
  const nic = made.plug({ ...part('intel-82574l'), resetTimeNs: RESET_TIME }, '0.0', port)
  made.number(0, 1, 0, 1, 1)
  if (visible) made.write(0, 1, 0, ROOT_CONTROL, 0x10, 0xffff)
  const read = (offset: number) => made.read(1, 0, 0, offset) >>> 0
  const write = (offset: number, value: number, lanes = ALL) => made.write(1, 0, 0, offset, value, lanes)
  return { made, clock, nic, read, write }
}

const functionLevelReset = (nic: PcieFunction): void => nic.functionLevelReset()

describe('a function that is not ready after a reset', () => {
  it('reads as FFFF0001h where the Vendor ID is asked for and the root port shows it', () => {
    const { clock, nic, read } = machine(true)
    expect(read(0)).toBe(0x10d3_8086)
    functionLevelReset(nic)
    expect([read(0), read(4), read(8)]).toEqual([0xffff_0001, ALL, ALL])
    clock.now = RESET_TIME - 1
    expect(read(0)).toBe(0xffff_0001)
    clock.now = RESET_TIME
    expect(read(0)).toBe(0x10d3_8086)
  })

  it('reads all ones where the root port does not', () => {
    const { nic, read } = machine(false)
    functionLevelReset(nic)
    expect([read(0), read(4)]).toEqual([ALL, ALL])
  })

  it('takes no configuration write', () => {
    const { clock, nic, read, write } = machine(false)
    functionLevelReset(nic)
    write(0x10, 0xe000_0000)
    clock.now = RESET_TIME
    expect(read(0x10)).toBe(0)
    write(0x10, 0xe000_0000)
    expect(read(0x10)).toBe(0xe000_0000)
  })

  it('is one after a secondary bus reset too, but not when the machine is powered on', () => {
    const { made, clock, read } = machine(true)
    const control = made.read(0, 1, 0, BRIDGE_CONTROL)
    made.write(0, 1, 0, BRIDGE_CONTROL, control | 0x40_0000)
    made.write(0, 1, 0, BRIDGE_CONTROL, control)
    expect(read(0)).toBe(0xffff_0001)
    clock.now = RESET_TIME
    expect(read(0)).toBe(0x10d3_8086)
    made.fabric.conventionalReset()
    made.number(0, 1, 0, 1, 1)
    expect(read(0)).toBe(0x10d3_8086)
  })

  it('is still one in a machine that is built anew from its saved state', () => {
    const { made, clock, nic } = machine(true)
    functionLevelReset(nic)
    const other = machine(true)
    other.made.fabric.load(made.fabric.save())
    expect(other.read(0)).toBe(0xffff_0001)
    expect(digest(other.made.fabric.save())).toBe(digest(made.fabric.save()))
    clock.now = RESET_TIME
    other.clock.now = RESET_TIME
    expect(other.read(0)).toBe(0x10d3_8086)
  })
})
