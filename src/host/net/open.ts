/** Which driver opens a network function. */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { AdapterOptions, NetworkAdapter } from './adapter.ts'
import { IgbPort } from './igb/port.ts'
import { IxgbePort } from './ixgbe/port.ts'
import { PooledAdapter } from './pooled/adapter.ts'
import type { PooledPort } from './pooled/port.ts'
import { NicRegisters } from './pooled/registers.ts'
import { SyntheticEswitchPort } from './synthetic-eswitch/port.ts'

/** By the name under which the kernel binds them. */
const PORTS: Readonly<Record<string, new (registers: NicRegisters) => PooledPort>> = {
  igb: IgbPort,
  ixgbe: IxgbePort,
  synthetic_eswitch: SyntheticEswitchPort,
}

/**
 * Brings an adapter up by the driver that is bound to it. Throws `unsupported` where this kernel's driver moves no
 * frames, and what opening it throws.
 */
export function* openAdapter(
  access: DeviceAccess,
  engine: Engine,
  options?: AdapterOptions,
): Software<NetworkAdapter> {
  return yield* PooledAdapter.open(portOf(access, engine), access, engine.trace, options)
}

/** The adapter as it was when it was saved, open, of a function that is in the state of that moment. */
export const restoreAdapter = (access: DeviceAccess, engine: Engine, saved: Saved): NetworkAdapter =>
  PooledAdapter.restore(portOf(access, engine), access, engine.trace, saved)

function portOf(access: DeviceAccess, engine: Engine): PooledPort {
  const { driver, address } = access.function
  const Port = driver === null ? undefined : PORTS[driver]
  if (Port === undefined) {
    throw new NorthbridgeError('unsupported', `${address}: driver ${driver} moves no frames here`)
  }
  return new Port(new NicRegisters(access, engine))
}
