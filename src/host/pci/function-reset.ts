/** Resets one function by the best method it has, and puts its configuration back. */
import { NorthbridgeError } from '../../core/index.ts'
import { type Engine, type Software, sleep, type Trace } from '../../engine/index.ts'
import { CAPABILITY, COMMAND_STATUS, EXPRESS } from '../../pcie/formats/index.ts'
import type { ResetMethod } from '../types.ts'
import { restoreConfig, saveConfig } from './config-state.ts'
import type { HostPciFunction } from './pci-function.ts'
import { resetFunction } from './reset-methods.ts'
import { resetSecondaryBus } from './secondary-bus-reset.ts'

/** Best first. Throws `resetUnavailable` if every way would hit others, or there is none. */
export function resetsOf(fn: HostPciFunction): readonly ResetMethod[] {
  const methods = fn.bridge ? [] : fn.resetMethods
  if (methods.length > 0) return methods
  const supported = fn.bridge ? [] : fn.supportedResets
  throw new NorthbridgeError(
    'resetUnavailable',
    supported.length > 0
      ? `every reset of ${fn.address} is switched off (it has ${supported.join(', ')})`
      : fn.bridge
        ? `${fn.address} is a bridge: resetting it would cut off what is below`
        : `${fn.address} offers neither a function level reset (FLR, AF) nor one by power management, and is not alone on a bus below a bridge`,
    { function: fn.address, errno: 'ENOTTY' },
  )
}

/** Which resets of a function are used. Throws `invalidArgument`, with errno EINVAL as sysfs `reset_method` has it. */
export function chooseResets(
  fn: HostPciFunction,
  methods: readonly ResetMethod[] | undefined,
  trace: Trace,
): void {
  const supported = fn.bridge ? [] : fn.supportedResets
  const missing = methods?.find(method => !supported.includes(method))
  if (missing !== undefined || new Set(methods).size !== (methods?.length ?? 0)) {
    const has = supported.length > 0 ? `has ${supported.join(', ')}` : 'has none'
    const message =
      missing === undefined ? 'names a method twice' : `names ${missing}, and ${fn.address} ${has}`
    throw new NorthbridgeError('invalidArgument', `reset_method of ${fn.address} ${message}`, {
      issues: [{ path: '/methods', message }],
      errno: 'EINVAL',
    })
  }
  fn.chosenResets = methods === undefined ? undefined : [...methods]
  const now =
    methods?.length === 0 ? 'no reset is used any more' : `resets in use: ${fn.resetMethods.join(', ')}`
  trace.emit('host', `${fn.address}: ${now}`, { function: fn.address, methods: [...fn.resetMethods] })
}

/** Whether nobody answers for a function any more. A VF's identity reads all ones at any time, its Command never does. */
export const isGone = ({ config }: HostPciFunction): boolean =>
  config.read(COMMAND_STATUS.offset) === 0xffff_ffff

/** Linux's `PCIE_RESET_READY_POLL_MS`: the longest single wait for a function after its reset. */
const PATIENCE = 60_000_000_000
const FIRST_WAIT = 1_000_000

/** As Linux's `pci_dev_wait`: asks again after 1, 2, 4 … ms. False if it gives up. */
export function* untilReady(fn: HostPciFunction, engine: Engine): Software<boolean> {
  for (let delay = FIRST_WAIT; isGone(fn); delay *= 2) {
    if (delay > PATIENCE) {
      engine.trace.emit('host', `${fn.address}: not ready after its reset; giving up`, {
        function: fn.address,
      })
      return false
    }
    yield* sleep(engine, delay)
  }
  return true
}

/** As Linux's `pci_wait_for_pending`: looks four times, 100, 200 and 400 ms apart. */
const PENDING_WAITS = [100_000_000, 200_000_000, 400_000_000]

/** "Transactions Pending": whoever waits for ever is reset all the same. */
function* untilQuiet(fn: HostPciFunction, engine: Engine): Software {
  const express = fn.capability(CAPABILITY.EXPRESS)
  if (express === undefined) return
  const { DEVICE_CONTROL } = EXPRESS
  const pending = (): boolean => fn.config.get(express, DEVICE_CONTROL, DEVICE_CONTROL.f.TP) === 1
  for (const wait of PENDING_WAITS) {
    if (!pending()) return
    yield* sleep(engine, wait)
  }
  if (!pending()) return
  engine.trace.emit(
    'host',
    `${fn.address}: timed out waiting for pending transactions; resetting it anyway`,
    {
      function: fn.address,
    },
  )
}

/**
 * Resets a function by the first of some methods after which it comes back, as Linux goes on to the next one. MSI and
 * MSI-X are disabled afterwards; arming them again is the caller's. Returns the method; undefined if the function was
 * gone or does not come back: its configuration is lost then.
 */
export function* resetAndRestore(
  fn: HostPciFunction,
  methods: readonly ResetMethod[],
  engine: Engine,
): Software<ResetMethod | undefined> {
  if (isGone(fn)) return undefined
  const { config } = fn
  const state = saveConfig(fn)
  config.write(COMMAND_STATUS.offset, COMMAND_STATUS.f.INTD.mask, 0xffff)
  yield* untilQuiet(fn, engine)
  for (const method of methods) {
    if (method === 'bus') {
      resetSecondaryBus(fn.above!)
    } else {
      resetFunction(config, fn.entries, method)
    }
    if (!(yield* untilReady(fn, engine))) continue
    restoreConfig(fn, state)
    return method
  }
  return undefined
}
