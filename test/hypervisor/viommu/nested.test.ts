import { describe, expect, it } from 'vitest'
import { PAGE_SIZE } from '../../../src/core/index.ts'
import { GuestWithUnit, MEMORY_MIB, VM } from './guest-with-unit.ts'

const TOPOLOGY = 'nested-translation'
const FRAME = 0x900
const GUEST_PAGES = (MEMORY_MIB * 2 ** 20) / PAGE_SIZE
const GUEST_RUNS = 1

const nested = () => new GuestWithUnit('nested', TOPOLOGY)
const faultsOf = (guest: GuestWithUnit) => guest.look(kernel => kernel.remapping!.faults)

/** Low word of the leaf of a page of the first function, by the guest's own tables, and where it is. */
function leafOf(guest: GuestWithUnit, page: number): { readonly address: number; readonly low: number } {
  const word = (address: number): number => {
    const bytes = guest.platform.hypervisor.readGuest(VM, address, 8)
    return new DataView(bytes.buffer).getUint32(0, true)
  }
  const root = Number(BigInt(guest.unit.registers.find(({ name }) => name === 'RTADDR')!.value)) & ~0xfff
  const contexts = word(root) & ~0xfff
  const directory = word(contexts + 8 * 32) & ~0xfff
  const pasids = word(directory) & ~0xfff
  let table = word(pasids + 16) & ~0xfff
  for (let level = 4; level > 1; level--)
    table = word(table + (Math.floor(page / 512 ** (level - 1)) % 512) * 8) & ~0xfff
  const address = table + (page % 512) * 8
  return { address, low: word(address) }
}

describe('a guest with a remapping unit whose first-stage tables the host nests', () => {
  it('finds scalable mode with the first stage alone', () => {
    const guest = nested()
    guest.start()
    expect(guest.look(kernel => kernel.remapping!.scalable)).toBe(true)
    const bits = BigInt(guest.unit.registers.find(({ name }) => name === 'ECAP')!.value)
    expect([43n, 46n, 47n].map(bit => (bits >> bit) & 1n)).toEqual([1n, 0n, 1n])
  })

  it('reaches what the guest maps, by tables in guest memory over those of the host', () => {
    const guest = nested()
    guest.start()
    guest.map(0, 0x12345, FRAME)
    expect(guest.write(0, 0x12345, Uint8Array.of(9, 8, 7, 6))).toBe(guest.hostAddress(FRAME))
    expect(guest.guestBytes(FRAME)).toEqual([9, 8, 7, 6])
    expect(guest.write(1, 0x12345)).toBeUndefined()
    // The host's tables hold guest memory as it is, whatever the guest maps.
    expect(guest.unit.functions[0]).toMatchObject({ mappings: GUEST_RUNS, pages: GUEST_PAGES })
  })

  it('sees accessed and dirty flags in its own tables, set by the host’s unit', () => {
    const guest = nested()
    guest.start()
    guest.map(0, 0x100, FRAME)
    expect(leafOf(guest, 0x100).low & 0x60).toBe(0)
    guest.read(0, 0x100)
    expect(leafOf(guest, 0x100).low & 0x60).toBe(0x20)
    guest.write(0, 0x100)
    expect(leafOf(guest, 0x100).low & 0x60).toBe(0x60)
  })

  it('may forget to say that something is mapped now: the table itself is walked', () => {
    const guest = nested()
    guest.start()
    guest.map(0, 0x100, FRAME)
    guest.map(0, 0x101, FRAME + 1, 1, { read: true, write: true }, false)
    expect(guest.write(0, 0x101)).toBe(guest.hostAddress(FRAME + 1))
  })

  it('has what it unmaps forgotten by the host’s unit, which it tells through its own', () => {
    const guest = nested()
    guest.start()
    guest.map(0, 0x100, FRAME)
    expect(guest.write(0, 0x100)).toBe(guest.hostAddress(FRAME))
    guest.unmap(0, 0x100, 1, false)
    // Cached, until the guest says so.
    expect(guest.write(0, 0x100)).toBe(guest.hostAddress(FRAME))
    guest.unmap(0, 0x100)
    expect(guest.write(0, 0x100)).toBeUndefined()
    expect(faultsOf(guest)).toMatchObject([
      { reason: 0x71, source: '00:01.0', address: '0x100000', write: true },
    ])
  })

  it('keeps its mistakes: a table that leads out of guest memory is the fault of its own unit', () => {
    const guest = nested()
    guest.start()
    guest.map(0, 0x100, FRAME)
    const { address } = leafOf(guest, 0x100)
    const outside = new Uint8Array(8)
    new DataView(outside.buffer).setUint32(0, ((GUEST_PAGES << 12) | 7) >>> 0, true)
    guest.platform.hypervisor.writeGuest(VM, address, outside)
    expect(guest.write(0, 0x100)).toBeUndefined()
    // The page is no memory: remapping let it pass, and nobody answers there.
    expect(faultsOf(guest)).toEqual([])
    // A page table outside memory cannot be read.
    const directory = leafOf(guest, 0x100).address
    expect(directory).toBe(address)
    guest.platform.hypervisor.writeGuest(VM, tableEntryOf(guest, 0x100), outside)
    guest.unmap(0, 0x7000_0000, 1)
    expect(guest.write(0, 0x100)).toBeUndefined()
    expect(faultsOf(guest)).toMatchObject([{ reason: 0x70, address: '0x100000' }])
  })

  it('takes no function whose unit cannot nest, with the reason: the function stays with the host', () => {
    const guest = new GuestWithUnit(undefined, 'one-socket-82576', 0)
    const { platform } = guest
    guest.run(
      platform.hypervisor.createVm({ name: 'other', vcpus: 1, memoryMiB: 16, viommu: { mode: 'nested' } }),
    )
    const address = platform.host.functions().find(fn => fn.sriov !== undefined)!.address
    const hash = platform.host.find(address).owner
    expect(() => guest.run(platform.hypervisor.attach('other', address))).toThrow(
      /dmar0 does not nest translation/,
    )
    expect(platform.host.find(address).owner).toEqual(hash)
  })

  it('goes on as it was after a restore', () => {
    const guest = nested()
    guest.start()
    guest.map(0, 0x100, FRAME)
    const saved = guest.platform.save()
    const hash = guest.platform.stateHash()
    guest.unmap(0, 0x100)
    guest.run(guest.platform.hypervisor.detach(VM, guest.functions[0]!))
    guest.platform.load(saved)
    expect(guest.platform.stateHash()).toBe(hash)
    expect(guest.write(0, 0x100)).toBe(guest.hostAddress(FRAME))
    guest.unmap(0, 0x100)
    expect(guest.write(0, 0x100)).toBeUndefined()
  })

  it('leaves nothing when translation is off again: functions reach guest memory as it is', () => {
    const guest = nested()
    guest.start()
    guest.map(0, 0x100, FRAME)
    guest.kernel(kernel => kernel.stopRemapping())
    expect(guest.write(0, FRAME)).toBe(guest.hostAddress(FRAME))
    expect(guest.write(0, 0x100)).toBe(guest.hostAddress(0x100))
  })
})

/** Where the entry of level 2 is that leads to the page table of a page. */
function tableEntryOf(guest: GuestWithUnit, page: number): number {
  const leaf = leafOf(guest, page).address
  const table = leaf - (leaf % PAGE_SIZE)
  for (let at = 0x1_0000; at < 0x9_0000; at += 8) {
    const bytes = guest.platform.hypervisor.readGuest(VM, at, 4)
    const low = new DataView(bytes.buffer).getUint32(0, true)
    if ((low & ~0xfff) === table && (low & 7) === 7) return at
  }
  throw new Error('no entry leads to the page table')
}
