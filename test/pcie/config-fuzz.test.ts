/**
 * Whatever software writes to configuration space, of any width and anywhere, over a machine that has everything: nothing
 * throws, read-only bits and capability lists stay, and every address has at most one owner.
 */
import { describe, expect, it } from 'vitest'
import { digest, Random } from '../../src/core/index.ts'
import { definition } from './images.ts'
import { Machine, part } from './machine.ts'
import { checkReadOnly, type Expected, expectationOf } from './read-only.ts'

const WRITES = 100_000
const WRITES_PER_CHECK = 1000

/** Everything that a port can have besides AER: VC, L1 substates, DPC, ACS with egress control, PTM, multicast as bytes. */
const PORT_CAPABILITIES = [
  { id: 0x01, dwords: [0, 0, 0x0046_2030, 0, 0, 0x2a0] },
  { id: 0x02, dwords: [1] },
  { id: 0x0d, dwords: [0x08ff] },
  { id: 0x12, dwords: [0x003f_003f] },
  { id: 0x19, dwords: [] },
  { id: 0x1d, dwords: [0x10e0] },
  { id: 0x1e, dwords: [0x1f] },
  { id: 0x1f, dwords: [7] },
]
const FUNCTION_CAPABILITIES = [
  { id: 0x01, dwords: [0, 0, 0x0046_2030, 0, 0, 0xaa0] },
  { id: 0x0e, dwords: [0x0003] },
  { id: 0x0f, dwords: [0x25] },
  { id: 0x13, dwords: [0x8100_0000, 64] },
  { id: 0x1b, dwords: [0x1406] },
  { id: 0x15, dwords: [0x0003_f000, 1 << 5] },
  { id: 0x17, dwords: [0x000f_0307] },
  { id: 0x18, dwords: [0] },
  { id: 0x23, dwords: [0x0010_1e98] },
]
const HOT_PLUG = { 0: 0x0100_0000, 4: 0x0000_8022, 12: 0x0070_0413, 20: 0x0002_007f, 28: 0x1_0000, 36: 0x7f }

function everything(): Machine {
  const machine = new Machine()
  const port = machine.plug(part('root-port'), '1.0')
  machine.plug(part('intel-82576', 0), '0.0', port)
  machine.plug(part('intel-82576', 1), '0.1', port)
  const slot = machine.plug(definition({ type: 4, express: HOT_PLUG, extended: PORT_CAPABILITIES }), '2.0')
  machine.plug(
    definition(
      { capability: { id: 0x03 }, express: { 4: 0x1000_803a }, extended: FUNCTION_CAPABILITIES },
      {
        bars: [
          { index: 0, kind: 'memory64', prefetchable: true, size: 2 ** 24 },
          { index: 2, kind: 'io', prefetchable: false, size: 64 },
          { index: 4, kind: 'memory64', prefetchable: true, size: 2 ** 34 },
        ],
        romSize: 2 ** 16,
      },
    ),
    '0.0',
    slot,
  )
  const upstream = machine.plug(part('switch-upstream-port'), '0.0', machine.plug(part('root-port'), '3.0'))
  for (const [i, name] of ['nvme-sriov', 'ats-accelerator', 'intel-82599'].entries()) {
    machine.plug(part(name), '0.0', machine.plug(part('switch-downstream-port-acs'), `${i}.0`, upstream))
  }
  const bridge = machine.plug(part('pcie-pci-bridge'), '0.0', machine.plug(part('root-port'), '4.0'))
  machine.plug(part('intel-82540em'), '1.0', bridge)
  machine.plug(part('intel-82540em'), '1.0', machine.plug(part('pci-bridge'), '2.0', bridge))
  return machine
}

function checkFunction(expected: Expected): void {
  const { fn } = expected
  checkReadOnly(expected)
  for (const { index, kind } of fn.definition.bars) {
    const unit = kind === 'io' ? fn.definition.bars.find(bar => bar.index === index)!.size : fn.barSize(index)
    expect([index, fn.barAddress(index) % unit]).toEqual([index, 0])
  }
  const { sriov } = fn
  if (sriov === undefined) return
  const at = fn.layout.findExtended(0x10)
  const numVfs = fn.readConfig(at + 0x10) & 0xffff
  expect(numVfs).toBeLessThanOrEqual(fn.readConfig(at + 0x0c) >>> 16)
  expect(fn.virtualFunctions).toHaveLength(sriov.enabled ? numVfs : 0)
  expect(new Set(fn.virtualFunctions.map(({ rid }) => rid)).size).toBe(fn.virtualFunctions.length)
}

/** Every range that is claimed on a bus has one owner, on this bus, and lies behind the one before. */
function checkClaims(machine: Machine, random: Random): void {
  for (const { bus } of machine.fabric.functions()) {
    for (const decoder of [bus.memory, bus.io]) {
      let covered = 0
      decoder.forEach((base, end, claim) => {
        expect(base).toBeGreaterThanOrEqual(covered)
        expect(end).toBeGreaterThan(base)
        expect(bus.functions).toContain(decoder.claimOwner(claim))
        covered = end
      })
    }
  }
  for (let i = 0; i < 50; i++) {
    const address = random.integer(0, 0xffff_ffff) * 4 + random.integer(0, 1) * 2 ** 40
    machine.fabric.writeMemory(address, 0x5a5a_5a5a, 0xffff_ffff)
    expect(machine.fabric.readMemory(address)).toBeGreaterThanOrEqual(0)
  }
}

const VALUES = [0, 0xffff_ffff, 0x0101_0101, 0x8000_8000, 0xfff0_fff0]

describe(`${WRITES.toLocaleString('en')} random configuration writes`, () => {
  it.each([1, 2])('break nothing (seed %i)', seed => {
    const machine = everything()
    const random = new Random(seed)
    const expected = machine.fabric.functions().map(expectationOf)
    for (let n = 0; n < WRITES / 2; n++) {
      const width = [1, 2, 4][random.integer(0, 2)]!
      const byte = random.integer(0, 4 / width - 1) * width
      const lanes = ((width === 4 ? 0xffff_ffff : 2 ** (8 * width) - 1) << (8 * byte)) >>> 0
      const value =
        random.integer(0, 2) === 0 ? VALUES[random.integer(0, 4)]! : random.integer(0, 0xffff_ffff)
      const { fn } = expected[random.integer(0, expected.length - 1)]!
      // Half of the writes go to registers that do something; a third of all by way of the bus numbers of the moment.
      const dwords = fn.layout.size >>> 2
      let at = random.integer(0, dwords - 1)
      if (random.integer(0, 1) === 0) while (fn.layout.effectOf(at) === 0) at = (at + 1) % dwords
      if (random.integer(0, 2) === 0) {
        const [bus, devfn] = [random.integer(0, 8), random.integer(0, 255)]
        machine.fabric.writeConfig(0, bus, devfn, at * 4, value, lanes)
        machine.fabric.readConfig(0, bus, devfn, at * 4)
      } else fn.writeConfig(at * 4, value, lanes)
      if (n % WRITES_PER_CHECK !== 0) continue
      for (const one of expected) checkFunction(one)
      checkClaims(machine, random)
    }
    const saved = machine.fabric.save()
    const again = everything()
    again.fabric.load(saved)
    expect(digest(again.fabric.save())).toBe(digest(saved))
  })
})
