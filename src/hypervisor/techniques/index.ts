/** The techniques by name. */
import { BareMetal } from './bare-metal.ts'
import { BinaryTranslation } from './binary-translation.ts'
import { Deprivileged } from './deprivileged.ts'
import { Paravirtual } from './paravirtual.ts'
import { SvmTechnique } from './svm-technique.ts'
import type { GuestStart, Technique, TechniqueHost, TechniqueName } from './technique.ts'
import { VmxTechnique } from './vmx-technique.ts'

export function makeTechnique(name: TechniqueName, host: TechniqueHost, start: GuestStart): Technique {
  switch (name) {
    case 'bareMetal':
      return new BareMetal(host, start)
    case 'ringDeprivileging013':
      return new Deprivileged(name, host, start, { kernelRing: 1, openVectors: [] })
    case 'ringDeprivileging033':
      return new Deprivileged(name, host, start, { kernelRing: 3, openVectors: [] })
    case 'binaryTranslation':
      return new BinaryTranslation(host, start)
    case 'paravirtual':
    case 'vmi':
      return new Paravirtual(name, host, start)
    case 'vmxShadow':
      return new VmxTechnique(host, start, 'shadow')
    case 'vmxEpt':
      return new VmxTechnique(host, start, 'ept')
    case 'svmShadow':
      return new SvmTechnique(host, start, 'shadow')
    case 'svmNested':
      return new SvmTechnique(host, start, 'nested')
  }
}

export { unavailable } from './availability.ts'
export {
  type CostTable,
  costTableJsonSchema,
  type Estimate,
  estimate,
  parseCostTable,
} from './costs.ts'
export { EVENTS, type Ledger as LedgerView, type LedgerEvent } from './ledger.ts'
export { type Candidate, type Choice, chooseMode } from './multi-mode.ts'
export type { GuestStart, Technique, TechniqueFeatures, TechniqueHost, TechniqueName } from './technique.ts'
export { TECHNIQUES } from './technique.ts'
export { profileOf, type ViEstimate, VT_I_PROFILE } from './vt-i.ts'
