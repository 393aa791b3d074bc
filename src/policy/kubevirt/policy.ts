/** KubeVirt as an assignment policy: a need is the resource name of permitted host devices. */
import type { AssignmentPolicy, Candidate, Grant, Placement } from '../model/index.ts'
import { refuseAtAdmission, refuseAtController } from './admission.ts'
import { type KubevirtConfiguration, parseVirtualMachineDevices } from './configuration.ts'
import { offerOf } from './device-plugin.ts'

export function kubevirtPolicy(configuration: KubevirtConfiguration): AssignmentPolicy {
  return {
    system: 'kubevirt',
    place(host, { needs }): Placement {
      const devices = parseVirtualMachineDevices({
        hostDevices: needs.map(({ resource }) => ({ deviceName: resource })),
      })
      const refusal = refuseAtAdmission(configuration, devices) ?? refuseAtController(configuration, devices)
      if (refusal !== undefined) return { granted: false, refusal, considered: [] }
      const given = new Set<string>()
      const grants: Grant[] = []
      for (const need of needs) {
        const permitted = configuration.permittedHostDevices ?? {
          pciHostDevices: [],
          mediatedDevices: [],
          usb: [],
        }
        const offer = offerOf(need.resource, permitted, host.devices)
        const free = offer.devices.filter(({ address }) => !host.users.has(address) && !given.has(address))
        const considered = offer.considered.map((candidate): Candidate => {
          const user = host.users.get(candidate.device)
          if (candidate.refusal !== undefined || user === undefined) return candidate
          const text = `${candidate.device} is allocated to ${user}`
          return { ...candidate, refusal: { errorClass: 'allocated', text, device: candidate.device } }
        })
        if (free.length < need.count) {
          const text = `${need.resource}: ${need.count} wanted, ${free.length} of ${offer.devices.length} free`
          return { granted: false, need, considered, refusal: { errorClass: 'Insufficient', text } }
        }
        const addresses = free.slice(0, need.count).map(({ address }) => address)
        for (const address of addresses) given.add(address)
        grants.push({ need, devices: addresses, considered })
      }
      return { granted: true, grants }
    },
  }
}
