/**
 * `[pci] alias` and what flavors ask for by it. Source: openstack/nova nova/pci/request.py.
 */
import { z } from 'zod'
import { type Refusal, refusePolicy } from '../model/index.ts'
import { strictBoolean } from './booleans.ts'
import { normalTraits, resourceClassOf } from './placement-names.ts'

export const NUMA_POLICIES = ['required', 'preferred', 'legacy', 'socket'] as const
export type NumaPolicy = (typeof NUMA_POLICIES)[number]

/** Properties that a pool of devices must have, besides tags of any name. */
export type RequestSpec = Readonly<Record<string, string>>

export interface Alias {
  readonly name: string
  readonly numaPolicy: NumaPolicy
  /** Alternatives. */
  readonly specs: readonly RequestSpec[]
  readonly allocation?: PlacementNeed
}

/** What placement must allocate for each device: with `[filter_scheduler] pci_in_placement` alone. */
export interface PlacementNeed {
  readonly resourceClass: string
  readonly traits: readonly string[]
}

export interface PciRequest {
  readonly alias: string
  readonly count: number
  readonly specs: readonly RequestSpec[]
  readonly numaPolicy: NumaPolicy
  readonly allocation?: PlacementNeed
}

const hexId = z.string().regex(/^(?:hex\{?)?(?:0x)?[0-9a-fA-F]{4}\}?$/, 'is not four hexadecimal digits')

const aliasSchema = z.strictObject({
  name: z.string().min(1).max(256),
  capability_type: z.literal('pci').optional(),
  product_id: hexId.optional(),
  vendor_id: hexId.optional(),
  device_type: z.enum(['type-PCI', 'type-PF', 'type-VF']).optional(),
  numa_policy: z.enum(NUMA_POLICIES).optional(),
  resource_class: z.string().optional(),
  traits: z.string().optional(),
  live_migratable: z.string().optional(),
})

export interface AliasOptions {
  /** `[filter_scheduler] pci_in_placement` */
  readonly pciInPlacement: boolean
}

const refuse = (text: string, facts: object = {}): never =>
  refusePolicy(`alias: ${text}`, { errorClass: 'PciInvalidAlias', field: 'alias', ...facts })

/** Throws `invalidDocument` (PciInvalidAlias). */
export function parseAliases(
  list: readonly unknown[],
  { pciInPlacement }: AliasOptions,
): ReadonlyMap<string, Alias> {
  const aliases = new Map<string, Alias>()
  for (const item of list) {
    const parsed = aliasSchema.safeParse(item)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      return refuse(`${issue!.path.join('/')}: ${issue!.message}`)
    }
    add(aliases, parsed.data)
  }
  if (pciInPlacement) refuseSeveralSpecs(aliases)
  refuseMissingIds(aliases, pciInPlacement)
  if (!pciInPlacement) return aliases
  return new Map(
    [...aliases].map(([name, alias]) => [name, { ...alias, allocation: placementNeed(alias.specs[0]!) }]),
  )
}

const placementNeed = ({ resource_class, traits, vendor_id, product_id }: RequestSpec): PlacementNeed => ({
  resourceClass: resourceClassOf(resource_class, { vendorId: vendor_id ?? '', productId: product_id ?? '' }),
  traits: normalTraits(traits ?? ''),
})

function add(aliases: Map<string, Alias>, given: z.output<typeof aliasSchema>): void {
  const { name: padded, numa_policy: numaPolicy = 'legacy', device_type, live_migratable, ...rest } = given
  const name = padded.trim()
  const spec: Record<string, string> = { ...(rest as Record<string, string>) }
  if (device_type !== undefined) spec['dev_type'] = device_type
  if (live_migratable !== undefined) {
    const migratable = strictBoolean(live_migratable)
    if (migratable === undefined) refuse(`live_migratable "${live_migratable}" is neither true nor false`)
    spec['live_migratable'] = String(migratable)
  }
  const known = aliases.get(name)
  if (known === undefined) {
    aliases.set(name, { name, numaPolicy, specs: [spec] })
    return
  }
  if (known.numaPolicy !== numaPolicy) refuse(`numa_policy of "${name}" differs between its entries`)
  const [before, now] = [known.specs[0]!['dev_type'], spec['dev_type']]
  // Upstream looks the type up in both without asking whether it is there, and reports that as an invalid alias.
  if (before === undefined || now === undefined)
    refuse(`"${name}" has several entries, which must all tell their device_type`)
  if (before !== now) refuse(`device_type of "${name}" differs between its entries`)
  aliases.set(name, { ...known, specs: [...known.specs, spec] })
}

function refuseSeveralSpecs(aliases: ReadonlyMap<string, Alias>): void {
  const names = [...aliases.values()].filter(({ specs }) => specs.length > 1).map(({ name }) => name)
  if (names.length > 0)
    refuse(`${names.join(', ')} has several entries, which pci_in_placement does not allow`, {
      reason: 'multiple-specs',
      aliases: names,
    })
}

function refuseMissingIds(aliases: ReadonlyMap<string, Alias>, orResourceClass: boolean): void {
  const names = [...aliases.values()]
    .filter(({ specs }) =>
      specs.some(
        ({ vendor_id, product_id, resource_class }) =>
          (vendor_id === undefined || product_id === undefined) &&
          !(orResourceClass && resource_class !== undefined),
      ),
    )
    .map(({ name }) => name)
    .sort()
  if (names.length > 0)
    refuse(
      `${names.join(', ')} lacks vendor_id and product_id${orResourceClass ? ' or resource_class' : ''}`,
      { aliases: names },
    )
}

const EXTRA_SPECS = { alias: 'pci_passthrough:alias', affinity: 'hw:pci_numa_affinity_policy' } as const

/** What a flavor's extra specs ask for: `name:count,…`. */
export function requestsOfFlavor(
  extraSpecs: Readonly<Record<string, string>>,
  aliases: ReadonlyMap<string, Alias>,
): readonly PciRequest[] | { readonly refusal: Refusal } {
  const text = extraSpecs[EXTRA_SPECS.alias]
  if (text === undefined) return []
  const policy = extraSpecs[EXTRA_SPECS.affinity]
  const affinity = policy === undefined ? undefined : NUMA_POLICIES.find(each => each === policy)
  if (policy !== undefined && affinity === undefined) {
    const message = `${EXTRA_SPECS.affinity}: "${policy}" is none of ${NUMA_POLICIES.join(', ')}`
    return { refusal: { errorClass: 'InvalidPCINUMAAffinity', text: message } }
  }
  const requests: PciRequest[] = []
  for (const item of text.split(',')) {
    const [padded = '', count = '', ...rest] = item.split(':')
    const name = padded.trim()
    if (rest.length > 0 || !/^\s*\d+\s*$/.test(count))
      return {
        refusal: { errorClass: 'PciInvalidAlias', text: `${EXTRA_SPECS.alias}: "${item}" is not name:count` },
      }
    const alias = aliases.get(name)
    if (alias === undefined)
      return { refusal: { errorClass: 'PciRequestAliasNotDefined', text: `there is no alias "${name}"` } }
    requests.push({
      alias: name,
      count: Number(count),
      specs: alias.specs,
      numaPolicy: affinity ?? alias.numaPolicy,
      ...(alias.allocation === undefined ? {} : { allocation: alias.allocation }),
    })
  }
  return requests
}
