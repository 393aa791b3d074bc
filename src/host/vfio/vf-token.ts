/**
 * VF tokens: a secret that the user of a PF and the users of its VFs share, since whoever has the PF can do what he likes
 * to the VFs' data. Source: torvalds/linux drivers/vfio/pci/vfio_pci_core.c (vfio_pci_validate_vf_token).
 */
import { NorthbridgeError } from '../../core/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import { refuseToken } from './rules.ts'

export const VFIO_DRIVER = 'vfio-pci'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Throws `invalidArgument` for a token that is no UUID, `functionNotAssignable` if the function is not opened with it. */
export function checkToken(fn: HostPciFunction, given: string | undefined): void {
  if (given !== undefined && !UUID.test(given)) {
    const message = 'must be a UUID'
    throw new NorthbridgeError('invalidArgument', `VF token "${given}" ${message}`, {
      issues: [{ path: '/vfToken', message }],
      errno: 'EINVAL',
    })
  }
  const physical = fn.physical ?? fn
  const role = fn.physical !== undefined ? 'VF' : fn.virtualization !== undefined ? 'PF' : 'other'
  const refusal = refuseToken(
    {
      role,
      token: physical.vfToken,
      // Whoever opens a PF has bound vfio-pci to it before.
      vfioHasPf: role === 'PF' || physical.driver === VFIO_DRIVER,
      users: physical.virtuals.filter(({ owner }) => owner.kind === 'vm').length,
    },
    given?.toLowerCase(),
  )
  if (refusal === undefined) return
  const { errno, text } = refusal
  throw new NorthbridgeError('functionNotAssignable', `${fn.address} cannot be assigned: ${text}`, {
    function: fn.address,
    errno,
  })
}

/** A PF is opened: from now on its VFs are opened with this token only. */
export function settleToken(fn: HostPciFunction, given: string | undefined): void {
  if (fn.virtualization !== undefined && given !== undefined) fn.vfToken = given.toLowerCase()
}
