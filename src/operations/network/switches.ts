/** Operations on virtual switches. */
import { type Static, Type } from '@sinclair/typebox'
import { within } from '../../engine/index.ts'
import { TEAM_MODES, TEAM_POLICIES, type UplinkTeam, type VirtualSwitch } from '../../hypervisor/index.ts'
import { functionOf } from '../functions.ts'
import { invalid } from '../judge.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Fields, FunctionAddress, Identifier, inPlatform, Name, Words } from '../schemas.ts'
import { Lacp, Limit, Share, Vlan } from './schemas.ts'
import { LinkView, SWITCHING, switchingView, TeamView, teamView } from './switch-view.ts'

const SwitchView = Fields(
  { name: Type.String(), uplinks: Type.Array(LinkView), team: TeamView, ...SWITCHING },
  { $id: 'VirtualSwitch' },
)

const switchView = (network: VirtualSwitch, team: UplinkTeam, time: number): Static<typeof SwitchView> => ({
  name: network.name,
  uplinks: team.uplinks.map(uplink => ({
    function: uplink.name,
    carrier: uplink.carrier,
    usable: team.usable(uplink),
  })),
  team: teamView(team),
  ...switchingView(network, time),
})

const path = '/v1/platforms/{platform}/switches'

export const switches = operation({
  summary: 'Lists the virtual switches of a platform',
  rest: { method: 'GET', path },
  words: 'switches list',
  input: inPlatform({}),
  output: Type.Array(SwitchView),
  errors: ['notFound', 'poweredOff'],
  list: { key: (item: Static<typeof SwitchView>) => item.name, columns: ['name', 'uplinks'] },
  run: (context, { platform }) =>
    now(() => {
      const { networking, engine } = poweredPlatform(context, platform)
      return networking.switches
        .map(({ network, team }) => switchView(network, team, engine.now))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    }),
})

export const createSwitch = operation({
  summary: 'Makes a virtual switch; adapters that are given become its uplinks, as one team',
  rest: { method: 'POST', path, status: 201, location: `${path}/{name}` },
  words: 'switches create',
  atomic: true,
  input: inPlatform({
    name: Name,
    uplinks: Type.Optional(Type.Array(FunctionAddress, { maxItems: 8 })),
    mode: Type.Optional(Words(...TEAM_MODES)),
    hash: Type.Optional(Words(...TEAM_POLICIES)),
    failback: Type.Optional(Type.Boolean({ title: 'whether an earlier uplink takes over again' })),
    lacp: Type.Optional(Lacp),
    native: Type.Optional(Vlan),
  }),
  output: SwitchView,
  errors: [
    'notFound',
    'poweredOff',
    'nameTaken',
    'invalidArgument',
    'functionInUse',
    'unsupported',
    'outOfMemory',
    'outOfResources',
  ],
  *run(context, { platform, name, uplinks = [], mode = 'activeBackup', hash, failback, lacp, native = 1 }) {
    const running = poweredPlatform(context, platform)
    const { networking, engine } = running
    if (lacp !== undefined && mode !== 'lacp') {
      throw invalid([{ path: '/lacp', message: 'belongs to mode lacp' }])
    }
    const definition = {
      name,
      uplinks: uplinks.map(text => functionOf(running, text).address),
      team: {
        mode,
        ...(hash !== undefined && { policy: hash }),
        ...(failback !== undefined && { failback }),
        ...(lacp !== undefined && { lacp }),
      },
      uplinkVlan: { mode: 'trunk', native } as const,
    }
    yield* within(engine, networking.createSwitch(definition))
    const { network, team } = networking.switch(name)
    return switchView(network, team, engine.now)
  },
})

export const oneSwitch = operation({
  summary: 'Shows a virtual switch: ports with counters and drops, learned addresses, its team of uplinks',
  rest: { method: 'GET', path: `${path}/{switch}` },
  words: 'switches get',
  input: inPlatform({ switch: Identifier }),
  output: SwitchView,
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, switch: name }) =>
    now(() => {
      const { networking, engine } = poweredPlatform(context, platform)
      const { network, team } = networking.switch(name)
      return switchView(network, team, engine.now)
    }),
})

export const mirrorPort = operation({
  summary: 'Has a port of a virtual switch hear what passes other ports, and nothing else',
  rest: { method: 'POST', path: `${path}/{switch}/mirrors` },
  words: 'switches mirror',
  input: inPlatform({
    switch: Identifier,
    ports: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 64 }),
    direction: Words('in', 'out', 'both'),
    port: Type.String({ minLength: 1, title: 'the port that listens' }),
  }),
  output: SwitchView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, { platform, switch: name, ports, direction, port }) =>
    now(() => {
      const { networking, engine } = poweredPlatform(context, platform)
      const { network, team } = networking.switch(name)
      const numbers = ports.map(one => network.port(one).number)
      network.addMirror({ ports: numbers, direction, to: network.port(port).number })
      return switchView(network, team, engine.now)
    }),
})

export const setRepresentor = operation({
  summary: 'Sets the rules of a representor’s port; those that are not given are VLAN 1 and no limit',
  rest: { method: 'PUT', path: `${path}/{switch}/representors/{port}` },
  words: 'switches representor',
  input: inPlatform({
    switch: Identifier,
    port: Identifier,
    vlan: Type.Optional(Vlan),
    limit: Type.Optional(Limit),
    share: Type.Optional(Share),
  }),
  output: SwitchView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, { platform, switch: name, port: text, vlan, limit, share }) =>
    now(() => {
      const { networking, engine } = poweredPlatform(context, platform)
      const switching = networking.switch(name)
      const { network, team } = switching
      const port = network.port(text)
      if (port.options.kind !== 'representor') {
        throw invalid([{ path: '/port', message: 'must be the port of a representor' }])
      }
      network.configure(port, {
        ...(vlan !== undefined && { vlan: { mode: 'access', vlan } }),
        ...(limit !== undefined && { ingressLimit: limit, egressLimit: limit }),
        ...(share !== undefined && { share }),
      })
      switching.portsChanged()
      return switchView(network, team, engine.now)
    }),
  tell: (_output, { switch: name, port }) => `Port ${port} of switch "${name}" is set.`,
})

export const deleteSwitch = operation({
  summary: 'Deletes a virtual switch that no virtual machine is connected to',
  rest: { method: 'DELETE', path: `${path}/{switch}`, status: 204 },
  words: 'switches delete',
  input: inPlatform({ switch: Identifier }),
  output: Type.Null(),
  errors: ['notFound', 'poweredOff', 'functionInUse'],
  run: (context, { platform, switch: name }) =>
    now(() => {
      poweredPlatform(context, platform).networking.deleteSwitch(name)
      return null
    }),
  tell: (_output, input) => `Switch "${input.switch}" is deleted.`,
})
