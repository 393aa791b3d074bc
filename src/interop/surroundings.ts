/** What follows for a function from the functions around it. */
import { busOf, type RequesterId } from '../core/index.ts'
import type { PORT_TYPE } from '../pcie/formats/index.ts'
import { type FunctionFacts, isPciBridge } from './function-facts.ts'

export class Surroundings {
  readonly #byAddress = new Map<string, FunctionFacts>()
  readonly #onBus = new Map<string, FunctionFacts[]>()
  readonly #bridges = new Map<string, FunctionFacts>()
  readonly #groupSizes = new Map<number, number>()
  readonly #places = new Map<string, FunctionFacts[]>()

  constructor(facts: readonly FunctionFacts[]) {
    for (const one of facts) {
      this.#byAddress.set(`${one.segment}/${one.rid}`, one)
      append(this.#onBus, `${one.segment}/${busOf(one.rid)}`, one)
      // A bridge to its own bus, or to one above, leads nowhere.
      if (one.buses !== undefined && one.buses.secondary > busOf(one.rid))
        this.#bridges.set(`${one.segment}/${one.buses.secondary}`, one)
      if (one.group !== undefined) this.#groupSizes.set(one.group, (this.#groupSizes.get(one.group) ?? 0) + 1)
      append(this.#places, slotKey(one), one)
    }
  }

  at(segment: number, rid: RequesterId | undefined): FunctionFacts | undefined {
    return rid === undefined ? undefined : this.#byAddress.get(`${segment}/${rid}`)
  }

  above({ segment, rid }: FunctionFacts): FunctionFacts | undefined {
    return this.#bridges.get(`${segment}/${busOf(rid)}`)
  }

  below({ segment, buses }: FunctionFacts): readonly FunctionFacts[] {
    return buses === undefined ? [] : (this.#onBus.get(`${segment}/${buses.secondary}`) ?? [])
  }

  isMultifunction(one: FunctionFacts): boolean {
    return this.#places.get(slotKey(one))!.some(other => other !== one && other.physical === undefined)
  }

  /** Behind a link there is one device: virtual functions beyond its eight functions take ARI function numbers. */
  needsAri(one: FunctionFacts): boolean {
    const together = this.#places.get(slotKey(one))!
    return (
      this.above(one) !== undefined &&
      together.some(({ virtual }) =>
        virtual?.on.some(rid => rid >>> 8 === one.rid >>> 8 && rid >>> 3 !== one.rid >>> 3),
      )
    )
  }

  /** Function number of the next function of the device, 0 behind the last one. */
  nextFunction(one: FunctionFacts): number {
    const numbers = this.#places.get(slotKey(one))!.map(({ rid }) => rid & 7)
    return Math.min(...numbers.filter(number => number > (one.rid & 7)), 8) % 8
  }

  /** The group of a function that can keep its peers apart has nobody else in it. */
  isAlone({ group }: FunctionFacts): boolean {
    return group !== undefined && this.#groupSizes.get(group) === 1
  }
}

const slotKey = ({ segment, rid }: FunctionFacts): string => `${segment}/${rid >>> 3}`

function append<Value>(into: Map<string, Value[]>, key: string, value: Value): void {
  const found = into.get(key)
  if (found === undefined) into.set(key, [value])
  else found.push(value)
}

/** Device/Port Type by place: what is not told is PCI Express, unless a conventional bridge is above. */
export function portType(one: FunctionFacts, around: Surroundings): keyof typeof PORT_TYPE | undefined {
  if (one.portType !== undefined) return one.portType ?? undefined
  if (one.express === false) return undefined
  const above = around.above(one)
  const isBridge = one.buses !== undefined
  if (above === undefined) {
    if (isBridge) return endsInLink(one, around) ? 'rootPort' : undefined
    // Functions of the chipset: conventional, as far as anybody sees.
    return one.express === true ? 'integratedEndpoint' : undefined
  }
  switch (portType(above, around)) {
    case 'rootPort':
    case 'downstreamPort':
      if (!isBridge) return 'endpoint'
      return isConventionalBridge(one, around) ? 'pcieToPciBridge' : 'upstreamPort'
    case 'upstreamPort':
      return isBridge ? 'downstreamPort' : 'endpoint'
    default:
      return undefined
  }
}

/** Behind a link there is one device: number 0. */
const endsInLink = (one: FunctionFacts, around: Surroundings): boolean =>
  around.below(one).every(({ rid, physical }) => physical !== undefined || (rid & 0xff) < 8)

/** A bridge below a link, with something other than bridges behind it, leads to a conventional bus. */
function isConventionalBridge(one: FunctionFacts, around: Surroundings): boolean {
  return around.below(one).some(({ buses, classCode }) => buses === undefined && !isPciBridge(classCode))
}
