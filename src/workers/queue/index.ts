export { PointQueue } from './point-queue.ts'
export { QueueWorker } from './queue-worker.ts'
export { QueuedExperiments } from './queued-experiments.ts'
