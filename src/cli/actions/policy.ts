/** What the commands below `policy` do: files and requests become the input of an operation. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { NorthbridgeError, parseDocument } from '../../core/index.ts'
import { type InputOf, installation, readDocument } from '../../operations/index.ts'
import { type Call, remoteCall } from '../client.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'
import { namedOrRead } from './documents.ts'
import { localCall } from './local-call.ts'
import { type Needs, type Requests, requestsSchema } from './policy-requests.ts'
import { render } from './rendering.ts'

export interface PolicyOptions {
  readonly policy: readonly string[]
  readonly requests: string
  readonly topology: readonly string[]
  readonly platform: readonly string[]
  readonly vfs: readonly string[]
  readonly vm?: string
  readonly spread?: true
  readonly server: string
  readonly json?: true
}

type Policy = InputOf<'planPolicy'>['policy']

/** The operation behind each verb, and its input. */
const VERBS = {
  plan: { id: 'planPolicy', input: fleetInput },
  apply: {
    id: 'applyPolicy',
    input: (options: PolicyOptions, asked: Asked) => ({
      ...fleetInput(options, asked),
      ...(asked.requests.create && { create: asked.requests.create }),
    }),
  },
  explain: {
    id: 'explainPolicy',
    input: ({ vm }: PolicyOptions, asked: Asked) => {
      const request = one(requestsFor(asked, only(asked.policies).system), vm)
      return { platform: asked.platforms[0]!, policy: only(asked.policies), request, ...tenantsOf(asked) }
    },
  },
  compare: {
    id: 'comparePolicies',
    input: ({ vm }: PolicyOptions, asked: Asked) => {
      const { needs: _each, host: _here, ...machine } = one(asked.requests.requests, vm)
      return {
        platform: asked.platforms[0]!,
        machine,
        policies: asked.policies.map(each => ({
          ...each,
          needs: one(requestsFor(asked, each.system), vm).needs,
        })),
        ...tenantsOf(asked),
      }
    },
  },
  drift: {
    id: 'driftPolicy',
    input: (_options: PolicyOptions, asked: Asked) => ({
      platform: asked.platforms[0]!,
      policy: only(asked.policies),
      requests: requestsFor(asked, only(asked.policies).system),
      ...tenantsOf(asked),
    }),
  },
} as const

export type PolicyVerb = keyof typeof VERBS

export async function askPolicy(
  verb: PolicyVerb,
  options: PolicyOptions,
  { print }: CommandEnvironment,
): Promise<void> {
  const { id, input } = VERBS[verb]
  const call = options.topology.length > 0 ? localCall(installation()) : remoteCall(options.server)
  const given = input(options, await ask(options, call)) as InputOf<typeof id>
  const result = await call(id, given)
  print(options.json ? toJson(result) : render(id, result, given))
}

interface Asked {
  readonly platforms: readonly string[]
  readonly policies: readonly Policy[]
  readonly requests: Requests
}

async function ask(options: PolicyOptions, call: Call): Promise<Asked> {
  const policies = options.policy.map(policyOf)
  const requests = parseDocument(requestsSchema, readDocument(options.requests), options.requests)
  const platforms = [...options.platform]
  for (const wanted of options.topology) {
    const { id } = await call('createPlatform', {
      topology: namedOrRead(wanted) as InputOf<'createPlatform'>['topology'],
    })
    for (const [fn, count] of options.vfs.map(text => split(text, '--vfs')))
      await call('setNumVfs', { platform: id, function: fn, numVfs: Number(count) })
    platforms.push(id)
  }
  if (platforms.length === 0)
    throw new NorthbridgeError('invalidArgument', '--topology or --platform says where machines may go')
  return { platforms, policies, requests }
}

function split(text: string, flag: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new NorthbridgeError('invalidArgument', `${flag} "${text}" has no "="`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function policyOf(text: string): Policy {
  const [system, paths] = text.includes('=') ? split(text, '--policy') : [text, '']
  const files = paths === '' ? [] : paths.split(',')
  return { system, files: files.map(path => ({ name: basename(path), text: textOf(path) })) } as Policy
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new NorthbridgeError('notFound', `${path} cannot be read: ${(error as Error).message}`)
  }
}

function fleetInput({ spread }: PolicyOptions, asked: Asked): object {
  return {
    platforms: asked.platforms,
    policy: only(asked.policies),
    requests: requestsFor(asked, only(asked.policies).system),
    ...(spread && { order: 'spread' }),
    ...tenantsOf(asked),
  }
}

const tenantsOf = ({ requests: { tenants } }: Asked): object => (tenants === undefined ? {} : { tenants })

function only(policies: readonly Policy[]): Policy {
  const [policy, ...more] = policies
  if (policy === undefined || more.length > 0)
    throw new NorthbridgeError('invalidArgument', '--policy is given once here; compare takes several')
  return policy
}

const requestsFor = ({ requests }: Asked, system: string) =>
  requests.requests.map(({ needs: wanted, ...request }) => ({ ...request, needs: needsOf(wanted, system) }))

function needsOf(wanted: Requests['requests'][number]['needs'], system: string): Needs {
  if (Array.isArray(wanted)) return wanted
  const found = wanted[system]
  if (found !== undefined) return found
  throw new NorthbridgeError('invalidArgument', `requests: needs do not say what is asked of ${system}`)
}

function one<Request extends { readonly vm: string }>(
  requests: readonly Request[],
  vm: string | undefined,
): Request {
  const found = vm === undefined ? requests : requests.filter(request => request.vm === vm)
  const [request, ...more] = found
  if (request === undefined || more.length > 0)
    throw new NorthbridgeError(
      'invalidArgument',
      `--vm names one of ${requests.map(each => each.vm).join(', ')}`,
    )
  return request
}
