/** Operations on switches outside of the machine, to which its cables go. */
import { type Static, Type } from '@sinclair/typebox'
import { within } from '../../engine/index.ts'
import { TEAM_POLICIES } from '../../hypervisor/index.ts'
import { AGGREGATIONS, type OutsideSwitch, type SimulatedPlatform } from '../../system/index.ts'
import { invalid } from '../judge.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Fields, FunctionAddress, Identifier, inPlatform, Name, Nullable, Words } from '../schemas.ts'
import { addressOf, portOf } from './nics.ts'
import { Lacp } from './schemas.ts'
import { LinkView, SWITCHING, switchingView, TeamView, teamView } from './switch-view.ts'

const OutsideSwitchView = Fields(
  {
    name: Type.String(),
    aggregation: Words(...AGGREGATIONS),
    links: Type.Array(LinkView),
    team: Nullable(TeamView),
    ...SWITCHING,
  },
  { $id: 'OutsideSwitch', description: 'An Ethernet switch outside of the machine' },
)

function outsideView({ engine }: SimulatedPlatform, one: OutsideSwitch): Static<typeof OutsideSwitchView> {
  const { definition, ports, team, network } = one
  return {
    name: definition.name,
    aggregation: definition.aggregation,
    links: ports.map(({ function: fn, partner }, i) => ({
      function: addressOf(fn),
      carrier: partner.port.carrier,
      usable: team?.usable(team.uplinks[i]!) ?? partner.port.carrier,
    })),
    team: team === undefined ? null : teamView(team),
    ...switchingView(network, engine.now),
  }
}

const path = '/v1/platforms/{platform}/outside-switches'

export const outsideSwitches = operation({
  summary: 'Lists the switches outside of a platform that its cables go to',
  rest: { method: 'GET', path },
  words: 'outside-switches list',
  input: inPlatform({}),
  output: Type.Array(OutsideSwitchView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof OutsideSwitchView>) => item.name,
    columns: ['name', 'aggregation', 'links'],
  },
  run: (context, { platform }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      return running.wires.switches
        .map(one => outsideView(running, one))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    }),
})

export const createOutsideSwitch = operation({
  summary: 'Puts a switch at the outside ends of cables; aggregation makes one link of them',
  rest: { method: 'POST', path, status: 201, location: `${path}/{name}` },
  words: 'outside-switches create',
  input: inPlatform({
    name: Name,
    functions: Type.Array(FunctionAddress, { minItems: 1, maxItems: 32, title: 'whose cables go there' }),
    aggregation: Type.Optional(Words(...AGGREGATIONS)),
    hash: Type.Optional(Words(...TEAM_POLICIES)),
    lacp: Type.Optional(Lacp),
  }),
  output: OutsideSwitchView,
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'nameTaken', 'functionInUse'],
  *run(context, { platform, name, functions, aggregation = 'none', hash, lacp }) {
    const running = poweredPlatform(context, platform)
    if (lacp !== undefined && aggregation !== 'lacp') {
      throw invalid([{ path: '/lacp', message: 'belongs to aggregation lacp' }])
    }
    const ports = functions.map(text => portOf(running, text))
    if (new Set(ports).size < ports.length) {
      throw invalid([{ path: '/functions', message: 'names a port twice' }])
    }
    const options = { ...(lacp !== undefined && { lacp }), ...(hash !== undefined && { policy: hash }) }
    const made = running.wires.createSwitch({ name, aggregation, ...options }, ports)
    yield* within(running.engine, running.hypervisor.settle())
    return outsideView(running, made)
  },
  tell: ({ name, links, aggregation }) =>
    `Switch "${name}" is outside, with ${links.length} cables${aggregation === 'none' ? '' : ` as one link (${aggregation})`}.`,
})

export const outsideSwitch = operation({
  summary: 'Shows a switch outside: where it has learned addresses, its links, and what LACP agreed on',
  rest: { method: 'GET', path: `${path}/{switch}` },
  words: 'outside-switches get',
  input: inPlatform({ switch: Identifier }),
  output: OutsideSwitchView,
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, switch: name }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      return outsideView(running, running.wires.switch(name))
    }),
})

export const deleteOutsideSwitch = operation({
  summary: 'Takes a switch outside away; the cables stay',
  rest: { method: 'DELETE', path: `${path}/{switch}`, status: 204 },
  words: 'outside-switches delete',
  input: inPlatform({ switch: Identifier }),
  output: Type.Null(),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, switch: name }) =>
    now(() => {
      poweredPlatform(context, platform).wires.deleteSwitch(name)
      return null
    }),
  tell: (_output, input) => `Switch "${input.switch}" outside is gone.`,
})
