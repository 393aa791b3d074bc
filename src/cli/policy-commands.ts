/**
 * `northbridge policy …`: configuration files and requests as people have them, put to running platforms of a server,
 * or to platforms that are made of topologies for this one question.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { NorthbridgeError, parseDocument } from '../core/index.ts'
import {
  type InputOf,
  installation,
  OPERATIONS,
  type Operation,
  type OperationId,
  readDocument,
} from '../operations/index.ts'
import { ASSIGNING_SYSTEMS, filesOf } from '../policy/index.ts'
import { type Call, localCall, remoteCall } from './client.ts'
import { namedOrRead } from './document-commands.ts'
import type { CommandEnvironment } from './environment.ts'
import { DEFAULT_SERVER } from './operation-commands.ts'
import { render, toJson } from './output.ts'

interface PolicyOptions {
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

type Needs = { readonly resource: string; readonly count: number }[]

const needs = z.array(z.strictObject({ resource: z.string(), count: z.int().min(1).default(1) }))

const requestsSchema = z.strictObject({
  $schema: z.string().optional(),
  /** Machines that `apply` creates. */
  create: z.strictObject({ vcpus: z.int(), memoryMiB: z.int() }).optional(),
  tenants: z.record(z.string(), z.string()).optional(),
  requests: z
    .array(
      z.strictObject({
        vm: z.string(),
        /** A list, or a list for each system: every system has names of its own. */
        needs: z.union([needs, z.record(z.string(), needs)]),
        numaNodes: z.array(z.int()).optional(),
        tenant: z.string().optional(),
        numaPolicy: z.string().optional(),
        host: z.string().optional(),
      }),
    )
    .min(1),
})

type Requests = z.output<typeof requestsSchema>
type Policy = InputOf<'planPolicy'>['policy']

export function addPolicyCommands(root: Command, environment: CommandEnvironment): void {
  const policy = root.command('policy').description('ask assignment policies what they decide, and do it')
  const add = (
    verb: string,
    summary: string,
    id: OperationId,
    input: (options: PolicyOptions, asked: Asked) => object,
  ): void => {
    addFlags(policy.command(verb).description(summary)).action(async (options: PolicyOptions) => {
      const call = options.topology.length > 0 ? localCall(installation()) : remoteCall(options.server)
      const asked = await ask(options, call)
      const given = input(options, asked) as InputOf<typeof id>
      const result = await call(id, given)
      environment.print(
        options.json ? toJson(result) : render(OPERATIONS[id] as unknown as Operation, result, given),
      )
    })
  }
  add('plan', 'which functions each machine would get, or why none', 'planPolicy', fleetInput)
  add(
    'apply',
    'give the machines what the policy chooses, all or nothing',
    'applyPolicy',
    (options, asked) => ({
      ...fleetInput(options, asked),
      ...(asked.requests.create && { create: asked.requests.create }),
    }),
  )
  add('explain', 'one machine on one platform, function by function', 'explainPolicy', ({ vm }, asked) => {
    const request = one(requestsFor(asked, only(asked.policies).system), vm)
    return { platform: asked.platforms[0]!, policy: only(asked.policies), request, ...tenantsOf(asked) }
  })
  add('compare', 'one machine under several systems, side by side', 'comparePolicies', ({ vm }, asked) => {
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
  })
  add('drift', 'who gets other functions if addresses change', 'driftPolicy', (_options, asked) => ({
    platform: asked.platforms[0]!,
    policy: only(asked.policies),
    requests: requestsFor(asked, only(asked.policies).system),
    ...tenantsOf(asked),
  }))
}

const many = (value: string, before: readonly string[]): readonly string[] => [...before, value]

function addFlags(command: Command): Command {
  const systems = ASSIGNING_SYSTEMS.map(system => `  ${system}: ${filesOf(system)}`).join('\n')
  return command
    .addOption(
      new Option('--policy <system=file,…>', 'a system and its configuration files')
        .argParser(many)
        .default([] as readonly string[], 'none')
        .makeOptionMandatory(),
    )
    .requiredOption('--requests <file>', 'machines and what they need, JSON or YAML')
    .option('--topology <name-or-file>', 'a platform made of this, on the spot', many, [])
    .option('--platform <name>', 'a platform of the server', many, [])
    .option('--vfs <function=count>', 'with --topology: enable these virtual functions first', many, [])
    .option('--vm <name>', 'explain, compare: the machine that is meant, if there are several')
    .option('--spread', 'plan, apply: emptiest host first')
    .addOption(
      new Option('--server <url>', 'address of the server').env('NORTHBRIDGE_SERVER').default(DEFAULT_SERVER),
    )
    .option('--json', 'print JSON for programs')
    .addHelpText('after', `\nSystems and their files:\n${systems}`)
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

const fleetInput = ({ spread }: PolicyOptions, asked: Asked): object => ({
  platforms: asked.platforms,
  policy: only(asked.policies),
  requests: requestsFor(asked, only(asked.policies).system),
  ...(spread && { order: 'spread' }),
  ...tenantsOf(asked),
})

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
