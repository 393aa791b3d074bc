/**
 * The same host with other addresses: what happens to bus numbers when a card is added, and when cards change slots.
 * Which device is which is remembered, so that two plans can be compared device by device.
 */
import type { Device, PolicyHost } from '../model/index.ts'

export const PERTURBATIONS = ['renumber-buses', 'swap-slots'] as const
export type Perturbation = (typeof PERTURBATIONS)[number]

export interface PerturbedHost {
  readonly host: PolicyHost
  /** Addresses before, by the addresses now. */
  readonly before: ReadonlyMap<string, string>
}

/** Buses that move together: those of a card and of its VFs. */
interface Block {
  readonly root: string
  readonly buses: number[]
}

const domainOf = (address: string): string => address.slice(0, address.indexOf(':'))
const busOf = (address: string): number =>
  Number.parseInt(address.slice(-'bb:dd.f'.length, -'dd.f'.length - 1), 16)
const rootBusOf = (root: string): number => Number.parseInt(root.slice(root.lastIndexOf(':') + 1), 16)

/**
 * `renumber-buses`: below each host bridge every bus but the root's gets the next number, as if a card had been put
 * in before all others. `swap-slots`: below each host bridge the cards stand in the opposite order. Interfaces and
 * groups are named and numbered by place, as a kernel does.
 */
export function perturb(host: PolicyHost, kind: Perturbation): PerturbedHost {
  const moved = new Map<string, number>()
  const roots = new Map<string, Block[]>()
  for (const block of blocksOf(host)) roots.set(block.root, [...(roots.get(block.root) ?? []), block])
  for (const [root, blocks] of roots) {
    const sorted = blocks.sort((a, b) => a.buses[0]! - b.buses[0]!)
    for (const { buses, first } of kind === 'swap-slots' ? exchanged(sorted) : shifted(sorted)) {
      for (const bus of buses) moved.set(`${root} ${bus}`, first + bus - buses[0]!)
    }
  }
  const rename = (device: Device, address: string): string => {
    const bus = moved.get(`${device.pcieRoot} ${busOf(address)}`)
    if (bus === undefined) return address
    return `${domainOf(address)}:${bus.toString(16).padStart(2, '0')}:${address.slice(-'dd.f'.length)}`
  }
  const now = new Map(host.devices.map(device => [device.address, rename(device, device.address)]))
  const groupShift = kind === 'renumber-buses' ? 1 : 0
  const devices = host.devices.map(device => moveDevice(device, now, groupShift))
  return {
    host: {
      ...host,
      devices: devices.sort((a, b) => (a.address < b.address ? -1 : 1)),
      users: new Map([...host.users].map(([address, user]) => [now.get(address) ?? address, user])),
    },
    before: new Map([...now].map(([before, after]) => [after, before])),
  }
}

/** A block and its first bus number now. */
type Moved = Pick<Block, 'buses'> & { readonly first: number }

const shifted = (sorted: readonly Block[]): Moved[] =>
  sorted.map(({ buses }) => ({ buses, first: buses[0]! + 1 }))

/** A card takes along the numbers that firmware keeps for it (VFs to come), which is why the next card's are higher. */
function exchanged(sorted: readonly Block[]): Moved[] {
  let first = sorted[0]!.buses[0]!
  return sorted.toReversed().map(({ buses }, index) => {
    const after = sorted[sorted.length - index]
    const width = (after === undefined ? buses.at(-1)! + 1 : after.buses[0]!) - buses[0]!
    const moved = { buses, first }
    first += width
    return moved
  })
}

/** Devices on root buses stay where they are: they are part of the board. */
function blocksOf({ devices }: PolicyHost): Block[] {
  const blocks = new Map<string, Block>()
  const blockAt = (root: string, bus: number): Block => {
    const key = `${root} ${bus}`
    const known = blocks.get(key) ?? { root, buses: [] }
    blocks.set(key, known)
    return known
  }
  for (const { address, pcieRoot, parent } of devices) {
    if (pcieRoot === undefined) continue
    const bus = busOf(address)
    if (bus === rootBusOf(pcieRoot)) continue
    const home = parent === undefined || busOf(parent) === rootBusOf(pcieRoot) ? bus : busOf(parent)
    const block = blockAt(pcieRoot, home)
    if (!block.buses.includes(bus)) block.buses.push(bus)
  }
  for (const { buses } of blocks.values()) buses.sort((a, b) => a - b)
  return [...blocks.values()]
}

function moveDevice(device: Device, now: ReadonlyMap<string, string>, groupShift: number): Device {
  const { address, parent, iommuGroup, network } = device
  const renamed = (name: string | undefined): string | undefined =>
    name?.replace(
      /^(en(?:P\d+)?p)\d+/,
      (_whole, prefix: string) => `${prefix}${busOf(now.get(parent ?? address)!)}`,
    )
  return {
    ...device,
    address: now.get(address)!,
    ...(parent === undefined ? {} : { parent: now.get(parent) ?? parent }),
    ...(typeof iommuGroup === 'number' ? { iommuGroup: iommuGroup + groupShift } : {}),
    ...(network === undefined
      ? {}
      : {
          network: {
            ...network,
            ...present('name', renamed(network.name)),
            ...present('physicalFunctionName', renamed(network.physicalFunctionName)),
          },
        }),
  }
}

const present = (key: string, value: string | undefined): object =>
  value === undefined ? {} : { [key]: value }
