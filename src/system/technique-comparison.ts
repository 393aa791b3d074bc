/** One workload under every technique: counts, walks, cycles, whether the guest saw what it sees on bare metal. */
import { type SelfCheckResult, streamOf, type Workload } from '../guest/index.ts'
import {
  type Choice,
  type CostTable,
  chooseMode,
  type Estimate,
  estimate,
  type LedgerEvent,
  type LedgerView,
  profileOf,
  TECHNIQUES,
  type TechniqueName,
  unavailable,
  type ViEstimate,
} from '../hypervisor/index.ts'
import type { WalkCounts } from '../vmx/index.ts'
import { runSelfChecks, runStream, visibleState } from './technique-laboratory.ts'

export interface TechniqueReport {
  readonly technique: TechniqueName
  /** Why it cannot be used here; the rest is missing then. */
  readonly unavailable?: string
  readonly exits?: Readonly<Record<string, number>>
  readonly traps?: Readonly<Record<string, number>>
  readonly hypercalls?: Readonly<Record<string, number>>
  readonly callouts?: Readonly<Record<string, number>>
  readonly counts?: Readonly<Partial<Record<LedgerEvent, number>>>
  readonly translatedBlocks?: number
  readonly walks?: WalkCounts
  readonly estimate?: Estimate
  /** Whether everything the guest could see equals bare metal. */
  readonly equalsBareMetal?: boolean
  readonly selfChecks?: readonly SelfCheckResult[]
}

export interface TechniqueComparison {
  readonly workload: string
  readonly bits: 32 | 64
  readonly seed: number
  readonly rounds: number
  readonly costs: string
  readonly techniques: readonly TechniqueReport[]
  readonly multiMode: Choice
  readonly vtI: ViEstimate
}

export interface ComparisonOptions {
  readonly techniques?: readonly TechniqueName[]
  /** CR4.UMIP set for deprivileged guests; default: as the generation has it. */
  readonly umip?: boolean
}

export function compareTechniques(
  workload: Workload,
  costs: CostTable,
  options: ComparisonOptions = {},
): TechniqueComparison {
  const { bits } = workload
  const steps = streamOf(workload)
  const features = { taggedTlb: costs.features.taggedTlb, umip: options.umip ?? costs.features.umip }
  const bare = visibleState(runStream('bareMetal', bits, steps, features))
  const wanted = options.techniques ?? TECHNIQUES
  const techniques = wanted.map((technique): TechniqueReport => {
    const reason = unavailable(technique, bits, costs)
    if (reason !== undefined) return { technique, unavailable: reason }
    const run = runStream(technique, bits, steps, features)
    const { ledger, walks } = run
    ledger.count('pageWalkReference', 'all', walks.paging + walks.nested)
    return {
      technique,
      ...causes(ledger),
      counts: ledger.totals(),
      translatedBlocks: ledger.translatedBlocks,
      walks,
      estimate: estimate(ledger, costs),
      equalsBareMetal: visibleState(run) === bare,
      selfChecks: runSelfChecks(technique, bits, features),
    }
  })
  const candidates = techniques.map(report => ({
    name: report.technique,
    unavailable: report.unavailable,
    estimate: report.estimate,
  }))
  return {
    workload: workload.name,
    bits,
    seed: workload.seed,
    rounds: workload.rounds,
    costs: costs.name,
    techniques,
    multiMode: chooseMode(candidates),
    vtI: profileOf(steps.flatMap(step => (step.kind === 'operation' ? [step.operation] : []))),
  }
}

const causes = (ledger: LedgerView) => ({
  exits: ledger.causes('exit'),
  traps: ledger.causes('trap'),
  hypercalls: ledger.causes('hypercall'),
  callouts: ledger.causes('callout'),
})
