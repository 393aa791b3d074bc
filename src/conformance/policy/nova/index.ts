/** Worked cases of OpenStack Nova. */
import { z } from 'zod'
import { NorthbridgeError, parseDocument } from '../../../core/index.ts'
import {
  inReach,
  looseBoolean,
  normalTraits,
  parseAliases,
  placementView,
  refuseUnreporting,
  resourceClassOf,
  whyNotMatched,
} from '../../../policy/index.ts'
import type { Judge, Outcome, WorkedCase } from '../worked-case.ts'
import { hostOf, specsOf } from './fixtures.ts'
import { boot, consume, socketAffinity } from './requests.ts'
import { tellStates } from './states.ts'

export const judgeNova: Judge = workedCase => {
  const { request } = workedCase
  switch (request['op']) {
    case 'match-device':
      return matchDevice(workedCase)
    case 'load-aliases':
      return loadAliases(workedCase)
    case 'normalise':
      return normalise(workedCase)
    case 'start-compute':
      return startCompute(workedCase)
    case 'inventory':
      return inventory(workedCase)
  }
  if ('steps' in request)
    return tellStates(workedCase, parseDocument(z.array(z.string()), request['steps'], 'steps'))
  if ('requests' in request) return consume(workedCase)
  if ('host_cells' in request) return socketAffinity(workedCase)
  if ('sequence' in request) {
    const steps = parseDocument(z.array(z.string()), request['sequence'], 'sequence')
    return boot(
      workedCase,
      steps.map(step => ({ 'pci_passthrough:alias': step.replace(/^boot /, '') })),
      true,
    )
  }
  return boot(
    workedCase,
    [parseDocument(z.record(z.string(), z.string()), request['flavor'], 'flavor')],
    false,
  )
}

/** The last device listed is the one asked about; PFs before it are there to be found by address. */
function matchDevice(workedCase: WorkedCase): Outcome {
  const host = hostOf(workedCase)
  const specs = specsOf(workedCase, host) ?? []
  const device = host.devices.at(-1)
  if (device === undefined) return { decision: 'valid-policy' }
  const spec = specs.find(each => whyNotMatched(each, device, host) === undefined)
  if (spec !== undefined) return { decision: 'match', device: device.address, tags: spec.tags }
  // A lone PF whose VFs have other ids is there so that a specification can be checked against it.
  return { decision: device.sriov?.vfProductId === undefined ? 'no-match' : 'valid-policy' }
}

function loadAliases({ policy }: WorkedCase): Outcome {
  const list = parseDocument(z.array(z.unknown()), policy['pci.alias'], 'pci.alias')
  const aliases = parseAliases(list, { pciInPlacement: policy['filter_scheduler.pci_in_placement'] === true })
  const [first] = aliases.values()
  return {
    decision: 'valid-policy',
    numa_policy: first?.numaPolicy,
    specs: first?.specs.length ?? 0,
    aliases: [...aliases.keys()],
  }
}

function normalise({ devices, policy }: WorkedCase): Outcome {
  if (policy['traits'] !== undefined)
    return { decision: 'normalised', traits: normalTraits(String(policy['traits'])) }
  const [{ vendor_id: vendorId = '', product_id: productId = '' } = {}] = devices
  const wanted = policy['resource_class']
  const resourceClass = resourceClassOf(wanted == null ? undefined : String(wanted), {
    vendorId: String(vendorId),
    productId: String(productId),
  })
  return { decision: 'normalised', resource_class: resourceClass }
}

function startCompute(workedCase: WorkedCase): Outcome {
  const { policy, request, expected } = workedCase
  const host = hostOf(workedCase)
  const specs = specsOf(workedCase, host) ?? []
  if (request['libvirt'] === 'old' && specs.some(({ tags }) => looseBoolean(tags['live_migratable'] ?? '')))
    throw new NorthbridgeError(
      'invalidDocument',
      'live_migratable needs a libvirt that knows variant drivers',
      {
        errorClass: 'InvalidConfiguration',
      },
    )
  const reported = policy['pci.report_in_placement'] === true
  const providers = reported ? placementView(host, specs) : []
  if (policy['then'] !== undefined) return restartCompute(workedCase, providers.length > 0)
  const asked = parseDocument(
    z.record(z.string(), z.array(z.string())),
    expected['traits_extra'] ?? {},
    'traits_extra',
  )
  return {
    decision: 'valid-policy',
    inventories: Object.fromEntries(
      providers.map(({ address, resourceClass, total }) => [address, { [resourceClass]: total }]),
    ),
    // Of the traits that a case asks about, those that are there.
    traits_extra: Object.fromEntries(
      Object.entries(asked).map(([address, traits]) => {
        const provider = providers.find(each => each.address === address)
        return [address, traits.filter(trait => provider?.traits.includes(trait))]
      }),
    ),
  }
}

/** The service comes back with other settings: `then` holds those that changed. */
function restartCompute(workedCase: WorkedCase, reported: boolean): Outcome {
  const { then, ...policy } = workedCase.policy
  const [, option, value] = /^(\S+?)\s*[=:]\s*(\S+)$/.exec(String(then)) ?? []
  const changed =
    option === undefined
      ? parseDocument(z.record(z.string(), z.unknown()), then, 'then')
      : { [option]: looseBoolean(value) }
  const now = { ...policy, ...changed }
  refuseUnreporting(reported, now['pci.report_in_placement'] === true)
  return startCompute({ ...workedCase, policy: now })
}

function inventory(workedCase: WorkedCase): Outcome {
  const host = hostOf(workedCase)
  const skipped = host.devices.filter(({ address }) => !inReach(address))
  return skipped.length > 0
    ? { decision: 'skipped', reason: 'domain above FFFF' }
    : { decision: 'match', selected: host.devices.map(({ address }) => address) }
}
