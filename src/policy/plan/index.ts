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
