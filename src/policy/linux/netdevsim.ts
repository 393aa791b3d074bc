/**
 * VF administration of netdevsim, the kernel's simulated NIC. Source: torvalds/linux drivers/net/netdevsim/netdev.c
 * (nsim_set_vf_*).
 */
import type { Refusal } from '../model/index.ts'

/** What `ip link set … vf …` asks for. The index of the VF counts from 0. */
export type VfSetting =
  | { readonly setting: 'mac'; readonly vf: number; readonly mac: string }
  | {
      readonly setting: 'vlan'
      readonly vf: number
      readonly vlan: number
      readonly qos: number
    }
  | { readonly setting: 'rate'; readonly vf: number }
  | { readonly setting: 'link'; readonly vf: number; readonly state: string }
  | { readonly setting: 'spoofcheck' | 'trust' | 'rss'; readonly vf: number }

export interface SimulatedNic {
  readonly numVfs: number
  readonly eSwitchMode: 'legacy' | 'switchdev'
}

/** A VLAN id has 12 bits, a priority 3. */
const MOST_VLAN = 4095
const MOST_QOS = 7
const LINK_STATES = ['auto', 'enable', 'disable']

/** The error of the kernel; undefined if the setting is made. In the kernel's order. */
export function refuseVfSetting(nic: SimulatedNic, wanted: VfSetting): Refusal | undefined {
  const refuse = (errorClass: string, text: string): Refusal => ({ errorClass, text })
  if (wanted.setting === 'rate' && nic.eSwitchMode === 'switchdev')
    return refuse('EOPNOTSUPP', 'in switchdev mode the rate of a VF is set by devlink')
  if (!Number.isInteger(wanted.vf) || wanted.vf < 0 || wanted.vf >= nic.numVfs)
    return refuse('EINVAL', `vf ${wanted.vf}: there are ${nic.numVfs} VFs, counted from 0`)
  switch (wanted.setting) {
    case 'mac':
      return isMulticast(wanted.mac)
        ? refuse('EINVAL', `mac ${wanted.mac} is a multicast address`)
        : undefined
    case 'vlan':
      if (wanted.vlan > MOST_VLAN) return refuse('EINVAL', `vlan ${wanted.vlan} is above ${MOST_VLAN}`)
      return wanted.qos > MOST_QOS ? refuse('EINVAL', `qos ${wanted.qos} is above ${MOST_QOS}`) : undefined
    case 'link':
      return LINK_STATES.includes(wanted.state)
        ? undefined
        : refuse('EINVAL', `link state ${wanted.state} is none of ${LINK_STATES.join(', ')}`)
    default:
      return undefined
  }
}

/** The lowest bit of the first byte says so. */
const isMulticast = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1
