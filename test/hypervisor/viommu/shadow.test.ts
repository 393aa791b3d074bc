import { describe, expect, it } from 'vitest'
import { PAGE_SIZE } from '../../../src/core/index.ts'
import { GuestWithUnit, MEMORY_MIB, VM } from './guest-with-unit.ts'

/** Guest pages that the guest uses for nothing else. */
const FRAME = 0x900
const GUEST_PAGES = (MEMORY_MIB * 2 ** 20) / PAGE_SIZE

describe('a guest with a remapping unit whose tables the host shadows', () => {
  it('finds a unit in caching mode, and none where it has none', () => {
    const { unit } = new GuestWithUnit('shadow')
    expect(unit).toMatchObject({ mode: 'shadow', base: 0xfed9_0000, translates: false })
    const capability = unit.registers.find(({ name }) => name === 'CAP')!
    expect(BigInt(capability.value) & 0x80n).toBe(0x80n)
    const without = new GuestWithUnit(undefined)
    expect(without.platform.hypervisor.vm(VM).viommu).toBeUndefined()
    expect(() => without.start()).toThrow(/no remapping unit/)
  })

  it('lets functions reach guest memory unchanged until translation is enabled, and nothing from then on', () => {
    const guest = new GuestWithUnit('shadow')
    expect(guest.write(0, FRAME)).toBe(guest.hostAddress(FRAME))
    expect(guest.write(0, GUEST_PAGES)).toBeUndefined()
    expect(guest.look(kernel => kernel.remapping)).toBeUndefined()
    guest.start()
    expect(guest.unit).toMatchObject({ translates: true, functions: [{ mappings: 0 }, { mappings: 0 }] })
    expect(guest.write(0, FRAME)).toBeUndefined()
  })

  it('maps I/O virtual addresses of the guest straight to host pages, for the function that they are for', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x12345, FRAME)
    expect(guest.write(0, 0x12345, Uint8Array.of(9, 8, 7, 6))).toBe(guest.hostAddress(FRAME))
    expect(guest.guestBytes(FRAME)).toEqual([9, 8, 7, 6])
    expect(guest.write(1, 0x12345)).toBeUndefined()
    expect(guest.write(0, 0x12346)).toBeUndefined()
  })

  it('returns from an unmapping only when the function reaches the page no more', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x100, FRAME, 3)
    expect(guest.write(0, 0x101)).toBe(guest.hostAddress(FRAME + 1))
    guest.unmap(0, 0x101)
    expect(guest.write(0, 0x101)).toBeUndefined()
    expect(guest.write(0, 0x102)).toBe(guest.hostAddress(FRAME + 2))
  })

  it('keeps rights: what may be read only is not written', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x100, FRAME, 1, { read: true, write: false })
    expect(guest.read(0, 0x100)).toBe(guest.hostAddress(FRAME))
    expect(guest.write(0, 0x100)).toBeUndefined()
  })

  it('copies a leaf of 2 MiB as one mapping, and follows when the guest breaks it', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x400, 0x800, 512)
    expect(guest.unit.functions[0]).toMatchObject({ pages: 512 })
    const whole = guest.unit.functions[0]!.mappings
    expect(whole).toBeLessThan(4)
    expect(guest.write(0, 0x5ff)).toBe(guest.hostAddress(0x9ff))
    guest.unmap(0, 0x5ff)
    expect(guest.unit.functions[0]).toMatchObject({ pages: 0, mappings: 0 })
  })

  it('leaves out what the guest maps beyond its memory', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x100, GUEST_PAGES, 1)
    expect(guest.write(0, 0x100)).toBeUndefined()
    // Remapping has let it pass: on silicon, too, nobody answers there, and no fault is recorded.
    expect(guest.look(kernel => kernel.remapping!.faults)).toEqual([])
    expect(guest.unit.counters.withheldFaults).toBe(1)
  })

  it('costs exits: every access to a register is one', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    const { exits } = guest.map(0, 0x100, FRAME)
    const own = exits.filter(({ handledBy }) => handledBy === 'virtualUnit')
    expect(own.length).toBeGreaterThan(0)
    expect(exits.filter(({ reason }) => reason === 'eptViolation')).toHaveLength(own.length)
  })
})

describe('mistakes of a guest kernel', () => {
  it('are faults that its own unit records and its own handler reads', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x100, FRAME)
    expect(guest.write(0, 0x200)).toBeUndefined()
    expect(guest.read(1, 0x300)).toBeUndefined()
    expect(guest.look(kernel => kernel.remapping!.faults)).toEqual([
      { reason: 0x05, source: '00:01.0', address: '0x200000', write: true },
      // Nothing was mapped for the second function: it has no context entry.
      { reason: 0x02, source: '00:02.0', address: '0x300000', write: false },
    ])
    expect(guest.unit).toMatchObject({ faultRecords: [], counters: { faults: 2 } })
  })

  it('a mapping that the unit was not told of stays unknown to it, as caching mode allows', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x100, FRAME)
    guest.map(0, 0x101, FRAME + 1, 1, { read: true, write: true }, false)
    expect(guest.write(0, 0x101)).toBeUndefined()
    expect(guest.look(kernel => kernel.remapping!.faults)).toMatchObject([
      { reason: 0x05, address: '0x101000' },
    ])
  })

  it('an unmapping that the unit was not told of leaves a stale translation, into the guest’s own memory', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x100, FRAME)
    guest.unmap(0, 0x100, 1, false)
    expect(guest.write(0, 0x100)).toBe(guest.hostAddress(FRAME))
    guest.unmap(0, 0x100)
    expect(guest.write(0, 0x100)).toBeUndefined()
  })

  it('reserved bits in an entry end in the reason of reserved bits', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x100, FRAME)
    const { paging } = leafOf(guest, 0x100)
    // Bit 51 of the address is beyond the 46 bits of the guest's unit.
    guest.platform.hypervisor.writeGuest(VM, paging + 6, Uint8Array.of(8))
    // Nothing is mapped there; the unit is told of four pages from 100h on.
    guest.unmap(0, 0x101, 2)
    expect(guest.write(0, 0x100)).toBeUndefined()
    expect(guest.look(kernel => kernel.remapping!.faults)).toMatchObject([{ reason: 0x0c }])
  })
})

/** Guest-physical address of the leaf of a page of the first function, by the guest's own tables. */
function leafOf(guest: GuestWithUnit, page: number): { readonly paging: number } {
  const word = (address: number): number => {
    const bytes = guest.platform.hypervisor.readGuest(VM, address, 8)
    return new DataView(bytes.buffer).getUint32(0, true)
  }
  const root = Number(BigInt(guest.unit.registers.find(({ name }) => name === 'RTADDR')!.value)) & ~0xfff
  const contexts = word(root) & ~0xfff
  let table = word(contexts + 8 * 16) & ~0xfff
  for (let level = 4; level > 1; level--)
    table = word(table + (Math.floor(page / 512 ** (level - 1)) % 512) * 8) & ~0xfff
  return { paging: table + (page % 512) * 8 }
}
