import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { drive } from '../../src/engine/index.ts'
import type { TopologyDocument } from '../../src/index.ts'
import { execute, installation } from '../../src/operations/index.ts'
import { inventoryOf, type Perturbation, type PolicyHost, perturb } from '../../src/policy/index.ts'

interface Slot {
  at: string
  readonly model: string
  devices?: Slot[]
}
interface Machine {
  readonly hostBridges: { devices: Slot[] }[]
}

/** A machine with its cards in their slots, powered on: its firmware and its kernel give the numbers. */
function poweredOn(topology: Machine): PolicyHost {
  const context = installation()
  const document = topology as unknown as TopologyDocument
  const { id } = drive(execute(context, 'createPlatform', { topology: document, name: 'host' }), () => false)
  return inventoryOf(context.platforms.get(id).running.host, 'host')
}

const ports = (devices: readonly Slot[]): Slot[] =>
  devices.filter(({ devices: cards }) => cards !== undefined)

/** Hands at the machine: what `perturb` says of a described host. */
const HANDS: Readonly<Record<Perturbation, (machine: Machine) => void>> = {
  'swap-slots'({ hostBridges }) {
    for (const { devices } of hostBridges) {
      const cards = ports(devices)
        .map(port => port.devices!)
        .reverse()
      for (const [index, port] of ports(devices).entries()) port.devices = cards[index]!
    }
  },
  'renumber-buses'({ hostBridges }) {
    for (const { devices } of hostBridges) {
      // Room in front: every port moves up by one device, and a port with a card of its own comes before all.
      for (const port of ports(devices))
        port.at = `${(Number.parseInt(port.at, 16) + 1).toString(16).padStart(2, '0')}.0`
      devices.splice(1, 0, {
        at: '01.0',
        model: 'root-port',
        devices: [{ at: '00.0', model: 'intel-82574l' }],
      })
    }
  },
}

/** Which card is where: address, PF, interface and host bridge of every function that a policy could give. */
const seatsOf = ({ devices }: PolicyHost) =>
  devices
    .filter(
      ({ role, pcieRoot, address }) => role !== 'bridge' && !address.startsWith(`${pcieRoot?.slice(3)}:`),
    )
    .map(({ address, parent, productId, network, pcieRoot }) => ({
      address,
      parent,
      productId,
      interface: network?.name,
      pcieRoot,
    }))
    .sort((a, b) => (a.address < b.address ? -1 : 1))

describe('a perturbed description is the machine that hands would make', () => {
  const machine = () => JSON.parse(readFileSync('topologies/two-socket-82599.json', 'utf8')) as Machine

  it.each(Object.keys(HANDS) as Perturbation[])('%s', kind => {
    const altered = machine()
    HANDS[kind](altered)
    const described = seatsOf(perturb(poweredOn(machine()), kind).host)
    const real = new Map(seatsOf(poweredOn(altered)).map(seat => [seat.address, seat]))
    // The card that pushed the others away is in no description.
    expect(described.map(({ address }) => real.get(address))).toEqual(described)
    expect(described.length).toBeGreaterThan(10)
    expect(described).not.toEqual(seatsOf(poweredOn(machine())))
  })
})
