import { beforeEach, describe, expect, test } from 'vitest'
import { drive } from '../../src/engine/index.ts'
import { VirtualBus } from '../../src/hypervisor/virtual-bus.ts'
import { type FunctionHost, VirtualFunction } from '../../src/hypervisor/virtual-function.ts'
import { type FakeOptions, fakeFunction } from './assigned-function.ts'
import { memoryMachine } from './memory-machine.ts'

const ALL = 0xffff_ffff
// Host RAM plays the function's registers.
const BAR0 = { index: 0, hostAddress: 0x90_0000, size: 0x4000, prefetchable: true, is64: true }
const BAR3 = { index: 3, hostAddress: 0xa0_0000, size: 0x4000, prefetchable: true, is64: true }
const MSIX = { count: 3, tableBar: 3, tableOffset: 0x0, pbaBar: 3, pbaOffset: 0x2000 }

/** A guest's memory map and interrupt fabric, as a record. */
function make(options: FakeOptions) {
  const fake = fakeFunction(options)
  const mapped = new Map<number, number>()
  const messages: [number, number][] = []
  const refused: number[] = []
  const host: FunctionHost = {
    deliver: (address, data) => messages.push([address, data]) > 0,
    postingTarget: () => undefined,
    processorFor: () => 7,
    vcpuFor: () => 0,
    claim: base => !refused.includes(base),
    release: () => {},
    map: (guest, page, pages) => {
      for (let i = 0; i < pages; i++) mapped.set(guest + i, page + i)
    },
    unmap: (guest, pages) => {
      for (let i = 0; i < pages; i++) mapped.delete(guest + i)
    },
    report: problem => fake.log.push(problem),
  }
  const device = new VirtualFunction(fake.assigned, 1, memoryMachine(17).machine, host)
  const write = (offset: number, value: number, lanes = ALL) =>
    drive(device.writeConfig(offset, value, lanes), () => false)
  const store = (address: number, value: number) =>
    drive(device.writeMemory(address, value, ALL), () => false)
  return { ...fake, device, mapped, messages, refused, write, store }
}

describe('config space', () => {
  test('a VF shows the vendor and device ID that its PF gives it', () => {
    expect(make({ regions: [] }).device.readConfig(0)).toBe(0x10ca_8086)
  })

  test('there is no INTx: the interrupt pin reads 0 and the line is storage', () => {
    const { device, write } = make({ regions: [] })
    write(0x3c, 0x1ff)
    expect(device.readConfig(0x3c)).toBe(0xff)
  })

  test('it is the only function of its device', () => {
    expect(make({ regions: [] }).device.readConfig(0x0c)).toBe(0)
  })

  test('Memory Space Enable is virtual, Bus Master Enable goes to the function', () => {
    const { device, write, log } = make({ regions: [] })
    write(0x04, 0x0006, 0xffff)
    expect(log).toEqual(['config 4/2 6'])
    expect(device.readConfig(0x04) & 0xffff).toBe(0x0006)
    write(0x04, 0x0004, 0xffff)
    expect(device.readConfig(0x04) & 0xffff).toBe(0x0004)
  })

  test('identity and header are read-only', () => {
    const { write, log } = make({ regions: [] })
    write(0x00, 0)
    write(0x0c, 0)
    write(0x30, ALL)
    expect(log).toEqual([])
  })
})

describe('BARs', () => {
  test('sizing: ones come back in the bits above the size, the type bits unchanged', () => {
    const { device, write } = make({ regions: [BAR0] })
    write(0x10, ALL)
    write(0x14, ALL)
    expect(device.readConfig(0x10)).toBe(0xffff_c00c)
    expect(device.readConfig(0x14)).toBe(ALL)
    write(0x18, ALL)
    expect(device.readConfig(0x18)).toBe(0)
  })

  test('a 32-bit BAR has no upper half; one of 8 GiB has no address bits in the lower', () => {
    const { device, write } = make({
      regions: [
        { index: 0, hostAddress: 0x8000_0000, size: 0x1_0000, prefetchable: false, is64: false },
        { index: 2, hostAddress: 0x10_0000_0000, size: 0x2_0000_0000, prefetchable: true, is64: true },
      ],
    })
    for (const offset of [0x10, 0x14, 0x18, 0x1c]) write(offset, ALL)
    expect([0x10, 0x14, 0x18, 0x1c].map(offset => device.readConfig(offset))).toEqual([
      0xffff_0000, 0, 0xc, 0xffff_fffe,
    ])
  })

  test('memory is mapped to the host BAR while Memory Space Enable is set, and follows the BAR', () => {
    const { mapped, write } = make({ regions: [BAR0] })
    write(0x10, 0)
    write(0x14, 0x40)
    expect(mapped.size).toBe(0)
    write(0x04, 2, 0xffff)
    expect([...mapped]).toEqual([0, 1, 2, 3].map(i => [0x400_0000 + i, 0x900 + i]))
    write(0x10, 0x8000)
    expect([...mapped.keys()]).toEqual([0x400_0008, 0x400_0009, 0x400_000a, 0x400_000b])
    write(0x04, 0, 0xffff)
    expect(mapped.size).toBe(0)
  })

  test('the pages of the MSI-X table and PBA are not mapped, the others are', () => {
    const { mapped, write, device } = make({ regions: [BAR3], msix: MSIX })
    write(0x20, 0x40)
    write(0x04, 2, 0xffff)
    expect([...mapped]).toEqual([
      [0x400_0001, 0xa01],
      [0x400_0003, 0xa03],
    ])
    expect(device.claims(0x40_0000_3fff)).toBe(true)
    expect(device.claims(0x40_0000_4000)).toBe(false)
  })

  test('a BAR smaller than a page shares its host page and is never mapped', () => {
    const small = { index: 0, hostAddress: 0x8000_0100, size: 0x80, prefetchable: false, is64: false }
    const { mapped, write, device } = make({ regions: [small] })
    write(0x10, 0xc000_0000)
    write(0x04, 2, 0xffff)
    expect(mapped.size).toBe(0)
    expect(device.claims(0xc000_007f)).toBe(true)
  })

  test('an address that may hold no device memory is not decoded', () => {
    const { mapped, write, refused, device } = make({ regions: [BAR0] })
    refused.push(0x1000_0000)
    write(0x10, 0x1000_0000)
    write(0x04, 2, 0xffff)
    expect(mapped.size).toBe(0)
    expect(device.claims(0x1000_0000)).toBe(false)
  })
})

describe('MSI-X', () => {
  const TABLE = 0x40_0000_0000
  const ENABLE = 0x8000_0000
  const FUNCTION_MASK = 0x4000_0000
  let guest: ReturnType<typeof make>

  beforeEach(() => {
    guest = make({ regions: [BAR3], msix: MSIX })
    guest.write(0x20, 0x40)
    guest.write(0x04, 2, 0xffff)
    guest.log.length = 0
  })

  const program = (entry: number, vector: number, control = 0) => {
    guest.store(TABLE + entry * 16, 0xfee0_1000)
    guest.store(TABLE + entry * 16 + 8, vector)
    guest.store(TABLE + entry * 16 + 12, control)
  }

  test('after reset every entry is masked and the control register disabled', () => {
    expect(guest.device.readMemory(TABLE + 12)).toBe(1)
    expect(guest.device.readConfig(0x70)).toBe(0x0002_a011)
  })

  test('nothing of the table or the control register reaches the function', () => {
    guest.write(0x70, ENABLE | FUNCTION_MASK)
    program(0, 0x40)
    expect(guest.log).toEqual([])
    expect(guest.device.readConfig(0x70)).toBe(0xc002_a011 >>> 0)
    expect(guest.device.readMemory(TABLE)).toBe(0xfee0_1000)
  })

  test('unmasking arms as many host interrupts as the highest entry in use needs', () => {
    guest.write(0x70, ENABLE | FUNCTION_MASK)
    program(0, 0x40)
    program(2, 0x42)
    guest.write(0x70, ENABLE)
    expect(guest.log).toEqual(['enable 3 on 7'])
  })

  test('an arrival becomes the message that the guest programmed', () => {
    guest.write(0x70, ENABLE | FUNCTION_MASK)
    program(1, 0x41)
    guest.write(0x70, ENABLE)
    guest.interrupt(1)
    expect(guest.messages).toEqual([[0xfee0_1000, 0x41]])
    expect(guest.device.vector(1)).toEqual({
      index: 1,
      masked: false,
      vcpu: 0,
      guestVector: 0x41,
      delivered: 1,
    })
  })

  test('an arrival while masked is pending in the PBA and delivered on unmask, once', () => {
    program(0, 0x40)
    guest.write(0x70, ENABLE)
    guest.write(0x70, ENABLE | FUNCTION_MASK)
    guest.interrupt(0)
    guest.interrupt(0)
    expect(guest.messages).toEqual([])
    expect(guest.device.readMemory(TABLE + 0x2000)).toBe(1)
    guest.write(0x70, ENABLE)
    expect(guest.messages).toEqual([[0xfee0_1000, 0x40]])
  })

  test('a new address and data take effect without arming again', () => {
    program(0, 0x40)
    guest.write(0x70, ENABLE)
    program(0, 0x55)
    guest.interrupt(0)
    expect(guest.messages).toEqual([[0xfee0_1000, 0x55]])
    expect(guest.log).toEqual(['enable 1 on 7'])
  })

  test('unplugging disarms and takes the memory away', () => {
    program(0, 0x40)
    guest.write(0x70, ENABLE)
    drive(guest.device.unplug(), () => false)
    expect(guest.log).toEqual(['enable 1 on 7', 'disable'])
    expect(guest.mapped.size).toBe(0)
  })
})

describe('MSI', () => {
  // Multiple Message Capable 2 (4 messages), 64-bit, per-vector masking.
  const CONTROL = 0x0184

  test('message n carries the data with its low bits replaced by n, as many as are enabled', () => {
    const guest = make({ regions: [], msiControl: CONTROL })
    guest.write(0x54, 0xfee0_0000)
    guest.write(0x5c, 0x44, 0xffff)
    guest.write(0x50, (CONTROL | 0x11) << 16, 0xffff_0000)
    expect(guest.log).toEqual(['enable 2 on 7'])
    guest.interrupt(1)
    expect(guest.messages).toEqual([[0xfee0_0000, 0x45]])
  })

  test('a masked message is pending', () => {
    const guest = make({ regions: [], msiControl: CONTROL })
    guest.write(0x5c, 0x40, 0xffff)
    guest.write(0x50, (CONTROL | 0x21) << 16, 0xffff_0000)
    guest.write(0x60, 0b0100)
    guest.interrupt(2)
    expect(guest.device.readConfig(0x64)).toBe(0b0100)
    guest.write(0x60, 0)
    expect(guest.messages).toEqual([[0, 0x42]])
    expect(guest.device.readConfig(0x64)).toBe(0)
  })
})

describe('the virtual bus', () => {
  const ADDRESS = 0xcf8
  const DATA = 0xcfc
  const select = (slot: number, offset: number) => (0x8000_0000 | (slot << 11) | offset) >>> 0

  function bus() {
    const { device } = make({ regions: [BAR0] })
    let raised = 0
    const bus = new VirtualBus<VirtualFunction>(() => raised++)
    const out = (port: number, width: number, value: number) =>
      drive(bus.out(port, width, value), () => false)
    return { bus, device, out, raised: () => raised }
  }

  test('device 0 is the host bridge; an empty slot reads all ones', () => {
    const { bus: ports, out } = bus()
    out(ADDRESS, 4, select(0, 8))
    expect(ports.in(DATA, 4)).toBe(0x0600_0000)
    out(ADDRESS, 4, select(1, 0))
    expect(ports.in(DATA, 4)).toBe(ALL)
    out(ADDRESS, 4, 0)
    expect(ports.in(DATA, 4)).toBe(ALL)
  })

  test('bytes and words of the selected dword', () => {
    const { bus: ports, device, out } = bus()
    ports.insert(1, device)
    out(ADDRESS, 4, select(1, 0))
    expect([ports.in(DATA, 2), ports.in(DATA + 2, 2), ports.in(DATA + 3, 1)]).toEqual([0x8086, 0x10ca, 0x10])
    expect(ports.in(DATA + 2, 4)).toBe(ALL)
  })

  test('only bus 0, function 0 exists', () => {
    const { bus: ports, device, out } = bus()
    ports.insert(1, device)
    out(ADDRESS, 4, select(1, 0) + 0x100)
    expect(ports.in(DATA, 4)).toBe(ALL)
    out(ADDRESS, 4, select(1, 0) + 0x1_0000)
    expect(ports.in(DATA, 4)).toBe(ALL)
  })

  test('a change is reported once; removal until the guest ejects', () => {
    const { bus: ports, device, out, raised } = bus()
    ports.insert(1, device)
    expect([ports.in(0xae00, 4), ports.in(0xae00, 4)]).toEqual([2, 0])
    ports.requestRemoval(1)
    expect([ports.in(0xae04, 4), ports.in(0xae04, 4)]).toEqual([2, 2])
    out(0xae08, 4, 6)
    expect(ports.in(0xae04, 4)).toBe(0)
    expect(ports.remove(1)).toBe(true)
    expect([raised(), ports.in(0xae00, 4)]).toEqual([2, 0])
  })

  test('a removal that the guest did not allow is a change', () => {
    const { bus: ports, device, raised } = bus()
    ports.insert(1, device)
    ports.in(0xae00, 4)
    ports.requestRemoval(1)
    expect(ports.remove(1)).toBe(false)
    expect([raised(), ports.in(0xae00, 4), ports.in(0xae04, 4)]).toEqual([3, 2, 0])
  })
})
