/** What a packet costs on which processor under each I/O model: the steps that the functional models take, with their prices. */
import type { Costs } from '../../../timing/index.ts'
import type { Scenario } from '../../scenario.ts'
import { BACKEND, type Charge, GUEST, HOST, type Situation } from './charge.ts'
import { mappingCharges } from './mapping-charges.ts'

type Charges = (situation: Situation) => readonly Charge[]

const at =
  (resource: string, clockGHz: number) =>
  (cause: string, cycles: number, more: Partial<Charge> = {}) => ({
    resource,
    cause,
    nanoseconds: cycles / clockGHz,
    ...more,
  })

/** A transport, and a driver for each packet under it. */
const stack = (
  resource: string,
  { costs, packets, together }: Situation,
  driverPerPacket = costs.driverPerPacket,
): Charge[] => {
  const charge = at(resource, costs.clockGHz)
  return [
    charge('driver', (driverPerPacket + costs.stackPerPacket) / packets.perDescriptor),
    charge('transport', costs.stackPerSegment / packets.perSegment(together)),
    charge('copy to or from the application', costs.copyPerByte * packets.payload),
    charge('calls of the application', costs.socketPerMessage * packets.messages),
  ]
}

const native: Charges = situation => [
  ...stack(HOST, situation),
  at(HOST, situation.costs.clockGHz)('interrupts', situation.costs.interruptDelivery / situation.together, {
    interrupt: true,
  }),
]

/** An interrupt of an assigned device: two exits, unless hardware delivers it and takes its completion. */
const assigned: Charges = situation => {
  const { costs, together, scenario } = situation
  const charge = at(GUEST, costs.clockGHz)
  const completion = costs.completionExits * (costs.exitRoundTrip + costs.endOfInterrupt)
  const interrupt = scenario.exitless
    ? [charge('interrupts without exits', costs.postedInterrupt / together, { interrupt: true })]
    : [
        charge('exits of interrupts', interruptExit(costs) / together, {
          exits: 1 / together,
          interrupt: true,
        }),
        charge('end of interrupt', completion / together, {
          exits: costs.completionExits / together,
          interrupt: true,
        }),
      ]
  return [
    ...stack(GUEST, situation),
    charge('interrupts', costs.interruptDelivery / together, { injections: 1 / together, interrupt: true }),
    ...interrupt,
  ]
}

const interruptExit = (costs: Costs): number =>
  costs.exitRoundTrip + costs.kernelHandler + costs.interruptDelivery + costs.virtualInterrupt

/** The guest's side of a paravirtual device. */
const paravirtualGuest: Charges = situation => {
  const { costs, together, scenario } = situation
  const charge = at(GUEST, costs.clockGHz)
  const completion = costs.completionExits * (costs.exitRoundTrip + costs.endOfInterrupt)
  const doorbell = scenario.backend === 'sidecore' ? 0 : 1 / together
  return [
    ...stack(GUEST, situation, costs.frontendPerPacket),
    charge('doorbells', doorbell * (costs.exitRoundTrip + costs.eventNotify), {
      exits: doorbell,
      register: true,
    }),
    charge('interrupts', costs.interruptDelivery / together, { injections: 1 / together, interrupt: true }),
    charge('exits of interrupts', (costs.exitRoundTrip + costs.hypercallHandler) / together, {
      exits: 1 / together,
      interrupt: true,
    }),
    charge('end of interrupt', completion / together, {
      exits: costs.completionExits / together,
      interrupt: true,
    }),
  ]
}

/**
 * The back end: a thread of the kernel or of a monitor in user space, for each machine. What a guest sends goes through the
 * switch and out in the same thread, segments as they are; the model of an emulated adapter cuts them.
 */
const backend: Charges = ({ scenario, costs, packets, together }) => {
  const { model, receiving, structure, wired } = scenario
  const charge = at(BACKEND, costs.clockGHz)
  const user = scenario.backend === 'user' || (model === 'emulated' && structure === 'kernel')
  const emulated = model === 'emulated' ? costs.emulatedPerPacket : 0
  const handed = emulated > 0 ? 1 : packets.perDescriptor
  const leaves = wired && !receiving && structure !== 'onePiece'
  const out = leaves ? costs.softwareSwitchPerPacket + costs.driverPerPacket : 0
  return [
    charge('model of the adapter', emulated),
    charge('packets', (user ? costs.userBackendPerPacket : kernelBackend(scenario, costs)) / handed),
    charge('switch and driver', out / handed),
    charge('copy', costs.copyPerByte * packets.payload),
    charge('notification', (costs.virtualInterrupt + costs.interProcessorInterrupt) / together),
  ]
}

/** An adapter that a hypervisor in one piece emulates has no back end besides its model. */
const kernelBackend = ({ model }: Scenario, costs: Costs): number =>
  model === 'emulated' ? 0 : costs.backendPerPacket

/** A host that switches in software takes all packets that an adapter receives through one processor. */
const sorted: Charges = ({ scenario, costs, together }) => {
  const charge = at(HOST, costs.clockGHz)
  if (!scenario.receiving) return []
  return [
    charge('driver', costs.driverPerPacket),
    charge('switch', costs.softwareSwitchPerPacket),
    charge('interrupts', costs.interruptDelivery / together),
  ]
}

/**
 * A hypervisor with its switch and back ends in one place: sorting and copying in turn. What a guest sends by an emulated adapter is
 * sorted where it was cut.
 */
const sortedAndCopied: Charges = ({ scenario, costs, packets, together }) => {
  const { model, receiving } = scenario
  if (model === 'emulated' && !receiving)
    return [at(BACKEND, costs.clockGHz)('sorting', costs.sortingPerPacket)]
  const charge = at(HOST, costs.clockGHz)
  return [
    charge('sorting', costs.sortingPerPacket / packets.perDescriptor),
    charge('copy', costs.copyPerByte * packets.payload),
    charge('interrupts', costs.interruptDelivery / together),
  ]
}

/** An emulated adapter: its registers exit to a model in user space, which hands the packet on. */
const emulated: Charges = situation => {
  const { scenario, costs, together } = situation
  const charge = at(GUEST, costs.clockGHz)
  const accesses = scenario.receiving
    ? costs.emulatedAccessesPerReceiveInterrupt
    : costs.emulatedAccessesPerTransmit
  const access =
    costs.exitRoundTrip + costs.kernelHandler + costs.userSpaceRoundTrip + costs.registerEmulation
  const completion = costs.completionExits * (costs.exitRoundTrip + costs.endOfInterrupt)
  return [
    ...stack(GUEST, situation),
    charge('registers', (accesses * access) / together, { exits: accesses / together, register: true }),
    charge('interrupts', costs.interruptDelivery / together, { injections: 1 / together, interrupt: true }),
    charge('end of interrupt', completion / together, {
      exits: costs.completionExits / together,
      interrupt: true,
    }),
  ]
}

/** A monitor hosted by another operating system: everything happens on one processor, through the host's network stack. */
const hosted: Charges = situation => {
  const { costs, packets } = situation
  const charge = at(HOST, costs.clockGHz)
  return [
    ...stack(HOST, situation),
    charge('world switches and the stack of the host', costs.hostedPerPacket),
    charge('copy', costs.copyPerByte * packets.payload),
  ]
}

const both =
  (...all: readonly Charges[]): Charges =>
  situation =>
    all.flatMap(each => each(situation))

/** Of a stream that stays on the host: its stack and application, in the place of switch and driver. */
const hostEnd: Charges = situation => stack(HOST, situation, 0)

function modelOf({ model, structure, wired }: Scenario): Charges {
  const onePiece = structure === 'onePiece'
  if (!wired && model === 'paravirtual') return both(hostEnd, backend, paravirtualGuest)
  switch (model) {
    case 'native':
      return native
    case 'emulated':
      return structure === 'hosted' ? hosted : both(onePiece ? sortedAndCopied : sorted, backend, emulated)
    case 'paravirtual':
      return onePiece ? both(sortedAndCopied, paravirtualGuest) : both(sorted, backend, paravirtualGuest)
    case 'vmdq':
      return both(backend, paravirtualGuest)
    case 'sriov':
    case 'direct':
      return assigned
  }
}

/** Everything that is done for a packet, by resource. */
export const chargesOf = (situation: Situation): readonly Charge[] => [
  ...modelOf(situation.scenario)(situation),
  ...mappingCharges(situation),
]

/** How many of a resource work at the same time. */
export function unitsOf(resource: string, { model, vms, cores }: Scenario): number {
  if (resource === GUEST || resource === BACKEND) return Math.max(1, vms)
  return resource === HOST && model === 'native' ? Math.max(1, cores) : 1
}
