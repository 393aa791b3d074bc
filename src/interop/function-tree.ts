/** Which function is below which, from bus numbers alone: a bus that no bridge claims is a root bus. */
import { devfnOf } from '../core/index.ts'
import type { CapturedFunction } from './captured-function.ts'
import { nodeOf } from './machine-description.ts'
import { pathKey, pathText } from './remapping.ts'
import type { VirtualFunctions } from './virtual-functions.ts'

export interface RootBus {
  readonly segment: number
  readonly bus: number
  readonly functions: readonly CapturedFunction[]
}

const MOST_SEGMENTS = 0x1_0000
/** Header type 2, CardBus bridges. */
const LAST_HEADER_TYPE = 1

export class FunctionTree {
  readonly roots: readonly RootBus[]
  readonly #below = new Map<CapturedFunction, readonly CapturedFunction[]>()

  constructor(functions: readonly CapturedFunction[], virtual: VirtualFunctions, notes: string[]) {
    const virtualOnes = new Set([...virtual.values()].flat())
    const real = functions.filter(one => !virtualOnes.has(one) && isReal(one, notes))
    const onBus = new Map<string, CapturedFunction[]>()
    for (const one of [...real].sort((a, b) => a.listed.rid - b.listed.rid)) {
      onBus.set(one.busKey, [...(onBus.get(one.busKey) ?? []), one])
    }
    const secondaries = new Set<string>()
    const claimed = new Set<string>()
    for (const bridge of real) {
      const { buses } = bridge
      if (buses === undefined) continue
      const { segment } = bridge.listed
      const below = `${segment}/${buses.secondary}`
      if (!secondaries.has(below)) this.#below.set(bridge, onBus.get(below) ?? [])
      secondaries.add(below)
      for (let bus = buses.secondary; bus <= buses.subordinate; bus++) claimed.add(`${segment}/${bus}`)
    }
    const roots: RootBus[] = []
    for (const [key, found] of onBus) {
      const { bus, listed } = found[0]!
      if (!claimed.has(key)) roots.push({ segment: listed.segment, bus, functions: found })
      else if (!secondaries.has(key))
        notes.push(`bus ${key} is left out: no bridge has it as its secondary bus`)
    }
    this.roots = roots.sort((a, b) => a.segment - b.segment || a.bus - b.bus)
  }

  below(bridge: CapturedFunction): readonly CapturedFunction[] {
    return this.#below.get(bridge) ?? []
  }

  /** The proximity domain that the kernel reports for functions of a host bridge; -1 if none. */
  numaNodeOf(root: RootBus): number {
    for (const one of this.#all(root.functions)) {
      if (one.details.numaNode !== undefined) return nodeOf(one.details.numaNode)
    }
    return -1
  }

  /** Every function below a root bus, and on it. */
  everyFunction(root: RootBus): CapturedFunction[] {
    return [...this.#all(root.functions)]
  }

  /** Paths of all functions from their root buses, as keys. */
  paths(): ReadonlySet<string> {
    const paths = new Set<string>()
    const visit = (root: RootBus, functions: readonly CapturedFunction[], steps: readonly Step[]): void => {
      for (const one of functions) {
        const devfn = devfnOf(one.listed.rid)
        const path = [...steps, { device: devfn >>> 3, fn: devfn & 7 }]
        paths.add(pathKey(root.segment, pathText(root.bus, path)))
        visit(root, this.below(one), path)
      }
    }
    for (const root of this.roots) visit(root, root.functions, [])
    return paths
  }

  *#all(functions: readonly CapturedFunction[]): Generator<CapturedFunction> {
    for (const one of functions) {
      yield one
      yield* this.#all(this.below(one))
    }
  }
}

interface Step {
  readonly device: number
  readonly fn: number
}

function isReal(one: CapturedFunction, notes: string[]): boolean {
  const why = one.isVirtual
    ? 'it is a virtual function of no physical function in the dump, or does not answer'
    : one.headerType > LAST_HEADER_TYPE
      ? `header type ${one.headerType} is not modelled`
      : one.listed.segment >= MOST_SEGMENTS
        ? 'segments above ffff are not modelled'
        : undefined
  if (why !== undefined) notes.push(`${one.address} is left out: ${why}`)
  return why === undefined
}
