/** Proxmox VE as an assignment policy: `hostpci` lines against cluster mappings. */
import type { AssignmentPolicy, Placement, PolicyHost, Refusal } from '../model/index.ts'
import { chooseHostPci, type HostPci, MOST_HOSTPCI, parseMachine, resolveHostPci } from './hostpci.ts'
import type { Mapping } from './mapping.ts'

export interface ProxmoxConfiguration {
  readonly mappings: ReadonlyMap<string, Mapping>
  /** The `machine` line of virtual machines; default `q35`. */
  readonly machine?: string
}

/** A need's resource is a `hostpci` line; each count is one more line. */
export function proxmoxPolicy({ mappings, machine: line = 'q35' }: ProxmoxConfiguration): AssignmentPolicy {
  return {
    system: 'proxmox-qemu-server',
    place(host, { vm, needs }): Placement {
      const deny = (refusal: Refusal): Placement => ({ granted: false, refusal, considered: [] })
      const machine = parseMachine(line)
      if ('refusal' in machine) return deny(machine.refusal)
      const wanted = needs.flatMap(need => Array.from({ length: need.count }, () => need))
      if (wanted.length > MOST_HOSTPCI)
        return deny({
          errorClass: 'too-many-hostpci',
          text: `a machine has at most ${MOST_HOSTPCI} hostpci lines`,
        })
      const lines: HostPci[] = []
      for (const [index, { resource }] of wanted.entries()) {
        const resolved = resolveHostPci(`hostpci${index}`, resource, machine.result, mappings, host)
        if ('refusal' in resolved) return deny(resolved.refusal)
        lines.push(resolved.result)
      }
      const chosen = chooseHostPci(lines, usedByOthers(host, vm))
      if ('refusal' in chosen) return deny(chosen.refusal)
      let next = 0
      return {
        granted: true,
        grants: needs.map(need => {
          const keys = Array.from({ length: need.count }, () => `hostpci${next++}`)
          const devices = keys.flatMap(key => chosen.result.get(key)!)
          return { need, devices, considered: devices.map(device => ({ device, passed: 0 })) }
        }),
      }
    },
  }
}

const usedByOthers = ({ users }: PolicyHost, vm: string): ReadonlySet<string> =>
  new Set([...users].filter(([, user]) => user !== vm).map(([address]) => address))
