export { launchOn } from './launch.ts'
export { defaultWorkers, type PointRunner, pointRunner, type RunOptions, ThreadPool } from './pool.ts'
export { openSimulators, type SimulatorOptions, type Simulators } from './simulators.ts'
