/** What people apply to a Kubernetes cluster: the plugin's config.json, the kubelet's configuration, manifests. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import { draPolicy, parseDraManifests } from '../dra/index.ts'
import { kubevirtPolicy, parseKubevirtConfiguration } from '../kubevirt/index.ts'
import { type AssignmentPolicy, refusePolicy } from '../model/index.ts'
import { devicePluginPolicy, parseResources, type Resource } from '../sriov-device-plugin/index.ts'
import { networkOperatorPolicy, parseNodePolicy } from '../sriov-network-operator/index.ts'
import { parseTopologyManagerPolicy, topologyManagerPolicy } from '../topology-manager/index.ts'
import { documentIn, documentsIn, inFile, type PlacedDocument, type PolicyFile } from './texts.ts'

const isPlugin = ({ value }: PlacedDocument): boolean => 'resourceList' in (value as object)

const resourcesOf = (documents: readonly PlacedDocument[]): Resource[] =>
  documents.flatMap(({ where, value }) => inFile(where, () => [...parseResources(value)]))

export const readDevicePlugin = (files: readonly PolicyFile[]): AssignmentPolicy =>
  devicePluginPolicy(resourcesOf(files.map(documentIn)))

const kubeletSchema = z.looseObject({
  kind: z.literal('KubeletConfiguration'),
  topologyManagerPolicy: z.string().default('none'),
})

/** A `KubeletConfiguration`, and the `config.json` of the device plugin whose devices it aligns. */
export function readTopologyManager(files: readonly PolicyFile[]): AssignmentPolicy {
  const documents = files.flatMap(documentsIn)
  const kubelets = documents.filter(document => !isPlugin(document))
  const [kubelet] = kubelets
  if (kubelet === undefined || kubelets.length > 1 || kubelets.length === documents.length)
    refusePolicy('one KubeletConfiguration and the config.json of a device plugin are needed', {
      errorClass: 'missing-configuration',
    })
  const { topologyManagerPolicy: name } = inFile(kubelet.where, () =>
    parseDocument(kubeletSchema, kubelet.value, 'KubeletConfiguration'),
  )
  const policy = inFile(kubelet.where, () => parseTopologyManagerPolicy(name))
  return topologyManagerPolicy(policy, resourcesOf(documents.filter(isPlugin)))
}

export const readNetworkOperator = (files: readonly PolicyFile[]): AssignmentPolicy =>
  networkOperatorPolicy(
    files.flatMap(documentsIn).map(({ where, value }) => inFile(where, () => parseNodePolicy(value))),
  )

export function readDra(files: readonly PolicyFile[]): AssignmentPolicy {
  const documents = files.flatMap(documentsIn)
  // Each by itself first, so that an error names its place.
  for (const { where, value } of documents) inFile(where, () => parseDraManifests([value]))
  return draPolicy(parseDraManifests(documents.map(({ value }) => value)))
}

const kubevirtSchema = z.looseObject({
  kind: z.literal('KubeVirt'),
  spec: z.looseObject({
    configuration: z.looseObject({
      permittedHostDevices: z.unknown().optional(),
      developerConfiguration: z.looseObject({ featureGates: z.array(z.string()).default([]) }).optional(),
    }),
  }),
})

export function readKubevirt(files: readonly PolicyFile[]): AssignmentPolicy {
  const [document, ...more] = files.flatMap(documentsIn)
  if (document === undefined || more.length > 0)
    refusePolicy('one KubeVirt object is needed', { errorClass: 'missing-configuration' })
  return inFile(document.where, () => {
    const { permittedHostDevices, developerConfiguration } = parseDocument(
      kubevirtSchema,
      document.value,
      'KubeVirt',
    ).spec.configuration
    return kubevirtPolicy(
      parseKubevirtConfiguration({
        ...(permittedHostDevices === undefined ? {} : { permittedHostDevices }),
        featureGates: developerConfiguration?.featureGates ?? [],
      }),
    )
  })
}
