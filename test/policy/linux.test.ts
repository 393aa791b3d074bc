import { describe, expect, it } from 'vitest'
import { judgeNumVfs } from '../../src/host/sriov-rules.ts'
import { isReservedMemoryRelaxable, refuseToken, usesKernelDma } from '../../src/host/vfio/rules.ts'
import { refuseVfSetting } from '../../src/policy/index.ts'

describe('what lets user space have a group', () => {
  it.each([null, 'vfio-pci', 'mlx5-vfio-pci', 'hisi-acc-vfio-pci', 'pci-stub', 'pcieport'])(
    '%s does',
    driver => expect(usesKernelDma(driver)).toBe(false),
  )
  it.each(['igb', 'nvme', 'a driver nobody knows'])('%s does not', driver =>
    expect(usesKernelDma(driver)).toBe(true),
  )
})

describe('required identity mappings', () => {
  it.each([0x0c0330, 0x030000, 0x030100, 0x038000])('are relaxed for class %s', code =>
    expect(isReservedMemoryRelaxable(code)).toBe(true),
  )
  it.each([0x020000, 0x0c0500, 0x010802])('hold for class %s', code =>
    expect(isReservedMemoryRelaxable(code)).toBe(false),
  )
})

describe('VF tokens', () => {
  const vf = { role: 'VF', vfioHasPf: true, token: 'A', users: 0 } as const
  const pf = { role: 'PF', vfioHasPf: true, token: 'A', users: 1 } as const
  it.each([
    ['a VF of a vfio PF needs one', vf, undefined, 'EACCES'],
    ['and the right one', vf, 'B', 'EACCES'],
    ['with which it opens', vf, 'A', undefined],
    ['a VF of a host PF needs none', { ...vf, vfioHasPf: false }, undefined, undefined],
    ['and may not have one', { ...vf, vfioHasPf: false }, 'A', 'EINVAL'],
    ['a PF whose VFs are open needs the current one', pf, undefined, 'EACCES'],
    ['not another', pf, 'B', 'EACCES'],
    ['a PF without users takes a new one', { ...pf, users: 0 }, 'B', undefined],
    ['any other function may not have one', { ...pf, role: 'other' }, 'A', 'EINVAL'],
  ] as const)('%s', (_sentence, situation, given, errno) =>
    expect(refuseToken(situation, given)?.errno).toBe(errno),
  )
})

describe('sriov_numvfs', () => {
  const idle = { limit: 7, numVfs: 0, configurable: true }
  it.each([
    [8, idle, 'ERANGE'],
    [8, { ...idle, configurable: false }, 'ERANGE'],
    [0, { ...idle, configurable: false }, 'same'],
    [3, { ...idle, configurable: false }, 'ENOENT'],
    [3, { ...idle, numVfs: 2 }, 'EBUSY'],
    [0, { ...idle, numVfs: 2 }, 'disable'],
    [3, idle, 'enable'],
  ] as const)('%j written to %j: %s', (count, counts, verdict) =>
    expect(judgeNumVfs(count, counts)).toBe(verdict),
  )
})

describe('VF administration of netdevsim', () => {
  const nic = { numVfs: 4, eSwitchMode: 'legacy' } as const
  it.each([
    [{ setting: 'mac', vf: 3, mac: '02:00:00:00:00:01' }, undefined],
    [{ setting: 'mac', vf: 3, mac: '01:00:5e:00:00:01' }, 'EINVAL'],
    [{ setting: 'vlan', vf: 4, vlan: 1, qos: 0 }, 'EINVAL'],
    [{ setting: 'vlan', vf: 0, vlan: 4095, qos: 7 }, undefined],
    [{ setting: 'vlan', vf: 0, vlan: 4096, qos: 0 }, 'EINVAL'],
    [{ setting: 'vlan', vf: 0, vlan: 1, qos: 8 }, 'EINVAL'],
    [{ setting: 'link', vf: 0, state: 'sideways' }, 'EINVAL'],
    [{ setting: 'trust', vf: 1 }, undefined],
  ] as const)('%j: %s', (setting, errorClass) =>
    expect(refuseVfSetting(nic, setting)?.errorClass).toBe(errorClass),
  )

  it('sends rates to devlink in switchdev mode, before it looks at the VF', () =>
    expect(
      refuseVfSetting({ ...nic, eSwitchMode: 'switchdev' }, { setting: 'rate', vf: 9 })?.errorClass,
    ).toBe('EOPNOTSUPP'))
})
