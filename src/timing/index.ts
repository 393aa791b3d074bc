export {
  type Configuration,
  type ConfigurationInput,
  configurationSchema,
  type DmaWorkload,
  IOMMU_MODES,
  type MappingWorkload,
  NETWORK_MODELS,
  type NetworkModel,
  type NetworkWorkload,
  parseConfiguration,
  type StorageWorkload,
  type Workload,
} from './configuration.ts'
export {
  type CostFile,
  type CostParameter,
  type CostParameters,
  costFileSchema,
  machineCosts,
  machineNames,
  machineParameters,
  parseCostFile,
  withOverrides,
} from './costs/cost-file.ts'
export {
  type Costs,
  PARAMETER_NAMES,
  PARAMETERS,
  type ParameterName,
} from './costs/parameters.ts'
export {
  type Bottleneck,
  type Breakdown,
  METRICS,
  type MetricName,
  type Metrics,
  type Part,
  type ResourceReport,
  type Result,
} from './result.ts'
export { costsOf, simulate } from './simulate.ts'
