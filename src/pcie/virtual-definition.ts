/** What the virtual functions of a physical function are built from. */
import { configSizeOf, type FunctionDefinition, type SriovDefinition } from './definition.ts'

const definitions = new WeakMap<SriovDefinition, FunctionDefinition>()

/** One definition for all virtual functions of a device model, so that they share one layout. */
export function virtualDefinition(physical: FunctionDefinition, sriov: SriovDefinition): FunctionDefinition {
  let definition = definitions.get(sriov)
  if (definition === undefined) {
    definition = {
      model: `${physical.model}-vf`,
      kind: 'endpoint',
      image: sriov.image,
      configSize: configSizeOf(physical),
      ...(sriov.overrides !== undefined && { overrides: sriov.overrides }),
      bars: sriov.bars,
      romSize: 0,
      internalPeerToPeer: false,
      ...(physical.deviceTlbEntries !== undefined && { deviceTlbEntries: physical.deviceTlbEntries }),
    }
    definitions.set(sriov, definition)
  }
  return definition
}
