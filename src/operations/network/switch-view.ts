/** What the faces show of a switch: the hypervisor's, or one outside of the machine. */
import { type Static, Type } from '@sinclair/typebox'
import {
  type LacpPortView,
  TEAM_MODES,
  TEAM_POLICIES,
  type UplinkTeam,
  type VirtualSwitch,
} from '../../hypervisor/index.ts'
import { formatMac, LACP_STATE } from '../../net/index.ts'
import { Count, Fields, Nullable, Words } from '../schemas.ts'
import { Counts, Mac } from './schemas.ts'

const PortView = Fields({
  name: Type.String(),
  kind: Words('vm', 'uplink', 'representor'),
  vlan: Type.String({ description: '"access 10", or "trunk" with its native VLAN' }),
  framesIn: Type.Number(),
  bytesIn: Type.Number(),
  framesOut: Type.Number(),
  bytesOut: Type.Number(),
  droppedIn: Counts,
  droppedOut: Counts,
})

const LacpSide = Fields({
  system: Type.String({ description: 'Priority and address' }),
  key: Count(65_535),
  port: Count(65_535),
  state: Type.String({ description: 'The bits that are set, by name' }),
})

const LacpView = Fields({
  link: Type.String(),
  receive: Words('portDisabled', 'expired', 'defaulted', 'current'),
  mux: Words('detached', 'waiting', 'attached', 'collecting', 'distributing'),
  group: Count(65_535),
  sent: Type.Number({ description: 'LACPDUs' }),
  received: Type.Number(),
  actor: LacpSide,
  partner: LacpSide,
})

export const TeamView = Fields({
  mode: Words(...TEAM_MODES),
  hash: Words(...TEAM_POLICIES),
  active: Nullable(Type.String({ description: 'The uplink in use, of an active-backup team' })),
  sent: Type.Number(),
  received: Type.Number(),
  lost: Type.Number(),
  failovers: Type.Number(),
  announcements: Type.Number(),
  waiting: Type.Number({ description: 'Frames that wait now for an uplink that is busy' }),
  lacp: Type.Array(LacpView, { description: 'State machines of link aggregation, by link' }),
})

export const LinkView = Fields({ function: Type.String(), carrier: Type.Boolean(), usable: Type.Boolean() })

/** What every switch has. */
export const SWITCHING = {
  ports: Type.Array(PortView),
  addresses: Type.Array(Fields({ mac: Mac, vlan: Count(4094), port: Type.String() })),
  mirrors: Type.Array(
    Fields({ ports: Type.Array(Type.String()), direction: Words('in', 'out', 'both'), to: Type.String() }),
  ),
}

const Switching = Type.Object(SWITCHING)

function vlanText({ options }: VirtualSwitch['ports'][number]['vlan']): string {
  if (options.mode === 'access') return `access ${options.vlan}`
  const allowed = options.allowed === undefined ? '' : ` of ${options.allowed.join(', ')}`
  return `trunk${allowed}${options.native === undefined ? '' : `, native ${options.native}`}`
}

export function switchingView(network: VirtualSwitch, time: number): Static<typeof Switching> {
  const nameOf = (number: number): string =>
    network.ports.find(port => port.number === number)?.options.name ?? ''
  return {
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

export const teamView = (team: UplinkTeam): Static<typeof TeamView> => ({
  mode: team.options.mode,
  hash: team.options.policy ?? 'portId',
  active: team.active?.name ?? null,
  ...team.counters,
  lacp: team.lacpPorts.map(({ actor, partner, ...port }) => ({
    ...port,
    actor: side(actor),
    partner: side(partner),
  })),
})

const side = (of: LacpPortView['actor']): Static<typeof LacpSide> => ({
  system: `${of.systemPriority} ${formatMac(of.systemLow, of.systemHigh)}`,
  key: of.key,
  port: of.port,
  state: Object.entries(LACP_STATE)
    .filter(([, bit]) => (of.state & bit) !== 0)
    .map(([name]) => name)
    .join(' '),
})
