/** Policies from the configuration files that people already have. */
import { z } from 'zod'
import { NorthbridgeError, parseDocument } from '../../core/index.ts'
import { linuxVfioPolicy } from '../linux/index.ts'
import type { AssignmentPolicy, PolicySystem } from '../model/index.ts'
import { novaPolicy, parseNovaConfiguration } from '../nova/index.ts'
import { ovirtPolicy } from '../ovirt/index.ts'
import { ownPolicy, parseOwnPolicy } from '../own/index.ts'
import { parseMappings, proxmoxPolicy } from '../proxmox/index.ts'
import { xapiPolicy } from '../xapi/index.ts'
import {
  readDevicePlugin,
  readDra,
  readKubevirt,
  readNetworkOperator,
  readTopologyManager,
} from './kubernetes.ts'
import { readLibvirt } from './libvirt.ts'
import { documentIn, inFile, type PolicyFile } from './texts.ts'

export type { PolicyFile } from './texts.ts'

type Read = (files: readonly PolicyFile[]) => AssignmentPolicy

interface Reader {
  /** What the files are, in a sentence for people. */
  readonly files: string
  /** How many there may be. */
  readonly least: number
  readonly most: number
  readonly read: Read
}

const ovirtSchema = z.strictObject({
  physicalFunctions: z.array(
    z.strictObject({
      physicalFunction: z.string(),
      allNetworksAllowed: z.boolean().default(false),
      networks: z.array(z.string()).default([]),
      labels: z.array(z.string()).default([]),
    }),
  ),
  networkLabels: z.record(z.string(), z.string()).default({}),
})

const xapiSchema = z.strictObject({ networks: z.record(z.string(), z.array(z.string())) })

const READERS: Readonly<Partial<Record<PolicySystem, Reader>>> = {
  northbridge: {
    files: 'our own policy document, YAML or JSON',
    least: 1,
    most: 1,
    read: ([file]) => {
      const { where, value } = documentIn(file!)
      return inFile(where, () => ownPolicy(parseOwnPolicy(value)))
    },
  },
  nova: {
    files: 'nova.conf, and files that go on with it',
    least: 1,
    most: 64,
    // Several files count as one, as oslo.config reads them; errors are of the one that has them.
    read: files => {
      for (const { name, text } of files) inFile(name, () => parseNovaConfiguration(text))
      return novaPolicy(parseNovaConfiguration(files.map(({ text }) => text).join('\n')))
    },
  },
  'sriov-network-device-plugin': { files: 'config.json', least: 1, most: 1, read: readDevicePlugin },
  'sriov-network-operator': {
    files: 'manifests of SriovNetworkNodePolicy',
    least: 1,
    most: 64,
    read: readNetworkOperator,
  },
  'kubernetes-topology-manager': {
    files: 'a KubeletConfiguration, and config.json of the device plugin',
    least: 2,
    most: 2,
    read: readTopologyManager,
  },
  'kubernetes-dra': {
    files: 'manifests of DeviceClass, ResourceClaim(Template), SriovResourcePolicy, DeviceAttributes',
    least: 1,
    most: 64,
    read: readDra,
  },
  libvirt: { files: 'XML of networks, and options as JSON or YAML', least: 0, most: 64, read: readLibvirt },
  kubevirt: { files: 'the KubeVirt object', least: 1, most: 1, read: readKubevirt },
  'proxmox-qemu-server': {
    files: 'mapping/pci.cfg',
    least: 0,
    most: 1,
    read: ([file]) =>
      proxmoxPolicy({
        mappings: file === undefined ? new Map() : inFile(file.name, () => parseMappings(file.text)),
      }),
  },
  ovirt: {
    files: 'which networks may use the VFs of which PFs, YAML or JSON of our own',
    least: 1,
    most: 1,
    read: ([file]) => {
      const { where, value } = documentIn(file!)
      return inFile(where, () => ovirtPolicy(parseDocument(ovirtSchema, value, 'ovirt')))
    },
  },
  xapi: {
    files: 'the PFs of each SR-IOV network, YAML or JSON of our own',
    least: 1,
    most: 1,
    read: ([file]) => {
      const { where, value } = documentIn(file!)
      return inFile(where, () => xapiPolicy(parseDocument(xapiSchema, value, 'xapi')))
    },
  },
  'linux-vfio': {
    files: 'none: needs are addresses, and the kernel alone decides',
    least: 0,
    most: 0,
    read: () => linuxVfioPolicy(),
  },
}

/** Systems that assign devices, and can be asked to. */
export const ASSIGNING_SYSTEMS = Object.keys(READERS) as readonly PolicySystem[]

/** What the files of a system are. */
export const filesOf = (system: PolicySystem): string => READERS[system]?.files ?? 'none'

/**
 * The policy of a system from its configuration files. Throws `malformedInput` and `invalidDocument` naming file, line
 * or field, and rule; `invalidArgument` for a wrong number of files or a system that assigns nothing.
 */
export function readPolicy(system: PolicySystem, files: readonly PolicyFile[]): AssignmentPolicy {
  const reader = READERS[system]
  if (reader === undefined)
    throw new NorthbridgeError(
      'invalidArgument',
      `system ${system} assigns nothing; those that do are ${ASSIGNING_SYSTEMS.join(', ')}`,
    )
  const { least, most, files: what, read } = reader
  if (files.length < least || files.length > most) {
    const wanted = least === most ? `${least}` : `${least} to ${most}`
    throw new NorthbridgeError(
      'invalidArgument',
      `system ${system} takes ${wanted} files (${what}), not ${files.length}`,
    )
  }
  return read(files)
}
