/** VF tokens: the user of a PF in vfio-pci's hands and the users of its VFs agree on a secret, or VFs are not opened. */
import { describe, expect, it } from 'vitest'
import type { NorthbridgeError } from '../../src/core/index.ts'
import { type Booted, boot, machine } from './machine.ts'

const PF = '0000:01:00.0'
const VF = '0000:01:10.0'
const TOKEN = '2ab74924-c335-45f4-9b16-8569e5b08258'
const OTHER = '2ab74924-c335-45f4-9b16-8569e5b08259'

const allowing = (): Booted =>
  boot(machine({}, { host: { commandLine: 'intel_iommu=on vfio_pci.enable_sriov=1' } }))

function refusal({ run, host, hash }: Booted, address: string, token?: string): NorthbridgeError {
  const before = hash()
  try {
    run(host.vfio.attach(address, 'other', { token }))
  } catch (error) {
    expect(hash()).toBe(before)
    return error as NorthbridgeError
  }
  throw new Error('it was opened')
}

describe('virtual functions of a PF that vfio-pci has', () => {
  it('are not enabled unless vfio_pci.enable_sriov lets it', () => {
    const { run, host } = boot(machine())
    run(host.vfio.attach(PF, 'owner'))
    expect(() => run(host.setNumVfs(PF, 1))).toThrow(/vfio_pci\.enable_sriov=1/)
  })

  it('get vfio-pci as their driver, and no other', () => {
    const { run, host } = allowing()
    run(host.vfio.attach(PF, 'owner', { token: TOKEN }))
    run(host.setNumVfs(PF, 2))
    expect(host.find(PF).virtualFunctions.map(address => host.find(address).driver)).toEqual([
      'vfio-pci',
      'vfio-pci',
    ])
  })

  it('are opened with the token of the PF only, in either case of its letters', () => {
    const booted = allowing()
    const { run, host } = booted
    run(host.vfio.attach(PF, 'owner', { token: TOKEN }))
    run(host.setNumVfs(PF, 1))
    for (const [token, text] of [
      [undefined, /token is needed/],
      [OTHER, /not the PF's VF token/],
    ] as const) {
      const error = refusal(booted, VF, token)
      expect([error.code, error.details['errno']]).toEqual(['functionNotAssignable', 'EACCES'])
      expect(error.message).toMatch(text)
    }
    const handle = run(host.vfio.attach(VF, 'other', { token: TOKEN.toUpperCase() }))
    expect(host.find(VF).owner).toEqual({ kind: 'vm', name: 'other' })
    run(handle.release())
    expect(host.find(VF).driver).toBe('vfio-pci')
  })

  it('are opened by nobody while their PF was given no token: it has one that nobody knows', () => {
    const booted = allowing()
    const { run, host } = booted
    run(host.vfio.attach(PF, 'owner'))
    run(host.setNumVfs(PF, 1))
    expect(refusal(booted, VF, TOKEN).details['errno']).toBe('EACCES')
  })

  it('keep the token while their PF is let go and taken again, which takes the same token while one is open', () => {
    const booted = allowing()
    const { run, host } = booted
    const handle = run(host.vfio.attach(PF, 'owner', { token: TOKEN }))
    run(host.setNumVfs(PF, 1))
    run(host.vfio.attach(VF, 'other', { token: TOKEN }))
    run(handle.release())
    expect([host.find(PF).driver, host.find(PF).virtualFunctions]).toEqual(['vfio-pci', [VF]])
    expect(refusal(booted, PF, OTHER).details['errno']).toBe('EACCES')
    expect(refusal(booted, PF).message).toMatch(/token is needed/)
    run(host.vfio.attach(PF, 'owner', { token: TOKEN }))
  })
})

describe('a token', () => {
  it('is a UUID', () => {
    const error = refusal(boot(machine()), PF, 'sesame')
    expect([error.code, error.message]).toEqual(['invalidArgument', 'VF token "sesame" must be a UUID'])
  })

  it('is refused where there is none: with a VF of a PF of the kernel, and with a function without VFs', () => {
    const booted = boot(machine(), { bootVfs: { [PF]: 1 } })
    expect(refusal(booted, VF, TOKEN).message).toMatch(/vfio-pci does not have the PF/)
    const { host, run } = booted
    const pair = ['0000:04:00.0', '0000:05:00.0']
    for (const address of pair) run(host.bind(address, null))
    expect(refusal(booted, pair[0]!, TOKEN).message).toMatch(/has no VF token/)
  })

  it('is forgotten when the kernel has the PF again', () => {
    const { run, host } = allowing()
    run(run(host.vfio.attach(PF, 'owner', { token: TOKEN })).release())
    expect(host.find(PF).driver).toBe('igb')
    run(host.setNumVfs(PF, 1))
    run(host.vfio.attach(VF, 'other'))
  })
})
