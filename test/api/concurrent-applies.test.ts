import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testServer } from './server.ts'

const PLATFORMS = ['one', 'two', 'three']
const MACHINES = 4
const VFS = 8
const CREATE = { vcpus: 1, memoryMiB: 4 }
const OWN = { resources: [{ name: 'vf', select: 'device.role == "VF" && device.vendorId == "8086"' }] }
const POLICY = { system: 'northbridge', files: [{ name: 'own.yaml', text: JSON.stringify(OWN) }] }

/** Over sockets, as strangers would ask. */
async function client() {
  const server = await testServer()
  await server.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.app.server.address() as AddressInfo
  return {
    close: () => server.app.close(),
    async ask(method: string, path: string, body?: object) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      // biome-ignore lint/suspicious/noExplicitAny: JSON of every shape
      return { status: response.status, body: (await response.json().catch(() => undefined)) as any }
    },
  }
}

describe('many requests at once', () => {
  let http: Awaited<ReturnType<typeof client>>
  beforeAll(async () => {
    http = await client()
    for (const name of PLATFORMS)
      await http.ask('POST', '/v1/platforms', { topology: 'two-socket-82599', name })
  })
  afterAll(() => http.close())

  const owners = async () => {
    const owned: (readonly [functionOf: string, vm: string])[] = []
    for (const platform of PLATFORMS) {
      const { body } = await http.ask('GET', `/v1/platforms/${platform}/vms`)
      for (const { name } of body.items) {
        const vm = await http.ask('GET', `/v1/platforms/${platform}/vms/${name}`)
        for (const device of vm.body.devices) owned.push([`${platform} ${device.function}`, name])
      }
    }
    return owned
  }

  it('for the same functions, of one platform, of several and of single machines, give each to one at most', async () => {
    for (const platform of PLATFORMS)
      await http.ask('POST', `/v1/platforms/${platform}/vms`, { name: 'rival', ...CREATE })
    const apply = (vm: string, platforms: string[], count: number) =>
      http.ask('POST', '/v1/policies/applications', {
        platforms,
        policy: POLICY,
        requests: [{ vm, needs: [{ resource: 'vf', count }] }],
        create: CREATE,
      })
    const vfs = ['0000:01:10.0', '0000:01:10.2', '0000:81:10.0', '0000:81:10.2']
    const answers = await Promise.all([
      // Fleets that overlap in every way, named in different orders.
      ...Array.from({ length: MACHINES }, (_, n) => apply(`all${n}`, PLATFORMS, 3)),
      ...Array.from({ length: MACHINES }, (_, n) => apply(`back${n}`, PLATFORMS.toReversed(), 2)),
      ...Array.from({ length: MACHINES }, (_, n) => apply(`two${n}`, ['two', 'one'], 3)),
      ...PLATFORMS.map(name => apply(`solo-${name}`, [name], 2)),
      ...PLATFORMS.flatMap(platform =>
        vfs.map(fn => http.ask('POST', `/v1/platforms/${platform}/vms/rival/devices`, { function: fn })),
      ),
    ])
    for (const { status, body } of answers) {
      if (status < 300) continue
      expect(status).toBe(409)
      expect(['policyRefused', 'functionInUse', 'groupNotViable']).toContain(body.code)
    }

    const owned = await owners()
    expect(new Set(owned.map(([fn]) => fn)).size).toBe(owned.length)
    // What was promised is what is there, and nothing else is.
    const promised = answers
      .filter(({ status }) => status < 300)
      .flatMap(({ body }) =>
        body.placed === undefined
          ? [body.function as string]
          : // biome-ignore lint/suspicious/noExplicitAny: JSON of every shape
            body.placed.flatMap(({ steps }: any) => steps.map(({ attach }: any) => attach as string)),
      )
    expect(promised.sort()).toEqual(owned.map(([fn]) => fn.split(' ')[1]!).sort())
    expect(owned.length).toBe(PLATFORMS.length * VFS)
  })

  it('for more than there is: those refused leave nothing behind', async () => {
    const before = await owners()
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        http.ask('POST', '/v1/policies/applications', {
          platforms: PLATFORMS,
          policy: POLICY,
          requests: [{ vm: `late${n}`, needs: [{ resource: 'vf', count: 1 }] }],
          create: CREATE,
        }),
      ),
    )
    expect(new Set(answers.map(({ body }) => body.code))).toEqual(new Set(['policyRefused']))
    expect(await owners()).toEqual(before)
  })
})
