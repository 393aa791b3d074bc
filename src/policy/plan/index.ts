export { type Drift, driftOf } from './drift.ts'
export { PERTURBATIONS, type Perturbation, type PerturbedHost, perturb } from './perturb.ts'
export {
  type Disruption,
  type FleetOptions,
  type FleetPlan,
  type FleetRequest,
  type HostRefusal,
  type PlannedMachine,
  planFleet,
  type RefusedMachine,
} from './plan.ts'
