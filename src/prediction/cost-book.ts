/** The cost files of machines and devices as one book of numbers, of which calibration can try other values. */
import { readdirSync, readFileSync } from 'node:fs'
import { NorthbridgeError, packageFile } from '../core/index.ts'
import {
  type CostFile,
  type CostParameter,
  type Costs,
  type ParameterName,
  parseCostFile,
} from '../timing/index.ts'
import type { System } from './known-systems.ts'

export const SHELVES = ['machines', 'devices'] as const
export type Shelf = (typeof SHELVES)[number]

/** `machines/broadwell:exitRoundTrip` */
export type ParameterKey = string
export const keyOf = (shelf: Shelf, file: string, parameter: string): ParameterKey =>
  `${shelf}/${file}:${parameter}`

export interface FreeParameter extends CostParameter {
  readonly key: ParameterKey
}

type Values = ReadonlyMap<ParameterKey, number>
type Shelves = Readonly<Record<Shelf, ReadonlyMap<string, CostFile>>>

export class CostBook {
  readonly #shelves: Shelves
  readonly #values: Values
  readonly #resolved = new Map<string, Costs>()

  constructor(shelves: Shelves, values: Values = new Map()) {
    this.#shelves = shelves
    this.#values = values
  }

  get files(): readonly { shelf: Shelf; file: CostFile }[] {
    return SHELVES.flatMap(shelf => [...this.#shelves[shelf].values()].map(file => ({ shelf, file })))
  }

  /** The same book with these values in the place of its own. */
  with(values: Values): CostBook {
    return new CostBook(this.#shelves, new Map([...this.#values, ...values]))
  }

  free(): readonly FreeParameter[] {
    return this.files.flatMap(({ shelf, file }) =>
      parametersOf(file).flatMap(([name, parameter]) =>
        parameter.free ? [{ ...parameter, key: keyOf(shelf, file.name, name) }] : [],
      ),
    )
  }

  /** Everything that the costs of a system are, its machine's files first, then its device's. */
  costs(system: System): Costs {
    const key = `${system.machine} ${system.device} ${system.gigahertz}`
    const known = this.#resolved.get(key)
    if (known !== undefined) return known
    const costs = {
      ...this.#machine(system.machine),
      ...(system.device !== undefined && this.#own('devices', system.device)),
      ...(system.gigahertz !== undefined && { clockGHz: system.gigahertz }),
    } as Costs
    this.#resolved.set(key, costs)
    return costs
  }

  #machine(name: string): Partial<Costs> {
    const { extends: base } = this.#file('machines', name)
    return { ...(base !== undefined && this.#machine(base)), ...this.#own('machines', name) }
  }

  #own(shelf: Shelf, name: string): Partial<Costs> {
    const own: Partial<Record<ParameterName, number>> = {}
    for (const [parameter, { value }] of parametersOf(this.#file(shelf, name))) {
      own[parameter] = this.#values.get(keyOf(shelf, name, parameter)) ?? value
    }
    return own
  }

  #file(shelf: Shelf, name: string): CostFile {
    const file = this.#shelves[shelf].get(name)
    if (file !== undefined) return file
    throw new NorthbridgeError('notFound', `there is no cost file costs/${shelf}/${name}.json`, { name })
  }
}

const parametersOf = ({ parameters }: CostFile) =>
  Object.entries(parameters) as [ParameterName, CostParameter][]

function filesOf(shelf: Shelf): Map<string, CostFile> {
  const folder = packageFile(`costs/${shelf}/`)
  const names = readdirSync(folder)
    .filter(name => name.endsWith('.json'))
    .sort()
  const files = names.map(name => parseCostFile(JSON.parse(readFileSync(new URL(name, folder), 'utf8'))))
  return new Map(files.map(file => [file.name, file]))
}

export const shippedCostBook = (): CostBook =>
  new CostBook({ machines: filesOf('machines'), devices: filesOf('devices') })
