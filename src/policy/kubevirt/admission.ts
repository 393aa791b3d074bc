/**
 * What KubeVirt refuses, and where: its webhook looks at feature gates and claims only, its controller refuses devices
 * that are not permitted when it renders the pod. Sources: kubevirt/kubevirt
 * pkg/virt-api/webhooks/validating-webhook/admitters/vmi-create-admitter.go, pkg/virt-controller/services/renderresources.go.
 */
import type { Refusal } from '../model/index.ts'
import type { KubevirtConfiguration, VirtualMachineDevices } from './configuration.ts'

export interface KubevirtRefusal extends Refusal {
  readonly stage: 'webhook' | 'controller'
  readonly field: string
}

const GATES = { hostDevices: ['HostDevices', 'HostDevicesWithDRA'], gpus: ['GPU', 'GPUsWithDRA'] } as const

export function refuseAtAdmission(
  { featureGates }: KubevirtConfiguration,
  devices: VirtualMachineDevices,
): KubevirtRefusal | undefined {
  for (const kind of ['gpus', 'hostDevices'] as const) {
    const gates: readonly string[] = GATES[kind]
    if (devices[kind].length === 0 || featureGates.some(gate => gates.includes(gate))) continue
    // As upstream names it, which is not where it is.
    const field = kind === 'gpus' ? 'spec.GPUs' : 'spec.HostDevices'
    return {
      errorClass: 'feature-gate-disabled',
      text: `${field}: needs the feature gate ${gates[0]}`,
      stage: 'webhook',
      field,
    }
  }
  return refuseDuplicateClaim(devices)
}

/** One request of a claim is one device: it cannot be used twice. */
function refuseDuplicateClaim({
  gpus,
  hostDevices,
  networks,
}: VirtualMachineDevices): KubevirtRefusal | undefined {
  const uses = [
    ...gpus.map(({ claimRequest }, index) => [`spec.domain.devices.gpus[${index}]`, claimRequest] as const),
    ...hostDevices.map(
      ({ claimRequest }, index) => [`spec.domain.devices.hostDevices[${index}]`, claimRequest] as const,
    ),
    ...networks.map(({ resourceClaim }, index) => [`spec.networks[${index}]`, resourceClaim] as const),
  ]
  const seen = new Set<string>()
  for (const [field, claim] of uses) {
    if (claim === undefined) continue
    const key = `${claim.claimName}/${claim.requestName}`
    if (seen.has(key)) {
      const text = `${field}: request ${claim.requestName} of claim ${claim.claimName} is used already`
      return { errorClass: 'duplicate-claim-request', text, stage: 'webhook', field }
    }
    seen.add(key)
  }
  return undefined
}

/** Nothing is checked while nothing is configured. */
export function refuseAtController(
  { permittedHostDevices: permitted, featureGates }: KubevirtConfiguration,
  { gpus, hostDevices }: VirtualMachineDevices,
): KubevirtRefusal | undefined {
  if (permitted === undefined) return undefined
  const names = new Set(
    [...permitted.pciHostDevices, ...permitted.mediatedDevices, ...permitted.usb].map(
      ({ resourceName }) => resourceName,
    ),
  )
  const check = (
    devices: VirtualMachineDevices['gpus'],
    kind: 'gpus' | 'hostDevices',
    gate: string,
    errorClass: string,
  ): KubevirtRefusal | undefined => {
    const index = devices.findIndex(
      ({ deviceName, claimRequest }) =>
        !names.has(deviceName) && (claimRequest === undefined || !featureGates.includes(gate)),
    )
    if (index < 0) return undefined
    const field = `spec.domain.devices.${kind}[${index}]`
    const text = `${field}: ${devices[index]!.deviceName} is not among the permittedHostDevices`
    return { errorClass, text, stage: 'controller', field }
  }
  return (
    check(gpus, 'gpus', 'GPUsWithDRA', 'gpu-not-permitted') ??
    check(hostDevices, 'hostDevices', 'HostDevicesWithDRA', 'hostdevice-not-permitted')
  )
}
