/** Random machines for property tests: a tree of ports, switches, bridges and endpoints, enumerated and enabled. */
import fc from 'fast-check'
import { definitionsFromDataSheet, loadDataSheet } from '../../src/devices/index.ts'
import type { FunctionDefinition, HostBridgeOptions, PcieFunction } from '../../src/pcie/index.ts'
import { ALL, Machine } from './machine.ts'

/** What may be below a port. */
export type Branch =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'endpoint'; readonly functions: number; readonly acs: number }
  | { readonly kind: 'switch'; readonly ports: readonly PortBranch[] }
  | { readonly kind: 'bridge'; readonly devices: number }
/** A port, its ACS Control bits, and what is below. */
export interface PortBranch {
  readonly acs: number
  readonly below: Branch
}

export interface FabricPlan {
  /** Root ports are functions of one device, or devices of their own. */
  readonly oneDevice: boolean
  readonly ports: readonly PortBranch[]
  /** Endpoints of the root complex. */
  readonly integrated: number
}

/** SV, TB, RR, CR, UF, EC, DT. */
const anyControl = fc.integer({ min: 0, max: 0x7f })
export const REDIRECT_EVERYWHERE = 0x1d

const endpoint = (acs: fc.Arbitrary<number>): fc.Arbitrary<Branch> =>
  fc.record({ kind: fc.constant('endpoint' as const), functions: fc.integer({ min: 1, max: 3 }), acs })

/** @param acs of every port and every function of a multi-function device. @param conventional whether bridges to PCI appear. */
export function fabricPlans(
  acs: fc.Arbitrary<number> = anyControl,
  conventional = true,
): fc.Arbitrary<FabricPlan> {
  const branch: fc.Memo<Branch> = fc.memo(depth => {
    const leaves: fc.Arbitrary<Branch>[] = [
      fc.constant({ kind: 'nothing' as const }),
      endpoint(acs),
      endpoint(acs),
      ...(conventional
        ? [fc.record({ kind: fc.constant('bridge' as const), devices: fc.integer({ min: 1, max: 2 }) })]
        : []),
    ]
    if (depth <= 1) return fc.oneof(...leaves)
    const ports = fc.array(fc.record({ acs, below: branch(depth - 1) }), { minLength: 1, maxLength: 3 })
    return fc.oneof(...leaves, fc.record({ kind: fc.constant('switch' as const), ports }))
  })
  return fc.record({
    oneDevice: fc.boolean(),
    ports: fc.array(fc.record({ acs, below: branch(3) }), { minLength: 1, maxLength: 3 }),
    integrated: fc.integer({ min: 0, max: 2 }),
  })
}

/** With its first BAR only: others would lie at address 0 until they are placed. */
function sheet(name: string): FunctionDefinition {
  const definition = definitionsFromDataSheet(loadDataSheet(name))[0]!
  return { ...definition, bars: definition.bars.slice(0, 1) }
}
const PARTS = {
  rootPort: sheet('root-port'),
  upstream: sheet('switch-upstream-port'),
  downstream: sheet('switch-downstream-port'),
  bridge: sheet('pcie-pci-bridge'),
  endpoint: sheet('intel-82574l'),
  conventional: sheet('intel-82540em'),
}

/** With an ACS capability of every bit, egress control for 32 ports or functions included. */
function withAcs(definition: FunctionDefinition, portNumber?: number): FunctionDefinition {
  const image = new Uint8Array(4096)
  image.set(definition.image)
  const at = acsOf(image) ?? appendAcs(image)
  image[at + 4] = 0x7f
  image[at + 5] = 32
  if (portNumber !== undefined) image[expressOf(image) + 0x0f] = portNumber
  return { ...definition, image }
}

const word = (image: Uint8Array, at: number): number => image[at]! | (image[at + 1]! << 8)
const nextOf = (image: Uint8Array, at: number): number => word(image, at + 2) >>> 4
function acsOf(image: Uint8Array): number | undefined {
  for (let at = 0x100; at > 0; at = nextOf(image, at)) if (word(image, at) === 0x0d) return at
  return undefined
}
/** Far enough from the end for the egress control vector. */
function appendAcs(image: Uint8Array): number {
  const place = 0xfc0
  let last = 0x100
  while (nextOf(image, last) > 0) last = nextOf(image, last)
  if (word(image, last) === 0) throw new Error('a part without extended capabilities')
  image.set([image[last + 2]! | ((place & 0xf) << 4), place >>> 4], last + 2)
  image.set([0x0d, 0x00, 0x01, 0x00], place)
  return place
}
function expressOf(image: Uint8Array): number {
  let at = image[0x34]!
  while (image[at] !== 0x10) at = image[at + 1]!
  return at
}

const MIB = 2 ** 20

/** The machine of a plan: numbered, windows and BARs placed, everything enabled, ACS as planned. */
export class RandomFabric {
  readonly machine: Machine
  readonly endpoints: PcieFunction[] = []
  readonly ports: PcieFunction[] = []
  #nextBus = 1
  /** First address that no BAR has. */
  next = 0xc000_0000

  constructor(plan: FabricPlan, options: Partial<HostBridgeOptions> = {}) {
    this.machine = new Machine(0, 255, options)
    for (let i = 0; i < plan.integrated; i++) {
      const fn = this.machine.plug(PARTS.endpoint, `${(8 + i).toString(16)}.0`)
      this.#endpoint(fn, 0)
    }
    const many = plan.ports.length > 1
    for (const [i, { acs, below }] of plan.ports.entries()) {
      const at = plan.oneDevice ? `1.${i}` : `${(1 + i).toString(16)}.0`
      const multifunction = plan.oneDevice && many
      const port = this.machine.plug(marked(withAcs(PARTS.rootPort, i + 1), multifunction), at)
      this.#port(port, 0, acs, below)
    }
  }

  #port(port: PcieFunction, bus: number, acs: number, below: Branch): void {
    this.ports.push(port)
    this.#bridge(port, bus, secondary => this.#below(port, secondary, below))
    port.writeConfig(acsAt(port) + 4, acs << 16, 0xffff_0000)
    // Every second port and function is one that egress control keeps from.
    port.writeConfig(acsAt(port) + 8, 0xaaaa_aaaa, ALL)
  }

  /** Numbers a bridge and opens its window for whatever `fill` puts below. */
  #bridge(bridge: PcieFunction, bus: number, fill: (secondary: number) => void): void {
    const secondary = this.#nextBus++
    bridge.writeConfig(0x18, (255 << 16) | (secondary << 8) | bus, ALL)
    bridge.writeConfig(0x04, 0x6, 0xffff)
    this.next = Math.ceil(this.next / MIB) * MIB
    const base = this.next
    fill(secondary)
    this.next = Math.ceil(this.next / MIB) * MIB
    bridge.writeConfig(0x18, ((this.#nextBus - 1) << 16) | (secondary << 8) | bus, ALL)
    const limit = Math.max(this.next, base + MIB) / MIB - 1
    this.next = (limit + 1) * MIB
    bridge.writeConfig(0x20, (limit << 20) | ((base / MIB) << 4), ALL)
    bridge.writeConfig(0x24, 0xfff0, ALL)
  }

  #below(port: PcieFunction, bus: number, branch: Branch): void {
    const { machine } = this
    if (branch.kind === 'endpoint') {
      for (let fn = 0; fn < branch.functions; fn++) {
        const definition = branch.functions > 1 ? marked(withAcs(PARTS.endpoint), true) : PARTS.endpoint
        const added = machine.plug(definition, `0.${fn}`, port)
        this.#endpoint(added, bus)
        if (branch.functions === 1) continue
        added.writeConfig(acsAt(added) + 4, branch.acs << 16, 0xffff_0000)
        added.writeConfig(acsAt(added) + 8, 0xaaaa_aaaa, ALL)
      }
    } else if (branch.kind === 'switch') {
      const upstream = machine.plug(PARTS.upstream, '0.0', port)
      upstream.captureBus(bus)
      this.#bridge(upstream, bus, internal => {
        for (const [i, { acs, below }] of branch.ports.entries()) {
          const down = machine.plug(withAcs(PARTS.downstream, i + 1), `${i}.0`, upstream)
          down.captureBus(internal)
          this.#port(down, internal, acs, below)
        }
      })
    } else if (branch.kind === 'bridge') {
      const bridge = machine.plug(PARTS.bridge, '0.0', port)
      bridge.captureBus(bus)
      this.#bridge(bridge, bus, secondary => {
        for (let device = 0; device < branch.devices; device++) {
          this.#endpoint(machine.plug(PARTS.conventional, `${device + 1}.0`, bridge), secondary)
        }
      })
    }
  }

  #endpoint(fn: PcieFunction, bus: number): void {
    fn.captureBus(bus)
    const { size } = fn.definition.bars[0]!
    this.next = Math.ceil(this.next / size) * size
    fn.writeConfig(0x10, this.next, ALL)
    this.next += size
    fn.writeConfig(0x04, 0x6, 0xffff)
    this.endpoints.push(fn)
  }
}

const acsAt = (fn: PcieFunction): number => fn.layout.findExtended(0x0d)

function marked(definition: FunctionDefinition, multifunction: boolean): FunctionDefinition {
  if (!multifunction) return definition
  const image = definition.image.slice()
  image[0x0e]! |= 0x80
  return { ...definition, image }
}
