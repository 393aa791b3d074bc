/** KubeVirt's cluster configuration, as far as it decides about host devices. Source: kubevirt/kubevirt staging/src/kubevirt.io/api. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'

const permittedSchema = z.object({
  pciHostDevices: z
    .array(
      z.object({
        pciVendorSelector: z.string(),
        resourceName: z.string(),
        externalResourceProvider: z.boolean().default(false),
      }),
    )
    .default([]),
  mediatedDevices: z.array(z.looseObject({ resourceName: z.string() })).default([]),
  usb: z.array(z.looseObject({ resourceName: z.string() })).default([]),
})

const configurationSchema = z.object({
  permittedHostDevices: permittedSchema.optional(),
  featureGates: z.array(z.string()).default([]),
})

export type PermittedHostDevices = z.output<typeof permittedSchema>
export type KubevirtConfiguration = z.output<typeof configurationSchema>

/** `spec.configuration`, with the feature gates of its developer configuration beside it. Throws `invalidDocument`. */
export const parseKubevirtConfiguration = (value: unknown): KubevirtConfiguration =>
  parseDocument(configurationSchema, value, 'configuration')

const claimRequest = z.object({ claimName: z.string(), requestName: z.string() })
const device = z.object({
  name: z.string().optional(),
  deviceName: z.string().default(''),
  claimRequest: claimRequest.optional(),
})

const machineSchema = z.object({
  gpus: z.array(device).default([]),
  hostDevices: z.array(device).default([]),
  networks: z.array(z.looseObject({ resourceClaim: claimRequest.optional() })).default([]),
})

export type VirtualMachineDevices = z.output<typeof machineSchema>

/** GPUs, host devices and networks of a virtual machine instance. Throws `invalidDocument`. */
export const parseVirtualMachineDevices = (value: unknown): VirtualMachineDevices =>
  parseDocument(machineSchema, value, 'spec')
