/** Which driver opens a network function. */
import { NorthbridgeError } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { NetworkAdapter } from './adapter.ts'
import { IgbAdapter } from './igb/igb.ts'

/**
 * Brings an adapter up by the driver that is bound to it. Throws `unsupported` where this kernel's driver moves no
 * frames, and what opening it throws.
 */
export function* openAdapter(access: DeviceAccess, engine: Engine): Software<NetworkAdapter> {
  const { driver, address } = access.function
  if (driver === 'igb') return yield* IgbAdapter.open(access, engine)
  throw new NorthbridgeError('unsupported', `${address}: driver ${driver} moves no frames here`)
}
