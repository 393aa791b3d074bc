/** From a node of the document to the function it describes: a data sheet's, overrides applied, or a captured one. */
import { assert, type Issue, NorthbridgeError } from '../core/index.ts'
import { type DataSheet, definitionFromDataSheet, loadDataSheet } from '../devices/index.ts'
import { configSizeOf, type FunctionDefinition } from '../pcie/index.ts'
import { setAcs, setMultifunction, setSubsystem } from './config-image.ts'
import { slotOf } from './function-paths.ts'
import { ImportedDefinitions } from './imported-definitions.ts'
import type { TopologyNode } from './topology-schema.ts'

/** Why a node cannot be resolved: the path of `issue` is relative to the node. */
export class Unresolved {
  readonly issue: Issue
  constructor(path: string, message: string) {
    this.issue = { path, message }
  }
}

/**
 * Resolves nodes, reading each data sheet once. Equal nodes of a data sheet get the same definition object, so that
 * 2,000 equal functions hold one image.
 */
export class FunctionCatalogue {
  readonly #sheets = new Map<string, DataSheet | undefined>()
  readonly #imported = new ImportedDefinitions()
  readonly #resolved = new Map<string, FunctionDefinition | Unresolved>()

  /** @param multifunction whether the document has more functions of this device. */
  resolve(node: TopologyNode, multifunction: boolean): FunctionDefinition | Unresolved {
    if (node.imported !== undefined) {
      for (const field of ['model', 'functionOfModel'] as const) {
        if (node[field] !== undefined) {
          return new Unresolved(`/${field}`, 'cannot be given together with "imported"')
        }
      }
      // A captured header says itself whether its device has more functions.
      return overridden(this.#imported.definition(node.imported, slotOf(node.at).fn), node, false)
    }
    const { model, functionOfModel, acs, subsystem } = node
    if (model === undefined) return new Unresolved('/model', 'is missing: give "model" or "imported"')
    const { fn } = slotOf(node.at)
    const key = JSON.stringify([
      model,
      functionOfModel ?? null,
      fn,
      acs ?? null,
      subsystem ?? null,
      multifunction,
    ])
    let resolved = this.#resolved.get(key)
    if (resolved === undefined) {
      resolved = this.#fromDataSheet(model, node, multifunction)
      this.#resolved.set(key, resolved)
    }
    return resolved
  }

  /** Resolves a node of a topology that has been checked. */
  definition(node: TopologyNode, multifunction: boolean): FunctionDefinition {
    const resolved = this.resolve(node, multifunction)
    assert(!(resolved instanceof Unresolved), `topologies are checked before they are built: ${node.at}`)
    return resolved
  }

  #fromDataSheet(model: string, node: TopologyNode, multifunction: boolean): FunctionDefinition | Unresolved {
    const sheet = this.#sheet(model)
    if (sheet === undefined) return new Unresolved('/model', `names no data sheet of devices/: "${model}"`)
    const { fn } = slotOf(node.at)
    const count = sheet.functions.length
    const number = node.functionOfModel ?? (fn < count ? fn : 0)
    if (number >= count) {
      return new Unresolved(
        '/functionOfModel',
        `is beyond the functions of "${model}", of which there are ${count}`,
      )
    }
    return overridden(definitionFromDataSheet(sheet, number), node, multifunction)
  }

  #sheet(model: string): DataSheet | undefined {
    if (!this.#sheets.has(model)) this.#sheets.set(model, sheetOf(model))
    return this.#sheets.get(model)
  }
}

function sheetOf(model: string): DataSheet | undefined {
  try {
    return loadDataSheet(model)
  } catch (error) {
    if (error instanceof NorthbridgeError && error.code === 'notFound') return undefined
    throw error
  }
}

function overridden(
  definition: FunctionDefinition,
  { acs, subsystem }: TopologyNode,
  multifunction: boolean,
): FunctionDefinition | Unresolved {
  if (acs === undefined && subsystem === undefined && !multifunction) return definition
  const { sriov, kind } = definition
  const size = configSizeOf(definition)
  const image = padded(definition.image, size)
  // Virtual functions have the ACS capability if their physical function has it, and its subsystem ids.
  const images = sriov === undefined ? [image] : [image, padded(sriov.image, size)]
  if (multifunction) setMultifunction(image)
  if (acs !== undefined && !images.every(one => setAcs(one, acs))) {
    return new Unresolved('/acs', 'finds no room for the capability in config space')
  }
  if (subsystem !== undefined) {
    if (kind !== 'endpoint' && kind !== 'hostBridge') {
      return new Unresolved('/subsystem', 'is for functions with a type 0 header')
    }
    for (const one of images) setSubsystem(one, Number(subsystem.vendor), Number(subsystem.device))
  }
  return { ...definition, image, ...(sriov && { sriov: { ...sriov, image: images[1]! } }) }
}

function padded(bytes: Uint8Array, size: number): Uint8Array {
  const image = new Uint8Array(size)
  image.set(bytes)
  return image
}
