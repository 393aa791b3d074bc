/**
 * Resets that user space asks for: VFIO_DEVICE_RESET, of a function that has a reset to itself, and
 * VFIO_DEVICE_PCI_HOT_RESET, of a bus all of whose functions are the user's. Source: torvalds/linux
 * drivers/vfio/pci/vfio_pci_core.c (vfio_pci_ioctl_reset, vfio_pci_ioctl_pci_hot_reset, vfio_pci_dev_set_hot_reset).
 */
import { NorthbridgeError } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import { restoreConfig, saveConfig } from '../pci/config-state.ts'
import { resetAndRestore, resetsOf, untilReady } from '../pci/function-reset.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import { resetSecondaryBus } from '../pci/secondary-bus-reset.ts'
import type { HotResetMember, ResetMethod } from '../types.ts'
import { VFIO_DRIVER } from './vf-token.ts'

export class VfioResets {
  readonly #engine: Engine
  readonly #wasReset: (fn: HostPciFunction) => Software

  /** @param wasReset is told of every function that was reset. */
  constructor(engine: Engine, wasReset: (fn: HostPciFunction) => Software) {
    this.#engine = engine
    this.#wasReset = wasReset
  }

  /** Throws `resetUnavailable`, with nothing changed, if there is no method; else if it does not come back. */
  *reset(fn: HostPciFunction): Software<ResetMethod> {
    const methods = resetsOf(fn)
    const method = yield* resetAndRestore(fn, methods, this.#engine)
    yield* this.#wasReset(fn)
    if (method === undefined) {
      const message = `${fn.address} does not answer after its reset (${methods.join(', ')})`
      throw new NorthbridgeError('resetUnavailable', message, { function: fn.address, errno: 'ENOTTY' })
    }
    this.#say(fn, `${fn.address} was reset (${method})`, { method })
    return method
  }

  /** Throws `resetUnavailable`, with nothing changed. */
  *hotReset(fn: HostPciFunction, owner: string): Software {
    const hit = hitBy(fn)
    checkHotReset(fn, hit, owner)
    const states = hit.map(one => ({ one, state: saveConfig(one) }))
    resetSecondaryBus(fn.above!)
    for (const { one, state } of states) {
      yield* untilReady(one, this.#engine)
      restoreConfig(one, state)
      yield* this.#wasReset(one)
    }
    this.#say(fn, `the bus of ${fn.address} was reset with ${hit.length} functions`, {
      functions: hit.length,
    })
  }

  #say(fn: HostPciFunction, what: string, details: object): void {
    this.#engine.trace.emit('reset', what, { function: fn.address, ...details })
  }
}

/** Functions that a reset of a function's bus hits, bridges before what is below them. */
function hitBy(fn: HostPciFunction): HostPciFunction[] {
  const below = (bridge: HostPciFunction): HostPciFunction[] =>
    bridge.below.flatMap(one => [one, ...below(one)])
  return fn.above === undefined ? [fn] : below(fn.above)
}

export const hotResetMembers = (fn: HostPciFunction): readonly HotResetMember[] =>
  hitBy(fn)
    .filter(({ bridge }) => !bridge)
    .map(({ address, group, owner }) => ({ function: address, group, owner }))

function checkHotReset(fn: HostPciFunction, hit: readonly HostPciFunction[], owner: string): void {
  const refuse = (why: string, errno: string, other = fn.address): never => {
    throw new NorthbridgeError('resetUnavailable', `the bus of ${fn.address} is not reset: ${why}`, {
      function: other,
      errno,
    })
  }
  if (fn.above === undefined) refuse('it is a root bus', 'ENODEV')
  if (fn.physical !== undefined) refuse('that would reset its PF', 'EINVAL')
  for (const other of hit) {
    if (other.bridge) continue
    if (other.owner.kind === 'vm') {
      if (other.owner.name === owner) continue
      refuse(`${other.address} is assigned to virtual machine "${other.owner.name}"`, 'EPERM', other.address)
    }
    if (other.driver === VFIO_DRIVER) continue
    const has = other.driver === null ? 'has no driver' : `belongs to host driver ${other.driver}`
    refuse(`${other.address} ${has}, not ${VFIO_DRIVER}`, 'ENODEV', other.address)
  }
}
