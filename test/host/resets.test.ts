/** "VFIO_DEVICE_RESET", "VFIO_DEVICE_PCI_HOT_RESET", sysfs `reset_method`: which way a function is reset, and whom it hits. */
import { describe, expect, it } from 'vitest'
import type { NorthbridgeError } from '../../src/core/index.ts'
import type { AssignedFunction } from '../../src/host/index.ts'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { image } from '../platform/documents.ts'
import { type Booted, boot, machine } from './machine.ts'

/** Alone behind a root port: FLR, and a reset of its bus. */
const PF = '0000:01:00.0'
/** A function without any reset of its own, twice in one device behind a root port. */
const [FIRST, SECOND] = ['0000:01:00.0', '0000:01:00.1']

const plainFunction = (at: string, device: number, isolated: boolean) => ({
  at,
  imported: {
    name: 'no reset of its own',
    kind: 'endpoint' as const,
    configSizeBytes: 4096 as const,
    // PCI Express without FLR; access control, if it is to be kept apart from the function beside it.
    image: image({
      0: [4, 0x8086 + device * 65_536],
      6: [2, 0x10],
      8: [4, 0x0200_0000],
      14: [1, 0x80],
      52: [1, 0x40],
      64: [4, 0x0002_0010],
      ...(isolated && { 256: [4, 0x0001_000d] as const, 260: [2, 0x7f] as const }),
    }),
    bars: [{ index: 0, kind: 'memory32' as const, sizeBytes: 0x1000 }],
  },
})

const pair = (isolated = false): TopologyDocument => ({
  name: 'no-reset',
  iommu: { kind: 'intel-vtd', units: [{ id: 'unit', includeAll: true }] },
  hostBridges: [
    {
      devices: [
        {
          at: '01.0',
          model: 'root-port',
          devices: [plainFunction('00.0', 0x1111, isolated), plainFunction('00.1', 0x2222, isolated)],
        },
      ],
    },
  ],
})

function refusal(act: () => unknown): NorthbridgeError {
  try {
    act()
  } catch (error) {
    return error as NorthbridgeError
  }
  throw new Error('it was not refused')
}

const attach = ({ run, host }: Booted, address: string, owner = 'guest'): AssignedFunction =>
  run(host.vfio.attach(address, owner))

describe('reset_method', () => {
  it('has the kernel’s order until it is written, and then the administrator’s', () => {
    const { host, run } = boot(machine())
    const { supportedResets } = host.find(PF)
    expect(host.find(PF).resetMethods).toEqual(supportedResets)
    expect([supportedResets[0], supportedResets.at(-1)]).toEqual(['flr', 'bus'])
    host.chooseResets(PF, ['bus', 'flr'])
    expect(run(host.reset(PF))).toEqual({ method: 'bus' })
    host.chooseResets(PF, ['flr'])
    expect(run(host.reset(PF))).toEqual({ method: 'flr' })
    host.chooseResets(PF, undefined)
    expect(host.find(PF).resetMethods).toEqual(supportedResets)
  })

  it('may be empty: then the function is not reset, and says why', () => {
    const { host, run, hash } = boot(machine())
    host.chooseResets(PF, [])
    const before = hash()
    const error = refusal(() => run(host.reset(PF)))
    expect([error.code, error.details['errno']]).toEqual(['resetUnavailable', 'ENOTTY'])
    expect(error.message).toMatch(/switched off \(it has flr/)
    expect(hash()).toBe(before)
  })

  it('takes no method that the function does not have, and none twice', () => {
    const { host, hash } = boot(machine(), { bootVfs: { [PF]: 1 } })
    const before = hash()
    const error = refusal(() => host.chooseResets('0000:01:10.0', ['bus']))
    expect([error.code, error.details['errno']]).toEqual(['invalidArgument', 'EINVAL'])
    expect(() => host.chooseResets(PF, ['flr', 'flr'])).toThrow(/twice/)
    expect(hash()).toBe(before)
  })

  it('outlives a restart of the kernel’s state', () => {
    const { host } = boot(machine())
    host.chooseResets(PF, ['bus'])
    const saved = host.save().functions.find(({ rid }) => rid === 0x100)
    expect(saved!.chosenResets).toEqual(['bus'])
  })
})

describe('a function without any reset', () => {
  it('is assigned as it is, as vfio-pci does; where a reset is required it is refused with the reason', () => {
    const booted = boot(pair())
    const { host, run, hash } = booted
    expect(host.find(FIRST).resetMethods).toEqual([])
    const before = hash()
    const error = refusal(() => run(host.vfio.attach(FIRST, 'guest', { resetRequired: true })))
    expect([error.code, error.message]).toEqual([
      'resetUnavailable',
      expect.stringContaining('neither a function level reset'),
    ])
    expect(hash()).toBe(before)
    expect(host.find(attach(booted, FIRST).function.address).owner).toEqual({ kind: 'vm', name: 'guest' })
  })

  it('is reset with its bus if all that is there is the same user’s', () => {
    const booted = boot(pair())
    const { run, platform } = booted
    const [one, two] = [attach(booted, FIRST), attach(booted, SECOND)]
    for (const handle of [one, two]) handle.writeConfig(4, 2, 6)
    expect(one.hotResetMembers().map(member => member.function)).toEqual([FIRST, SECOND])
    run(one.hotReset())
    for (const address of [FIRST, SECOND]) {
      const { rid, bars } = booted.host.find(address)
      const fn = platform.fabric.functionAt(0, rid)!
      // Bus mastering is the user's to switch on again; where its BAR lies is the host's, and stayed.
      expect(fn.readConfig(4) & 4).toBe(0)
      expect(fn.readConfig(0x10) >>> 0).toBe(bars[0]!.address)
    }
  })

  it.each([
    ['another user’s', 'other', 'EPERM', /assigned to virtual machine "other"/],
    ['nobody’s', undefined, 'ENODEV', /has no driver, not vfio-pci/],
  ])('is not reset while a function beside it is %s', (_, owner, errno, text) => {
    const booted = boot(pair(true))
    const one = attach(booted, FIRST)
    if (owner !== undefined) attach(booted, SECOND, owner)
    const before = booted.hash()
    const error = refusal(() => booted.run(one.hotReset()))
    expect([error.code, error.details['errno']]).toEqual(['resetUnavailable', errno])
    expect(error.message).toMatch(text)
    expect(booted.hash()).toBe(before)
  })
})
