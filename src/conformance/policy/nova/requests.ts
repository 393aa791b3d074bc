/** Cases in which pools are asked: by requests of their own, by flavors, by servers that boot one after the other. */
import { z } from 'zod'
import { parseDocument } from '../../../core/index.ts'
import type { Alias, Device, NumaPolicy, PciRequest, PolicyHost } from '../../../policy/index.ts'
import {
  NUMA_POLICIES,
  nodesOfSockets,
  PciPools,
  parseAliases,
  requestsOfFlavor,
  specOf,
} from '../../../policy/index.ts'
import type { Outcome, WorkedCase } from '../worked-case.ts'
import { completeAliases, hostOf, pinnableNodes, specsOf } from './fixtures.ts'
import { claimAll, tellLife, trackerOf } from './states.ts'

const requestSchema = z.looseObject({
  count: z.int().default(1),
  numa_policy: z.enum(NUMA_POLICIES).optional(),
})
const cellSchema = z.union([z.int(), z.looseObject({ id: z.int().optional() })])

function poolsOf(workedCase: WorkedCase, host: PolicyHost, devices = host.devices): PciPools {
  const specs = specsOf(workedCase, host)
  return new PciPools(host, devices, device => (specs === undefined ? {} : specOf(specs, device, host)?.tags))
}

function requestsOf({ policy, request }: WorkedCase): PciRequest[] {
  const [word = ''] = String(policy['alias.numa_policy'] ?? '').split(' ')
  const usual: NumaPolicy = NUMA_POLICIES.find(name => name === word) ?? 'legacy'
  return parseDocument(z.array(requestSchema), request['requests'], 'requests').map(
    ({ count, numa_policy, ...spec }) => ({
      alias: '',
      count,
      numaPolicy: numa_policy ?? usual,
      specs: [Object.fromEntries(Object.entries(spec).map(([key, value]) => [key, String(value)]))],
    }),
  )
}

const guestNodes = ({ request }: WorkedCase): number[] | undefined =>
  parseDocument(
    z.array(cellSchema).nullable().default(null),
    request['guest_numa_cells'] ?? null,
    'guest_numa_cells',
  )?.map((cell, index) => (typeof cell === 'number' ? cell : (cell.id ?? index)))

export function consume(workedCase: WorkedCase): Outcome {
  const host = hostOf(workedCase)
  const tracker = trackerOf(workedCase)
  const free = host.devices.filter(({ address }) => tracker.devices.get(address)?.status !== 'claimed')
  const available = free.filter(({ address }) => tracker.devices.get(address)?.status === 'available')
  const pools = poolsOf(workedCase, host, available)
  const taken = pools.consume(requestsOf(workedCase), guestNodes(workedCase))?.flat()
  if (taken === undefined) return { decision: 'deny', errorClass: refusedBy(workedCase) }
  const refusal = claimAll(taken, tracker, host)
  if (refusal !== undefined) return { decision: 'deny', errorClass: refusal.errorClass, unchanged: true }
  const products = taken.map(({ productId }) => productId)
  return {
    decision: 'allow',
    selected: taken.length,
    selected_product_ids: products,
    free_vfs: pools.free().filter(({ role }) => role === 'VF').length,
    removed_from_pool: removedParents(taken, pools) ? parentsInWords(workedCase) : undefined,
    ...tellLife(workedCase, taken, tracker),
  }
}

/** What cannot be met is refused twice: the scheduler finds the host unfit, and a claim that comes all the same fails. */
const refusedBy = ({ expected }: WorkedCase): string =>
  expected['errorClass'] === 'unsupported-request' ? 'unsupported-request' : 'PciDeviceRequestFailed'

/** Cases tell in prose which devices those are. */
function parentsInWords({ expected }: WorkedCase): string {
  const words = String(expected['removed_from_pool'])
  return /\bparents?\b/.test(words) ? words : 'parent PFs'
}

const removedParents = (taken: readonly Device[], pools: PciPools): boolean => {
  const left = pools.free().map(({ address }) => address)
  return taken.every(({ parent }) => parent !== undefined && !left.includes(parent))
}

export function socketAffinity(workedCase: WorkedCase): Outcome {
  const host = hostOf(workedCase)
  const nodes = nodesOfSockets(guestNodes(workedCase) ?? [], host.numaNodes)
  const pools = host.devices.filter(({ numaNode }) => numaNode != null && nodes.includes(numaNode))
  const asked = workedCase.expected['pools']
  const byIds = Array.isArray(asked) && typeof asked[0] === 'object'
  return {
    decision: pools.length === 0 ? 'no-match' : 'match',
    pools: pools.map(({ productId, vendorId }) =>
      byIds ? { product_id: productId, vendor_id: vendorId } : productId,
    ),
  }
}

const aliasList = z.array(z.record(z.string(), z.unknown()))

/** Boots servers by flavors on what is left; devices of one that failed are free again. */
export function boot(workedCase: WorkedCase, flavors: readonly Flavor[], several: boolean): Outcome {
  const host = hostOf(workedCase)
  const aliases = aliasesOf(workedCase, flavors, host)
  const pools = poolsOf(workedCase, host)
  for (const [index, flavor] of flavors.entries()) {
    const requests = requestsOfFlavor(flavor, aliases)
    if ('refusal' in requests) return { decision: 'deny', errorClass: requests.refusal.errorClass }
    const by = refusingFilter(workedCase, flavor, requests, pools)
    if (by === undefined) continue
    // The API accepts a server and then shows it in ERROR; a scheduler on its own says why.
    const errorClass = several ? 'server ERROR' : 'NoValidHost'
    return {
      decision: 'deny',
      errorClass,
      server: 'ERROR',
      by,
      step: index + 1,
      free_after: pools.free().length,
    }
  }
  const free = pools.free()
  const freeVfs = free.filter(({ role }) => role === 'VF').length
  return { decision: 'allow', server: 'ACTIVE', free_after: free.length, free_vfs: freeVfs }
}

type Flavor = Readonly<Record<string, string>>

/** A case without aliases is about a flavor's other properties: its aliases stand for any device. */
function aliasesOf(
  { policy }: WorkedCase,
  flavors: readonly Flavor[],
  host: PolicyHost,
): ReadonlyMap<string, Alias> {
  const named = flavors.flatMap(flavor => (flavor['pci_passthrough:alias'] ?? '').split(','))
  const usual = [...new Set(named.map(item => item.split(':')[0]!.trim()))].map(name => ({ name }))
  const given =
    policy['pci.alias'] === undefined ? usual : parseDocument(aliasList, policy['pci.alias'], 'pci.alias')
  return parseAliases(completeAliases(given, host), {
    pciInPlacement: policy['filter_scheduler.pci_in_placement'] === true,
  })
}

/** Takes the devices for a server, whose pinned processors may be on any of several nodes; else the filter that refused. */
function refusingFilter(
  workedCase: WorkedCase,
  flavor: Flavor,
  requests: readonly PciRequest[],
  pools: PciPools,
): string | undefined {
  const pinnable = pinnableNodes(workedCase, flavor)
  const choices = pinnable === undefined ? [guestNodes(workedCase)] : pinnable.map(node => [node])
  if (choices.some(nodes => pools.consume(requests, nodes) !== undefined)) return undefined
  const withoutAffinity = requests.every(request => pools.filter(request, undefined) !== undefined)
  return withoutAffinity && pinnable !== undefined ? 'NUMATopologyFilter' : 'PciPassthroughFilter'
}
