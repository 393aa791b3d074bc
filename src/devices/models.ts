/** All device models by the name that data sheets use (`registerModel`). */
import type { BarDefinition } from '../pcie/index.ts'
import { Copier } from './copier/copier.ts'
import type { DeviceModelEntry } from './device-model.ts'
import { COPIER_REGISTER_BYTES } from './formats/copier.ts'
import { I82576_REGISTERS } from './formats/nic/i82576-registers.ts'
import { I82599_REGISTERS } from './formats/nic/i82599-registers.ts'
import { SYNTHETIC_ESWITCH_REGISTERS } from './formats/nic/synthetic-eswitch-registers.ts'
import { Intel82576 } from './nic/82576/i82576.ts'
import { Intel82599 } from './nic/82599/i82599.ts'
import { NVME_MODEL } from './nvme/index.ts'

const intel = (...devices: readonly number[]) => devices.map(device => [0x8086, device] as const)

export const DEVICE_MODELS: Readonly<Record<string, DeviceModelEntry>> = {
  'intel-82576': {
    registerBytes: I82576_REGISTERS.size,
    // With copper transceivers.
    ids: intel(0x10c9, 0x10e8, 0x1526, 0x150a),
    portSpeed: 1000,
    make: (fn, environment) => new Intel82576(fn, environment),
  },
  'intel-82599': {
    registerBytes: I82599_REGISTERS.size,
    // With cages for SFP+ modules.
    ids: intel(0x10fb, 0x154d, 0x1557),
    portSpeed: 10_000,
    make: (fn, environment) => new Intel82599(fn, environment),
  },
  // Invented: an 82576 whose host can switch what its virtual functions send.
  'synthetic-eswitch': {
    registerBytes: SYNTHETIC_ESWITCH_REGISTERS.size,
    portSpeed: 1000,
    make: (fn, environment) =>
      new Intel82576(fn, environment, { name: 'synthetic e-switch', registers: SYNTHETIC_ESWITCH_REGISTERS }),
  },
  'synthetic-copier': {
    registerBytes: COPIER_REGISTER_BYTES,
    make: (fn, environment) => new Copier(fn, environment, COPIER_REGISTER_BYTES),
  },
  nvme: NVME_MODEL,
}

/** The model that fits a function that was found somewhere: by its ids, and room for its registers. */
export const modelFitting = (
  vendorId: number,
  deviceId: number,
  bars: readonly FoundBar[],
): string | undefined =>
  Object.keys(DEVICE_MODELS).find(
    name =>
      DEVICE_MODELS[name]!.ids?.some(([vendor, device]) => vendor === vendorId && device === deviceId) &&
      hasRoom(name, bars),
  )

type FoundBar = Pick<BarDefinition, 'index' | 'kind' | 'size'>

/** Whether BAR 0 is memory that holds a model's registers. */
export const hasRoom = (model: string, bars: readonly FoundBar[]): boolean =>
  bars.some(
    ({ index, kind, size }) => index === 0 && kind !== 'io' && size >= DEVICE_MODELS[model]!.registerBytes,
  )
