/** Operations on virtual switches. */
import { type Static, Type } from '@sinclair/typebox'
import { within } from '../../engine/index.ts'
import { TEAM_MODES, TEAM_POLICIES, type UplinkTeam, type VirtualSwitch } from '../../hypervisor/index.ts'
import { formatMac } from '../../net/index.ts'
import { functionOf } from '../functions.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, FunctionAddress, Identifier, inPlatform, Name, Nullable, Words } from '../schemas.ts'
import { Counts, Mac, Vlan } from './schemas.ts'

const PortView = Fields({
  name: Type.String(),
  kind: Words('vm', 'uplink'),
  vlan: Type.String({ description: '"access 10", or "trunk" with its native VLAN' }),
  framesIn: Type.Number(),
  bytesIn: Type.Number(),
  framesOut: Type.Number(),
  bytesOut: Type.Number(),
  droppedIn: Counts,
  droppedOut: Counts,
})

const SwitchView = Fields(
  {
    name: Type.String(),
    uplinks: Type.Array(Fields({ function: Type.String(), carrier: Type.Boolean(), usable: Type.Boolean() })),
    team: Fields({
      mode: Words(...TEAM_MODES),
      hash: Words(...TEAM_POLICIES),
      active: Nullable(Type.String({ description: 'The uplink in use, of an active-backup team' })),
      sent: Type.Number(),
      received: Type.Number(),
      lost: Type.Number(),
      failovers: Type.Number(),
      announcements: Type.Number(),
    }),
    ports: Type.Array(PortView),
    addresses: Type.Array(Fields({ mac: Mac, vlan: Count(4094), port: Type.String() })),
    mirrors: Type.Array(
      Fields({ ports: Type.Array(Type.String()), direction: Words('in', 'out', 'both'), to: Type.String() }),
    ),
  },
  { $id: 'VirtualSwitch' },
)

function vlanText({ options }: VirtualSwitch['ports'][number]['vlan']): string {
  if (options.mode === 'access') return `access ${options.vlan}`
  const allowed = options.allowed === undefined ? '' : ` of ${options.allowed.join(', ')}`
  return `trunk${allowed}${options.native === undefined ? '' : `, native ${options.native}`}`
}

function switchView(network: VirtualSwitch, team: UplinkTeam, time: number): Static<typeof SwitchView> {
  const nameOf = (number: number): string =>
    network.ports.find(port => port.number === number)?.options.name ?? ''
  return {
    name: network.name,
    uplinks: team.uplinks.map(({ name, carrier }, i) => ({
      function: name,
      carrier,
      usable: team.usable(i),
    })),
    team: {
      mode: team.options.mode,
      hash: team.options.policy ?? 'portId',
      active: team.active?.name ?? null,
      ...team.counters,
    },
    ports: network.ports.map(port => {
      const { droppedIn, droppedOut, ...passed } = port.counters
      return {
        name: port.options.name,
        kind: port.options.kind,
        vlan: vlanText(port.vlan),
        ...passed,
        droppedIn: { ...droppedIn },
        droppedOut: { ...droppedOut },
      }
    }),
    addresses: network.addresses.entries(time).map(({ low, high, vlan, port }) => ({
      mac: formatMac(low, high),
      vlan,
      port: nameOf(port),
    })),
    mirrors: network.mirrors.map(({ ports, direction, to }) => ({
      ports: ports.map(nameOf),
      direction,
      to: nameOf(to),
    })),
  }
}

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
  input: inPlatform({
    name: Name,
    uplinks: Type.Optional(Type.Array(FunctionAddress, { maxItems: 8 })),
    mode: Type.Optional(Words(...TEAM_MODES)),
    hash: Type.Optional(Words(...TEAM_POLICIES)),
    failback: Type.Optional(Type.Boolean({ title: 'whether an earlier uplink takes over again' })),
    native: Type.Optional(Vlan),
  }),
  output: SwitchView,
  errors: [
    'notFound',
    'poweredOff',
    'nameTaken',
    'functionInUse',
    'unsupported',
    'outOfMemory',
    'outOfResources',
  ],
  *run(context, { platform, name, uplinks = [], mode = 'activeBackup', hash, failback, native = 1 }) {
    const running = poweredPlatform(context, platform)
    const { networking, engine } = running
    const definition = {
      name,
      uplinks: uplinks.map(text => functionOf(running, text).address),
      team: {
        mode,
        ...(hash !== undefined && { policy: hash }),
        ...(failback !== undefined && { failback }),
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
