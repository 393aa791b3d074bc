/** All device models by the name that data sheets use (`registerModel`). */
import type { DeviceModelEntry } from './device-model.ts'
import { Intel82576 } from './nic/82576/i82576.ts'
import { Intel82599 } from './nic/82599/i82599.ts'
import { NVME_MODEL } from './nvme/index.ts'

export const DEVICE_MODELS: Readonly<Record<string, DeviceModelEntry>> = {
  'intel-82576': { portSpeed: 1000, make: (fn, environment) => new Intel82576(fn, environment) },
  'intel-82599': { portSpeed: 10_000, make: (fn, environment) => new Intel82599(fn, environment) },
  nvme: NVME_MODEL,
}
