/** A function's MSI on its way through a machine whose remapping unit posts interrupts. */
import { beforeEach, expect, test } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { Platform, parseTopology } from '../../src/platform/index.ts'
import { topology } from './documents.ts'

const UNIT = 0xfed9_0000
const SID = 0x0018
const CONFIG = 0x8000_0000 + SID * 4096
const TABLE = 0x1000_0000
const DESCRIPTOR = 0x1000_1000
const VECTOR = 0x91
const NOTIFICATION = 0xf2
const LOCAL_APIC = 0xfee0_0000

let platform: Platform
const write = (address: number, value: number) => platform.port.writeDword(address, value >>> 0)
const read = (address: number) => platform.port.readDword(address) >>> 0
const fire = () => platform.engineOf(platform.fabric.functionAt(0, SID as never)!).fire(0).request

beforeEach(() => {
  const time = new Engine()
  const iommu = {
    kind: 'intel-vtd' as const,
    units: [{ id: 'dmar0', includeAll: true, capabilities: { PI: 1 } }],
  }
  const document = topology([{ at: '03.0', model: 'intel-82574l' }], { iommu })
  platform = time.run(Platform.build(parseTopology(document), time))
  platform.powerOn()
  const [processor] = platform.port.processors
  processor!.execute({ op: 'write', address: LOCAL_APIC + 0xf0, width: 4, value: [0x1ff, 0] })
  processor!.execute({ op: 'sti' })
  // Interrupt remapping with 256 entries; entry 5 posts vector 91h.
  write(UNIT + 0xb8, TABLE + 7)
  write(UNIT + 0x18, 2 ** 24)
  write(UNIT + 0x18, 2 ** 25)
  write(TABLE + 5 * 16, 0x8001 + VECTOR * 0x1_0000)
  write(TABLE + 5 * 16 + 4, DESCRIPTOR)
  write(TABLE + 5 * 16 + 8, 0x4_0000 + SID)
  write(TABLE + 5 * 16 + 12, 0)
  write(DESCRIPTOR + 32, NOTIFICATION * 0x1_0000)
  write(DESCRIPTOR + 36, 0)
  write(CONFIG + 4, 6)
  write(CONFIG + 0xd4, 0xfee0_0010 + 5 * 32)
  write(CONFIG + 0xdc, 0)
  platform.port.writeDword(CONFIG + 0xd0, 0x1_0000, 0xffff_0000)
})

test('it is entered into the descriptor, and the processor takes the notification vector', () => {
  expect(fire()).toMatchObject({
    status: 0,
    target: 3,
    interrupt: { posted: true, notified: true, irteIndex: 5, vector: NOTIFICATION, processor: 0 },
  })
  expect(read(DESCRIPTOR + 16)).toBe(2 ** (VECTOR - 0x80))
  expect(platform.port.processors[0]!.takeInterrupt()).toBe(NOTIFICATION)
})

test('while a notification is outstanding, it is entered and nobody is interrupted', () => {
  fire()
  platform.port.processors[0]!.takeInterrupt()
  write(TABLE + 5 * 16, 0x8001 + (VECTOR + 1) * 0x1_0000)
  write(UNIT + 0x18, 0)
  write(UNIT + 0x18, 2 ** 25)
  expect(fire()).toMatchObject({
    status: 0,
    interrupt: { posted: true, notified: false, processor: -1 },
  })
  expect(read(DESCRIPTOR + 16)).toBe(3 * 2 ** (VECTOR - 0x80))
  expect(platform.port.processors[0]!.takeInterrupt()).toBe(-1)
})
