/** Worked cases of libvirt: definitions, single commands, and stories of commands in words. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  type Device,
  type DomainIdentity,
  firstFree,
  type HostDevice,
  type HostDeviceOptions,
  LibvirtHostDevices,
  type PolicyHost,
  parseDomain,
  type Refusal,
} from '../../policy/index.ts'
import { domainOf } from './libvirt-definitions.ts'
import type { Judge, Outcome, WorkedCase } from './worked-case.ts'

const deviceSchema = z.object({
  address: z.string(),
  type: z.enum(['PF', 'VF']).optional(),
  pf: z.string().optional(),
  class: z.string().optional(),
  header_type: z.int().optional(),
  driver: z.string().nullable().optional(),
  supported_by: z.string().nullable().optional(),
  iommu_group: z.int().optional(),
  used_by: z.string().optional(),
  parent_switch: z.string().optional(),
})
const policySchema = z.object({
  hostdev: z
    .object({ managed: z.enum(['yes', 'no']).default('no'), driver: z.string().default('vfio') })
    .optional(),
  interface: z.object({ type: z.string(), managed: z.enum(['yes', 'no']).default('no') }).optional(),
  network: z
    .union([
      z.looseObject({ pf: z.string().optional(), name: z.string().default('network') }),
      // In a few words.
      z.string().transform(name => ({ name, pf: undefined })),
    ])
    .optional(),
  relaxed_acs_check: z.union([z.int(), z.boolean()]).default(0),
  backend: z.string().default('vfio'),
  mock: z.record(z.string(), z.string()).default({}),
})

type GivenDevice = z.output<typeof deviceSchema>

/** The hypervisor driver and domain of cases that name none. */
const USUAL_DOMAIN: DomainIdentity = { driver: 'test_driver', name: 'test_domain' }

export const judgeLibvirt: Judge = workedCase => {
  const { devices: raw, policy, request } = workedCase
  if (request['op'] === 'define') return define(workedCase)
  const given = raw.map((each, index) => parseDocument(deviceSchema, each, `devices/${index}`))
  const rules = parseDocument(policySchema, policy, 'policy')
  const host = hostOf(given)
  const lists = new LibvirtHostDevices(host, optionsOf(rules, given))
  for (const { address, used_by: user } of given)
    if (user !== undefined) lists.active.set(address, { ...USUAL_DOMAIN, name: user })
  const managed = (rules.interface ?? rules.hostdev)?.managed === 'yes'
  const first = given[0]?.address ?? ''
  if (rules.network !== undefined) {
    const pf = rules.network.pf ?? given.find(({ type }) => type === 'PF')?.address ?? ''
    return takeFromNetwork({ name: rules.network.name, physicalFunctions: [pf] }, workedCase, host, lists)
  }
  switch (request['op']) {
    case 'nodedev-detach':
      return outcomeOf(lists.detach(first))
    case 'nodedev-reattach': {
      const answer = lists.reattach(
        first,
        ({ address }) => given.find(each => each.address === address)?.supported_by ?? null,
      )
      return 'errorClass' in answer ? denied(answer) : { decision: 'allow', driver: answer.driver }
    }
    case 'is-assignable':
      return outcomeOf(lists.prepare(USUAL_DOMAIN, [{ address: first, managed: true }]))
    default:
      if (Array.isArray(request['steps'])) return tell(request['steps'].map(String), given, lists, managed)
      return attach(
        request,
        lists,
        managed || rules.hostdev === undefined,
        rules.interface?.type === 'hostdev',
      )
  }
}

/** A port after the other takes the first free VF. */
function takeFromNetwork(
  network: Parameters<typeof firstFree>[0],
  { request }: WorkedCase,
  host: PolicyHost,
  lists: LibvirtHostDevices,
): Outcome {
  const asked = request['ports'] ?? request['interfaces'] ?? request['count'] ?? 1
  const ports = Array.isArray(asked) ? asked.length : Number(asked)
  for (let port = 0; port < ports; port++) {
    const free = firstFree(network, host, lists)
    if (typeof free !== 'string') return { ...denied(free), step: port + 1 }
    lists.active.set(free, USUAL_DOMAIN)
  }
  return { decision: 'allow' }
}

const denied = ({ errorClass, device }: Refusal): Outcome => ({
  decision: 'deny',
  errorClass,
  reports: device,
})
const outcomeOf = (refusal: Refusal | undefined): Outcome =>
  refusal ? denied(refusal) : { decision: 'allow' }

function define({ policy }: WorkedCase): Outcome {
  parseDomain(domainOf(policy))
  return { decision: 'allow' }
}

function hostOf(given: readonly GivenDevice[]): PolicyHost {
  return {
    name: 'host',
    numaNodes: [],
    isolatedInterrupts: true,
    users: new Map(),
    devices: given.map((each): Device => {
      const bridge = each.header_type === 1 || each.class?.startsWith('0604')
      return {
        address: each.address,
        role: bridge ? 'bridge' : (each.type ?? 'endpoint'),
        ...(each.pf === undefined ? {} : { parent: each.pf }),
        ...(each.driver === undefined ? {} : { driver: each.driver }),
        ...(each.iommu_group === undefined ? {} : { iommuGroup: each.iommu_group }),
      }
    }),
  }
}

function optionsOf(rules: z.output<typeof policySchema>, given: readonly GivenDevice[]): HostDeviceOptions {
  return {
    backend: /vfio/.test(rules.backend) ? 'vfio' : 'legacy',
    relaxedAcsCheck: Boolean(rules.relaxed_acs_check),
    failingDrivers: Object.entries(rules.mock).flatMap(([driver, what]) =>
      /fail/.test(what) ? [driver] : [],
    ),
    behindUnisolatedSwitch: ({ address }) =>
      given.some(each => each.address === address && each.parent_switch?.toLowerCase() === 'no-acs'),
  }
}

function attach(
  request: Readonly<Record<string, unknown>>,
  lists: LibvirtHostDevices,
  managed: boolean,
  network: boolean,
): Outcome {
  const address = parseDocument(z.string(), request['attach'], 'attach')
  const name = parseDocument(z.string(), request['domain'] ?? USUAL_DOMAIN.name, 'domain')
  return outcomeOf(lists.prepare({ ...USUAL_DOMAIN, name }, [{ address, managed, network }]))
}

/** What one step of a story does, and to which devices. */
interface Step {
  readonly verb: 'detach' | 'prepare' | 'adopt' | 'release' | 'reattach' | 'reset'
  readonly devices: readonly HostDevice[]
  readonly domain: DomainIdentity
}

function parseStep(text: string, given: readonly GivenDevice[], managed: boolean): Step {
  const verb = /^nodedev-reattach/.test(text)
    ? 'reattach'
    : /^re-?attach|^release/.test(text)
      ? 'release'
      : /^(?:nodedev-)?detach/.test(text)
        ? 'detach'
        : /^(?:nodedev-)?reset/.test(text)
          ? 'reset'
          : /^(?:update|adopt)/.test(text)
            ? 'adopt'
            : 'prepare'
  const named = /\(([0-9a-f:.]+)\)/.exec(text)?.[1]
  const count = /\bone\b|\bagain\b/.test(text) ? 1 : Number(/\bx(\d+)/.exec(text)?.[1] ?? given.length)
  const chosen =
    named === undefined ? given.slice(0, count) : given.filter(({ address }) => address.endsWith(named))
  const [, driver, name] = /\bfor (\w+)\/(\w+)/.exec(text) ?? []
  return {
    verb,
    devices: chosen.map(({ address }) => ({ address, managed })),
    domain: {
      driver: driver ?? (/another driver/.test(text) ? 'test_driver1' : USUAL_DOMAIN.driver),
      name: name ?? (/another domain/.test(text) ? 'test_domain1' : USUAL_DOMAIN.name),
    },
  }
}

const sizes = ({ active, inactive }: LibvirtHostDevices) => ({ active: active.size, inactive: inactive.size })

function tell(
  texts: readonly string[],
  given: readonly GivenDevice[],
  lists: LibvirtHostDevices,
  managed: boolean,
): Outcome {
  const after: ReturnType<typeof sizes>[] = []
  // What a hypervisor's part changes is told from its first step on; commands on nodes alone, from the start.
  let start: ReturnType<typeof sizes> | undefined
  const byHand = new Set<string>()
  for (const [index, text] of texts.entries()) {
    const step = parseStep(text, given, managed)
    const before = sizes(lists)
    if (start === undefined && ['prepare', 'adopt', 'release'].includes(step.verb)) start = before
    const refusal = perform(step, lists, byHand)
    const now = sizes(lists)
    if (refusal !== undefined) {
      const unchanged = before.active === now.active && before.inactive === now.inactive
      return { ...denied(refusal), step: index + 1, lists_unchanged: unchanged }
    }
    after.push(now)
  }
  const origin = start ?? { active: 0, inactive: 0 }
  const end = after.at(-1) ?? origin
  return {
    decision: 'allow',
    active_delta: end.active - origin.active,
    inactive_delta: end.inactive - origin.inactive,
    active_after_each: after.map(({ active }) => active),
    inactive_after_each: after.map(({ inactive }) => inactive),
    final: end,
  }
}

function perform(
  { verb, devices, domain }: Step,
  lists: LibvirtHostDevices,
  byHand: Set<string>,
): Refusal | undefined {
  switch (verb) {
    case 'prepare':
      return lists.prepare(domain, devices)
    case 'adopt':
      lists.adopt(domain, devices)
      return undefined
    case 'release':
      lists.release(domain, devices, byHand)
      return undefined
    case 'detach':
      for (const { address } of devices) {
        const refusal = lists.detach(address)
        if (refusal !== undefined) return refusal
        byHand.add(address)
      }
      return undefined
    case 'reset':
      return devices.map(({ address }) => lists.reset(address)).find(refusal => refusal !== undefined)
    case 'reattach':
      for (const { address } of devices) {
        const answer = lists.reattach(address, () => null)
        if ('errorClass' in answer) return answer
        byHand.delete(address)
      }
      return undefined
  }
}
